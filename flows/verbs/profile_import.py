"""`atlas profile import`: a profile, or a table, from past logs and recorded outcomes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from flows.console import data_json, say, table
from flows.failures import ROWS_FAILED, UsageError
from flows.setting_types import read_clusters
from flows.settings import environment_name
from flows.verbs.options import AsJson, Config, Root, home
from flows.verbs.profile_show import show_profile

if TYPE_CHECKING:
    from tasks.importing.publishing import ImportReport

SHOWN_PROBLEMS = 3
LISTS = "Several with commas or by giving it again."


def import_(
    paths: Annotated[
        list[str],
        typer.Argument(metavar="PATH", help="Logs: files, folders, globs, also of several kinds."),
    ],
    root: Root = None,
    config: Config = None,
    format: Annotated[  # noqa: A002 - the name of the option
        str,
        typer.Option(
            metavar="auto|lm-eval|inspect|openai-batch|litellm|table|columns",
            help="Kind of log; auto looks into each file.",
        ),
    ] = "auto",
    map: Annotated[  # noqa: A002 - the name of the option
        list[str] | None,
        typer.Option(
            metavar="FIELD=COLUMN,...",
            help=f"Which column, or path such as doc.question, is which field. {LISTS}",
        ),
    ] = None,
    model: Annotated[str | None, typer.Option(help="Name of the model of every row.")] = None,
    model_map: Annotated[
        list[str] | None,
        typer.Option(metavar="LOGGED=OURS,...", help=f"Other names for models. {LISTS}"),
    ] = None,
    tool: Annotated[
        str | None, typer.Option(help="Name of the tool of every row; else the log's, or none.")
    ] = None,
    dataset: Annotated[str | None, typer.Option(help="Name of the dataset of every row.")] = None,
    split: Annotated[
        str,
        typer.Option(
            metavar="auto|hash|train|test|ood",
            help="auto keeps the log's splits and draws the rest by text; hash draws all.",
        ),
    ] = "auto",
    labels: Annotated[
        Path | None,
        typer.Option(help="Labelled questions that give references, datasets and splits."),
    ] = None,
    grader: Annotated[
        str | None, typer.Option(help="Grader that reads the log's own references.")
    ] = None,
    metric: Annotated[
        list[str] | None,
        typer.Option(
            help=f"The score to take where a log has several; the most wanted first. {LISTS}"
        ),
    ] = None,
    filter: Annotated[  # noqa: A002 - the name of the option
        list[str] | None,
        typer.Option(help=f"The lm-eval filter to take; the most wanted first. {LISTS}"),
    ] = None,
    score_range: Annotated[
        str | None,
        typer.Option(metavar="WORST,BEST", help="What the log's worst and best score are."),
    ] = None,
    free: Annotated[
        list[str] | None,
        typer.Option(
            metavar="MODEL,...", help=f"Models whose logged cost of 0 is their price. {LISTS}"
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Write a table for atlas evaluate there; publish nothing."
        ),
    ] = None,
    publish: Annotated[
        bool, typer.Option("--publish", help="With --out: publish a profile as well.")
    ] = False,
    fail_on_error: Annotated[
        float,
        typer.Option(
            help="Share of bad rows above which nothing is imported, exit 4.", min=0, max=1
        ),
    ] = 0.1,
    clusters: Annotated[
        str,
        typer.Option(
            help="Number of clusters; auto takes the one that routes best on rows left out.",
            metavar="NUMBER|auto",
            envvar=environment_name("clusters"),
        ),
    ] = "auto",
    encoder: Annotated[
        str, typer.Option(help="Sentence encoder.", envvar=environment_name("encoder"))
    ] = "minilm",
    encoder_dtype: Annotated[
        str,
        typer.Option(
            help="Number format of its weights.", envvar=environment_name("encoder_dtype")
        ),
    ] = "float32",
    seed: Annotated[
        int,
        typer.Option(help="Seed of every random choice.", min=0, envvar=environment_name("seed")),
    ] = 0,
    json: AsJson = False,
) -> None:
    """Learn from past logs: publish a profile, or write a table; asks no model, spends nothing.

    Read are sample logs of lm-evaluation-harness, Inspect logs (.json, .eval), OpenAI batches
    (input, output and error files), LiteLLM spend logs, tables of recorded outcomes, and plain
    Parquet, CSV or JSON lines with --map. Logs of different models line up by the text of their
    questions. Bad rows go to dead_letters.jsonl.

    Exit codes: 0 done, 1 error, 2 usage, 4 more bad rows than --fail-on-error.
    """
    from tasks.importing.options import read_options
    from tasks.importing.publishing import ImportJob, import_logs

    settings = home(root, config)
    options = read_options(
        format=format,
        columns=map or (),
        model=model,
        model_map=model_map or (),
        tool=tool,
        dataset=dataset,
        split=split,
        grader=grader,
        metric=metric or (),
        filter=filter or (),
        score_range=score_range,
        free=free or (),
        labels=labels,
    )
    job = ImportJob(
        sources=tuple(paths),
        options=options,
        root=settings.root,
        out=out,
        publish=publish or out is None,
        fail_on_error=fail_on_error,
        clusters=_number_of_clusters(clusters),
        seed=seed,
        encoder=encoder,
        encoder_dtype=encoder_dtype,
    )
    report = import_logs(job)
    if json:
        data_json(_summary(report))
    _say(report, source=" ".join(paths))
    if report.too_many_bad:
        say(f"nothing was imported: more bad rows than --fail-on-error {fail_on_error:g} allows")
        raise typer.Exit(ROWS_FAILED)
    if report.profile is None and report.saved is not None:
        say(f"next: atlas evaluate {report.saved.directory}")
    elif report.pool_file is not None:
        say(f"next: atlas route BACKLOG --pool {report.pool_file} --root {settings.root}")


def _say(report: ImportReport, *, source: str) -> None:
    """Everything a person should hear, on standard error."""
    imported = report.imported
    if imported is not None:
        for warning in imported.warnings:
            say(f"note: {warning}")
        for problem in imported.problems[:SHOWN_PROBLEMS]:
            say(f"bad row: {problem}")
        _say_pairs(report)
        if imported.bad:
            say(f"bad rows: {imported.bad:,} of {imported.rows:,}, listed in {report.dead_letters}")
    if report.saved is not None:
        saved = report.saved
        say(f"{saved.directory} holds {saved.queries:,} questions and {saved.outcomes:,} outcomes")
        if saved.left_out:
            say(
                f"held-out questions that lack an outcome of some pair and were left out: "
                f"{saved.left_out:,}"
            )
    if report.profile is not None:
        show_profile(report.profile, source=source)
        say(
            f"profile {report.profile.profile_id} is published; {report.pool_file} replays what "
            f"was recorded"
        )


def _say_pairs(report: ImportReport) -> None:
    from profiles.pool import Pair
    from tasks.importing.publishing import pair_figures
    from tasks.report.formats import DASH, pair_label

    assert report.imported is not None
    rows = []
    for one in pair_figures(report.imported):
        cost, seconds, score = one["cost_usd"], one["duration_s"], one["score"]
        rows.append(
            [
                pair_label(Pair(one["model"], one["tool"]).pair_id),
                f"{one['outcomes']:,}",
                f"{one['scored']:,}",
                DASH if score is None else f"{score:.3f}",
                DASH if cost is None else f"{1000 * cost:.3g}",
                DASH if seconds is None else f"{seconds:.2f}",
                f"{one['failed']:,}",
            ]
        )
    heads = ["pair", "outcomes", "scored", "mean score", "$/1k", "seconds", "failed"]
    table(heads, rows, say)


def _number_of_clusters(text: str) -> int | Literal["auto"]:
    try:
        return read_clusters(text)
    except ValueError as error:
        raise UsageError(f"--clusters cannot be {text!r}: {error}") from None


def _summary(report: ImportReport) -> dict[str, Any]:
    """What `--json` writes."""
    imported, saved = report.imported, report.saved
    summary: dict[str, Any] = {
        "profile_id": report.profile.profile_id if report.profile else None,
        "pool": report.pool_file,
        "directory": saved.directory if saved else None,
        "dead_letters": report.dead_letters,
    }
    if imported is None:
        return summary
    from tasks.importing.publishing import pair_figures

    splits = dict(imported.queries.get_column("split").value_counts().sort("split").iter_rows())
    return summary | {
        "rows": imported.rows,
        "bad_rows": imported.bad,
        "questions": imported.queries.height,
        "splits": splits,
        "outcomes": imported.outcomes.height,
        "scored": imported.scored,
        "left_out": saved.left_out if saved else None,
        "files": [{"path": file.label, "format": file.format} for file in imported.files],
        "pairs": pair_figures(imported),
        "warnings": imported.warnings,
    }
