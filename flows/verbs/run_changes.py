"""`atlas runs retry`, `cancel` and `export`: what can be done with a run."""

from __future__ import annotations

import os
import signal
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flows.console import say
from flows.failures import CommandError, UsageError
from flows.verbs.options import Config, Root, home
from flows.verbs.run_lookup import (
    Name,
    change_ledger,
    find_run,
    read_ledger,
    shown_state,
)

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from decimal import Decimal

    from flows.settings import HomeSettings
    from warehouse.ledger import Ledger, RunRecord


def retry(
    name: Name,
    error: Annotated[
        str | None,
        typer.Option(metavar="TYPE,TYPE", help="Only rows that failed with these error types."),
    ] = None,
    max_cost: Annotated[
        str | None, typer.Option(metavar="DOLLARS", help="A new budget for the whole run.")
    ] = None,
    root: Root = None,
    config: Config = None,
) -> None:
    """Ask again for rows that failed; everything else of the run stays as it is."""
    from flows.remembered import recall

    settings = home(root, config)
    changed = {} if max_cost is None else {"max_cost_usd": budget_of(max_cost)}
    types = {part.strip() for part in (error or "").split(",") if part.strip()}
    with closing(change_ledger(settings)) as ledger:
        run = find_run(ledger, name)
        failed = _failed(settings, ledger, run, types)
        if not failed:
            say(f"run {name} has no failed rows{f' with error {error}' if error else ''}")
            return
        with _locked(settings, run):
            ledger.reopen(run.run_id, failed)
    say(f"{len(failed):,} failed rows of run {name} are open again")
    told = recall(settings, run.run_id, **changed)
    if told is None:
        say(f"next: repeat the `atlas route {run.input_path}` command with --name {name}")
        return
    from flows.verbs.route import route_and_tell

    raise typer.Exit(route_and_tell(told, json=False))


def budget_of(text: str) -> Decimal | None:
    """Dollars as `--max-cost` takes them.

    Raises:
        SettingsError: the text is no budget.
    """
    from flows.settings import RouteSettings
    from flows.settings_sources import load

    flags = {"backlog": "-", "max_cost_usd": text}
    return load(RouteSettings, flags=flags, environ={}).max_cost_usd


def _failed(
    settings: HomeSettings, ledger: Ledger, run: RunRecord, types: set[str]
) -> dict[str, str]:
    """Chunk of every failed query, duplicates left out: they follow the row they repeat."""
    import polars as pl

    from warehouse.query import scan

    if run.kind != "route":
        raise CommandError(
            f"Run {run.run_id!r} is a profile: its failed cells are missing cells.",
            f"atlas profile run {run.input_path}",
        )
    failed = scan(settings.root, ledger.commits("answers", run.run_id), "answers").filter(
        pl.col("status") == "failed", pl.col("duplicate_of").is_null()
    )
    known = set(failed.select("error_type").unique().collect().to_series())
    if types - known and known:
        raise UsageError(
            f"no row of run {run.run_id} failed with {', '.join(sorted(types - known))}; "
            f"there is: {', '.join(sorted(known))}"
        )
    if types:
        failed = failed.filter(pl.col("error_type").is_in(list(types)))
    return dict(failed.select("query_id", "chunk_id").collect().iter_rows())


def _locked(settings: HomeSettings, run: RunRecord) -> AbstractContextManager[None]:
    from warehouse.run_lock import run_lock

    return run_lock(settings.root, run.run_id)


def cancel(name: Name, root: Root = None, config: Config = None) -> None:
    """Stop a live run as Ctrl-C would; rows in flight are finished and kept."""
    from warehouse.run_lock import holder

    settings = home(root, config)
    with closing(change_ledger(settings)) as ledger:
        run = find_run(ledger, name)
        if owner := holder(settings.root, name):
            _interrupt(name, owner)
        elif run.state == "complete":
            raise CommandError(
                f"Run {name!r} is complete: there is nothing to cancel.", f"atlas runs show {name}"
            )
        else:
            with _locked(settings, run):
                ledger.update_run(name, state="cancelled")
            say(f"run {name} is cancelled; the command that began it would still resume it")


def _interrupt(name: str, owner: str) -> None:
    try:
        # On another machine it is `process@machine`, which is no number.
        process = int(owner)
        os.kill(process, signal.SIGINT)
    except (OSError, ValueError):
        raise CommandError(
            f"Process {owner} works on run {name!r} and cannot be reached from here: "
            "stop it with Ctrl-C where it runs."
        ) from None
    say(f"asked process {process} to stop run {name}; it finishes the rows in flight first")


def export(
    name: Name,
    out: Annotated[Path, typer.Option(help="The file to write.", metavar="FILE")],
    format: Annotated[  # noqa: A002 - the word users know from --format
        str, typer.Option(help="openai-jsonl, csv or parquet.")
    ] = "openai-jsonl",
    root: Root = None,
    config: Config = None,
) -> None:
    """Write the answers of a run to one file, in the order of the backlog."""
    from tasks.export import FORMATS
    from tasks.export import export as write
    from warehouse.query import answers

    if format not in FORMATS:
        raise UsageError(f"--format cannot be {format!r}; it is one of {', '.join(FORMATS)}")
    settings = home(root, config)
    with closing(read_ledger(settings)) as ledger:
        run = find_run(ledger, name)
        if run.kind != "route":
            raise CommandError(
                f"Run {name!r} is a profile and has no answers to export.", "atlas profile show"
            )
        counts = ledger.counts(run.run_id)
    made = write(answers(settings.root, name), out, format)  # type: ignore[arg-type]
    waiting = run.unique_rows - counts.answered - counts.failed - counts.in_doubt
    if waiting:
        say(f"note: run {name} is {shown_state(settings, run)}; {waiting:,} questions still wait")
    say(f"wrote {made.rows:,} rows to {made.path}")
