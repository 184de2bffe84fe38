"""One batch run: open or resume it, walk its chunks, say how it ended."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable, Mapping
from decimal import Decimal

from tasks.batch.answer import Answerer
from tasks.batch.chunk import ChunkReport, ChunkWorker
from tasks.batch.collector import rare_collections
from tasks.batch.item import ItemResult, ItemSource
from tasks.batch.opening import open_run
from tasks.batch.rows import RowContext
from tasks.batch.spec import BatchSettings, Equipment, ProgressSink, RunReport, WrapChunk
from tasks.batch.stop import StopFlag
from tasks.call.cashier import Cashier
from tasks.call.clock import Clock
from warehouse.budget import Budget
from warehouse.commits import remove_uncommitted
from warehouse.ledger import ChunkCounts, Ledger, LedgerWriter, SentLog, sent_log_path
from warehouse.money import to_nano
from warehouse.run_lock import run_lock

CHUNKS_AT_ONCE = 2
"""A second chunk begins while the first one drains, so that no connection idles between them."""


async def run_batch(
    settings: BatchSettings,
    *,
    ledger: Ledger,
    source: ItemSource,
    equipment: Equipment,
    progress: ProgressSink,
    stop: StopFlag,
    wrap: WrapChunk = lambda work: work,
    finalise: Callable[[], None] = lambda: None,
) -> RunReport:
    """Open the run or take it up where it stands, and work until it ends or must stop.

    Args:
        settings: what the run is.
        ledger: where it is recorded.
        source: its items, chunk by chunk.
        equipment: what it works with.
        progress: told of every row.
        stop: asked before every new row.
        wrap: wraps the work of a chunk, in a Prefect task for example.
        finalise: called once every chunk is committed, before the run is called complete.

    Raises:
        LedgerBusyError: another live process works on the run.
        WarehouseError: the run exists with another configuration, or its files cannot be written.
    """
    with run_lock(settings.root, settings.run_id), rare_collections():
        run = open_run(settings, ledger, source, equipment.clock)
        before = ledger.counts(settings.run_id)
        if run.state == "complete" and not (settings.resend and before.in_doubt):
            return _report(settings, ledger, "complete", before, before.total, 0.0, {})
        return await _work(
            settings, ledger, source, equipment, progress, stop, wrap, finalise, before
        )


async def _work(
    settings: BatchSettings,
    ledger: Ledger,
    source: ItemSource,
    equipment: Equipment,
    progress: ProgressSink,
    stop: StopFlag,
    wrap: WrapChunk,
    finalise: Callable[[], None],
    before: ChunkCounts,
) -> RunReport:
    clock = equipment.clock
    began = clock.monotonic()
    states = ledger.chunk_states(settings.run_id)
    resumed = before.answered + before.failed + (0 if settings.resend else before.in_doubt)
    spent = ledger.spend(settings.run_id)
    budget = Budget(to_nano(settings.max_cost_usd), to_nano(spent.total_usd) or 0)
    writer = LedgerWriter(ledger)
    sent_log = SentLog(sent_log_path(settings.root, settings.run_id))
    cashier = _cashier(settings, equipment, progress, writer, budget, sent_log)
    worker = _worker(settings, ledger, source, equipment, progress, stop, cashier)
    todo = [
        chunk_id
        for chunk_id, (state, _, counts) in states.items()
        if state != "committed" or (settings.resend and counts.in_doubt)
    ]
    progress.start(settings.unique_rows, resumed, settings.max_cost_usd)
    restore = stop.listen()
    try:
        closed = await _walk(
            todo,
            wrap(worker.work),
            lambda: stop.requested or budget.exhausted,
            stop.request,
            2 * worker.grace_s,
        )
    except Exception as error:
        with contextlib.suppress(Exception):
            ledger.update_run(settings.run_id, state="failed", message=str(error)[:500])
        raise
    finally:
        restore()
        await writer.close()
        sent_log.close()
        progress.finish()
    remove_uncommitted(settings.root, settings.run_id, ledger.commits(run_id=settings.run_id))
    counts = ledger.counts(settings.run_id)
    pending = settings.unique_rows - counts.total + counts.skipped
    if pending == 0:
        finalise()
    fatal = {account: str(error) for account, error in cashier.closed.items()}
    state = _state(pending, closed=closed, exhausted=budget.exhausted)
    if state == "complete" and settings.grows:
        # Between two rounds a run counts as running: killed here, it is taken up like any other.
        return _report(settings, ledger, state, counts, resumed, clock.monotonic() - began, fatal)
    _close(ledger, settings, state, fatal, clock)
    return _report(settings, ledger, state, counts, resumed, clock.monotonic() - began, fatal)


def _cashier(
    settings: BatchSettings,
    equipment: Equipment,
    progress: ProgressSink,
    writer: LedgerWriter,
    budget: Budget,
    sent_log: SentLog,
) -> Cashier:
    return Cashier(
        run_id=settings.run_id,
        pool=equipment.pool,
        clients=equipment.clients,
        ledger=writer,
        budget=budget,
        limiter=equipment.limiter,
        retry=equipment.retry,
        clock=equipment.clock,
        rng=random.Random(settings.seed),
        in_flight=asyncio.Semaphore(settings.concurrency),
        resend=settings.resend,
        note_sent=sent_log.note,
        on_charge=lambda nano: progress.advance(0, Decimal(nano).scaleb(-9)),
        note=progress.note,
    )


def _worker(
    settings: BatchSettings,
    ledger: Ledger,
    source: ItemSource,
    equipment: Equipment,
    progress: ProgressSink,
    stop: StopFlag,
    cashier: Cashier,
) -> ChunkWorker:
    def on_row(_result: ItemResult) -> None:
        progress.advance(1, Decimal(0))

    return ChunkWorker(
        root=settings.root,
        run_id=settings.run_id,
        kind=settings.kind,
        source=source,
        ledger=ledger,
        answerer=Answerer(
            cashier,
            tools=equipment.tools,
            graders=equipment.graders,
            fallbacks=settings.fallbacks if settings.kind == "route" else 0,
            seed=settings.seed,
            judge=settings.judge,
        ),
        slots=asyncio.Semaphore(settings.concurrency + settings.concurrency // 2),
        stopping=lambda: stop.requested,
        on_row=on_row,
        shared=RowContext(
            run_id=settings.run_id,
            chunk_id="",
            kind=settings.kind,
            pool=equipment.pool,
            router=settings.router,
            profile_id=settings.profile_id,
            now=equipment.clock.now(),
        ),
        clock=equipment.clock,
        code_version=settings.code_version,
        hold_doubts=not settings.resend,
        grace_s=max(spec.limits.timeout_s for spec in equipment.pool.models.values()),
    )


async def _walk(
    todo: list[str],
    work: Callable[[str], Awaitable[ChunkReport]],
    stopping: Callable[[], bool],
    halt: Callable[[], None],
    grace_s: float,
) -> bool:
    """Work chunks in order, a few at once; returns whether all providers were closed.

    Where one chunk fails, the others stop as if by hand: what they have in flight is paid for.
    """
    running: set[asyncio.Future[ChunkReport]] = set()
    closed = False
    waiting = iter(todo)
    try:
        while True:
            while len(running) < CHUNKS_AT_ONCE and not closed and not stopping():
                chunk_id = next(waiting, None)
                if chunk_id is None:
                    break
                running.add(asyncio.ensure_future(work(chunk_id)))
            if not running:
                return closed
            done, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            closed = closed or any(task.result().closed for task in done)
    except Exception:
        halt()
        if running:
            await asyncio.wait(running, timeout=grace_s)
        raise
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


def _state(pending: int, *, closed: bool, exhausted: bool) -> str:
    if pending == 0:
        return "complete"
    if closed:
        return "failed"
    return "paused_budget" if exhausted else "cancelled"


def _close(
    ledger: Ledger, settings: BatchSettings, state: str, fatal: Mapping[str, str], clock: Clock
) -> None:
    ledger.update_run(
        settings.run_id,
        state=state,
        ended_at=clock.now(),
        message="; ".join(f"{account}: {error}" for account, error in fatal.items()) or None,
    )


def _report(
    settings: BatchSettings,
    ledger: Ledger,
    state: str,
    counts: ChunkCounts,
    resumed: int,
    wall_s: float,
    fatal: dict[str, str],
) -> RunReport:
    return RunReport(
        run_id=settings.run_id,
        state=state,
        rows=settings.rows,
        unique_rows=settings.unique_rows,
        bad_rows=settings.bad_rows,
        counts=counts,
        pending=settings.unique_rows - counts.total + counts.skipped,
        resumed=resumed,
        spend=ledger.spend(settings.run_id),
        wall_s=wall_s,
        fatal=fatal,
    )
