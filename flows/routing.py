"""One session of a routed backlog, with or without Prefect around it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import threading
from collections.abc import Coroutine, Mapping
from dataclasses import fields, replace
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from flows.console import say
from flows.progress import SessionProgress
from flows.run_places import answers_folder, dead_letters
from flows.settings import RouteSettings
from tasks.batch.stop import StopFlag
from tasks.report.formats import clean
from tasks.report.other_routers import BEST_SINGLE
from tasks.report.run_report import report_run
from tasks.route import Prepared, RouteJob, prepare, route
from warehouse.ledger import open_ledger

if TYPE_CHECKING:
    from profiles.pool import Pool
    from tasks.batch.spec import RunReport, Work, WrapChunk
    from tasks.read import Staged
    from tasks.report.facts import RouteFacts

T = TypeVar("T")


class RouteReport(NamedTuple):
    """How a backlog stands after a session.

    Attributes:
        status: complete | paused_budget | cancelled | failed.
        did_work: False where the run was complete before.
        failed_share: share of all rows, unreadable ones included, that failed.
        fatal: errors that closed a provider, by account or model.
        examples: for every type of error a sentence with one row as an example.
    """

    run_id: str
    status: str
    rows: int
    answered: int
    failed: int
    pending: int
    cost_usd: Decimal
    answers_path: Path
    dead_letter_path: Path | None
    did_work: bool
    failed_share: float
    fatal: dict[str, str]
    examples: tuple[str, ...]
    facts: RouteFacts


def route_session(
    settings: RouteSettings,
    *,
    env: Mapping[str, str] | None = None,
    wrap: WrapChunk = lambda work: work,
    flow_run_id: str | None = None,
) -> RouteReport:
    """Look everything up, say what begins, route or resume, track it, and gather the facts.

    Args:
        settings: what to route and how.
        env: where keys are looked up; the process's own environment by default.
        wrap: wraps the work of a chunk, in a Prefect task for example.
        flow_run_id: id of the Prefect flow run around it.

    Raises:
        Exception: what `tasks.route.prepare` and `tasks.route.route` raise.
    """
    from flows.remembered import remember
    from flows.tracked import tracked

    env = os.environ if env is None else env
    prepared = prepare(route_job(settings, flow_run_id), env=env)
    say(f"route {settings.backlog} as run {prepared.run_id} under {settings.root}")
    if prepared.choice:
        say(prepared.choice)
    say_sandbox(prepared.pool)
    remember(settings, prepared.run_id)
    params = settings.public() | prepared.identity
    with tracked(settings, prepared.run_id, "route", params) as run:

        def opened(work: Work) -> Work:
            # Only here is the run known to be ours: its name is not taken by another one.
            remember(settings, prepared.run_id)
            run.opened()
            return wrap(work)

        session = run_async(_route(settings, prepared, env, opened))
        report = _report(settings, session)
        run.route(report.facts)
    return report


def route_job(settings: RouteSettings, flow_run_id: str | None = None) -> RouteJob:
    """The job that the settings describe."""
    shared = {field.name for field in fields(RouteJob)} & set(type(settings).model_fields)
    return RouteJob(**{n: getattr(settings, n) for n in shared}, flow_run_id=flow_run_id)


async def _route(
    settings: RouteSettings, prepared: Prepared, env: Mapping[str, str], wrap: WrapChunk
) -> RunReport:
    from flows.unfinished import say_unfinished

    progress = SessionProgress(settings, prepared.run_id)

    def begun(staged: Staged) -> None:
        say_staged(settings.backlog, staged)
        say_unfinished(settings, prepared)

    return await route(
        prepared,
        env=env,
        progress=progress,
        stop=StopFlag(on_stop=lambda: progress.note(STOPPING)),
        wrap=wrap,
        on_staged=begun,
    )


SHOWN_LETTERS = 3
"""Unreadable rows that are said; all of them are in the dead-letter file."""
STOPPING = "Stopping: rows in flight are finished and kept. Ctrl-C once more kills the process."


def _report(settings: RouteSettings, report: RunReport) -> RouteReport:
    with contextlib.closing(open_ledger(settings.root, read_only=True)) as ledger:
        run = ledger.run(report.run_id)
    assert run is not None
    letters = dead_letters(settings.root, run)
    done = report.counts.answered + report.counts.failed + report.counts.in_doubt
    data = report_run(settings.root, report.run_id, against=(BEST_SINGLE,))
    facts = replace(
        data.facts(next_commands(report, data.doubts)),
        dead_letter=str(letters) if letters else None,
        resumed=report.resumed,
        elapsed_s=report.wall_s,
        session_rows=max(0, done - report.resumed),
    )
    return RouteReport(
        run_id=report.run_id,
        status=report.state,
        rows=facts.rows,
        answered=facts.answered,
        failed=facts.failed,
        pending=facts.pending,
        cost_usd=facts.spent_usd,
        answers_path=answers_folder(settings.root, report.run_id),
        dead_letter_path=letters,
        did_work=report.wall_s > 0,
        failed_share=failed_share(facts),
        fatal=report.fatal,
        examples=tuple(
            f"{kind.rows:,} rows {kind.status} with {kind.error_type}, such as "
            f"{kind.custom_id!r}: {clean(kind.message or 'no message')}"
            for kind in data.errors
        ),
        facts=facts,
    )


def failed_share(facts: RouteFacts) -> float:
    """Share of all rows, unreadable ones included, that failed."""
    total = facts.rows + facts.bad_rows
    return (facts.failed + facts.bad_rows) / total if total else 0.0


def next_commands(report: RunReport, doubts: int) -> tuple[str, ...]:
    """What to type after a session, the likeliest first; resuming is the caller's own command."""
    commands = []
    if doubts:
        commands.append(f"atlas runs show {report.run_id} --in-doubt")
    if report.state == "complete":
        if report.counts.failed:
            commands.append(f"atlas runs retry {report.run_id}")
        commands.append(f"atlas report {report.run_id}")
    return tuple(commands)


def say_staged(source: str, staged: Staged) -> None:
    """Tell what was read, what is odd about it, and where unreadable rows are listed."""
    parts = [f"{staged.unique:,} distinct questions", f"{staged.duplicates:,} duplicates"]
    parts.append(f"{staged.bad:,} unreadable rows")
    say(f"read {source}: {', '.join(parts)}")
    for warning in staged.warnings:
        say(f"note: {warning}")
    if staged.dead_letter_path:
        with staged.dead_letter_path.open(encoding="utf-8") as letters:
            for line in islice(letters, SHOWN_LETTERS):
                letter = json.loads(line)
                where = f"{letter['file']}, row {letter['row']}"
                field = f", {letter['field']}" if letter.get("field") else ""
                say(f"note: {where}{field}: {clean(letter['reason'])}")
        say(f"note: all unreadable rows, with reasons, are in {staged.dead_letter_path}")


def say_sandbox(pool: Pool) -> None:
    """Tell how far model-written programs are shut in, if the pool runs any."""
    tools = [pool.tools[pair.tool] for pair in pool.pairs]
    programs = [tool for tool in tools if tool.kind == "python"]
    if programs:
        from tasks.tools.isolation import detect_tier

        tier = detect_tier(all(tool.unsafe for tool in programs))
        say(f"sandbox for model-written programs: {tier.name}")


def run_async(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end, from a notebook's running event loop too."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(work)
    # A loop runs in this thread already: another thread gets one of its own.
    result: list[T] = []
    failure: list[BaseException] = []

    def run() -> None:
        try:
            result.append(asyncio.run(work))
        except BaseException as error:
            failure.append(error)

    thread = threading.Thread(target=run, name="atlas-run")
    thread.start()
    thread.join()
    with contextlib.suppress(IndexError):
        raise failure[0]
    return result[0]
