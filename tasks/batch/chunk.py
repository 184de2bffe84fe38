"""Working one chunk: items in, committed files out.

Everything a chunk did is either in the ledger (claims and settlements, durable as they happen) or
in its committed files; nothing else survives a crash and nothing else is needed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tasks.batch.answer import Answerer, ProvidersClosedError
from tasks.batch.draft import Draft, drafted, ended, whole_chunk
from tasks.batch.item import Item, ItemResult, ItemSource
from tasks.batch.rows import OUTCOME_TABLES, RowContext, Tables
from warehouse.checks import check_chunk
from warehouse.commits import CommitRecord, verify, write_file
from warehouse.fault_points import fault_point
from warehouse.ledger import ChunkCounts, Ledger, StoredRequest

if TYPE_CHECKING:
    from tasks.call.clock import Clock


class ChunkReport(NamedTuple):
    """How one chunk ended."""

    chunk_id: str
    counts: ChunkCounts
    complete: bool
    closed: bool
    """Whether every provider was closed by a fatal error while it was worked."""


def _set_event() -> asyncio.Event:
    event = asyncio.Event()
    event.set()
    return event


@dataclass(slots=True)
class ChunkWorker:
    """Works chunks of one run; safe to work several at a time in one event loop.

    Attributes:
        slots: rows begun over all chunks: half as many again as requests may be in flight, because
            rows whose claim or settlement is being written need no connection.
        preparing: held by the chunk that loads its rows: two at once would both be late.
        under_way: set once a row of the chunk that loaded last has ended: the next one loads while
            that chunk is worked, but not beside the first claims, which would be late by it.
        turn: held by the chunk that begins rows.
        stopping: whether the user asked to stop; rows not begun are left for later.
        grace_s: after an error, how long rows in flight may take to end: they are paid for.
        on_row: told of every row that ends.
        shared: columns that every row shares but the chunk's own id and time.
    """

    root: Path
    run_id: str
    kind: str
    source: ItemSource
    ledger: Ledger
    answerer: Answerer
    slots: asyncio.Semaphore
    stopping: Callable[[], bool]
    on_row: Callable[[ItemResult], None]
    shared: RowContext
    clock: Clock
    code_version: str
    hold_doubts: bool
    grace_s: float
    preparing: asyncio.Lock = field(default_factory=asyncio.Lock)
    under_way: asyncio.Event = field(default_factory=_set_event)
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def work(self, chunk_id: str) -> ChunkReport:
        """Work one chunk from wherever it stands to a commit.

        Raises:
            WarehouseError: its files could not be written or its earlier ones not read.
        """
        async with self.preparing:
            await self.under_way.wait()
            todo, earlier, stored = await asyncio.to_thread(self._prepare, chunk_id)
            self.under_way.clear()
        closed = asyncio.Event()

        async def draft(results: list[ItemResult]) -> Draft | None:
            # What an earlier generation left is merged with all rows, not with some of them.
            if earlier or not results:
                return None
            return await asyncio.to_thread(drafted, results, {}, self._context(chunk_id))

        try:
            results, first = await self._answer_all(todo, chunk_id, stored, closed, draft)
        finally:
            self.under_way.set()
        if not any(result.tried for result in results) and not earlier:
            # Stopped before the first row: there is nothing to say about this chunk yet.
            return ChunkReport(chunk_id, ChunkCounts(), False, closed.is_set())
        return await asyncio.to_thread(
            self._commit, chunk_id, results, earlier, first, closed.is_set()
        )

    def _context(self, chunk_id: str) -> RowContext:
        return replace(self.shared, chunk_id=chunk_id, now=self.clock.now())

    def _prepare(self, chunk_id: str) -> tuple[list[Item], Tables, dict[str, StoredRequest]]:
        items = self.source.load(chunk_id)
        earlier, done = self._earlier(chunk_id)
        rounds = self.ledger.rounds(self.run_id, chunk_id)
        todo = []
        for item in items:
            round_, round_done = rounds.get(item.query.query_id, (0, True))
            if item.key in done and round_done:
                continue
            todo.append(replace(item, round=round_))
        stored = {
            request.request_id: request
            for request in self.ledger.requests(self.run_id, chunk_id=chunk_id)
        }
        return todo, earlier, stored

    def _earlier(self, chunk_id: str) -> tuple[Tables, set[str]]:
        """Committed rows of an earlier generation and the keys of items they finish."""
        import pyarrow.parquet as pq

        tables: Tables = {}
        for record in self.ledger.commits(run_id=self.run_id, chunk_id=chunk_id):
            verify(self.root, record)
            tables[record.table] = pq.read_table(
                self.root / record.path, partitioning=None
            ).to_pylist()
        if self.kind in OUTCOME_TABLES:
            return tables, {
                f"{row['query_id']}|{row['pair_id']}"
                for row in tables.get(OUTCOME_TABLES[self.kind], [])
                if row["error_type"] is None
            }
        finished = {"answered", "failed"} | ({"in_doubt"} if self.hold_doubts else set())
        return tables, {
            row["query_id"] for row in tables.get("answers", []) if row["status"] in finished
        }

    async def _answer_all(
        self,
        items: Sequence[Item],
        chunk_id: str,
        stored: Mapping[str, StoredRequest],
        closed: asyncio.Event,
        draft: Callable[[list[ItemResult]], Coroutine[None, None, Draft | None]],
    ) -> tuple[list[ItemResult], Draft | None]:
        """Results of all rows, in order, and what `draft` made of the first of them."""
        exhausted = asyncio.Event()
        broken: list[Exception] = []
        grace: asyncio.TimerHandle | None = None

        async def one(item: Item) -> ItemResult:
            nonlocal grace
            if closed.is_set():
                return ItemResult(item, "skipped_provider", error_type="provider_closed")
            if exhausted.is_set():
                return ItemResult(item, "skipped_budget", error_type="budget")
            if broken or self.stopping():
                return ItemResult(item, "skipped_cancelled", error_type="cancelled")
            try:
                result = await self.answerer.answer(item, chunk_id, stored)
            except ProvidersClosedError:
                closed.set()
                return ItemResult(item, "skipped_provider", error_type="provider_closed")
            except Exception as error:
                if grace is None:
                    loop = asyncio.get_running_loop()
                    grace = loop.call_later(self.grace_s, _cancel, tasks)
                broken.append(error)
                return ItemResult(item, "skipped_cancelled", error_type="cancelled")
            if result.status == "skipped_budget":
                exhausted.set()
            if result.finished:
                self.on_row(result)
            return result

        tasks: list[asyncio.Task[ItemResult]] = []
        try:
            async with asyncio.TaskGroup() as group, self.turn:
                # A chunk begins its rows before the next one begins any: the first to start is
                # the first to be committed. A task per row in flight, not per row of the chunk.
                for item in items:
                    await self.slots.acquire()
                    task = group.create_task(one(item))
                    task.add_done_callback(self._free)
                    tasks.append(task)
                # Not of the group: its error must not end rows that are being paid for.
                drafting = asyncio.ensure_future(draft(ended(tasks)))
        except BaseExceptionGroup as group_error:
            # Whatever is no error of a row, an exit say, ends everything at once and as itself.
            raise _first(group_error) from group_error
        finally:
            if grace is not None:
                grace.cancel()
        if broken:
            # Rows do not fail by exceptions, so all of these have one cause: say the first.
            drafting.cancel()
            raise broken[0]
        return [task.result() for task in tasks], await drafting

    def _free(self, _task: asyncio.Task[ItemResult]) -> None:
        self.slots.release()
        self.under_way.set()

    def _commit(
        self,
        chunk_id: str,
        results: Sequence[ItemResult],
        earlier: Tables,
        draft: Draft | None,
        closed: bool,
    ) -> ChunkReport:
        context = self._context(chunk_id)
        _, rows, data = whole_chunk(draft, results, earlier, context)
        check_chunk(data)
        counts = _counts(rows, results, self.kind)
        complete = all(result.finished for result in results)
        generation = self.ledger.generation(self.run_id, chunk_id)
        file_id = chunk_id if generation == 0 else f"{chunk_id}.g{generation}"

        def write(name: str) -> CommitRecord:
            record = write_file(
                self.root,
                table=name,
                run_id=self.run_id,
                chunk_id=file_id,
                data=data[name],
                code_version=self.code_version,
                now=context.now,
            )
            return replace(record, chunk_id=chunk_id)

        written = [name for name, table in data.items() if table.num_rows]
        # Each file waits for the disk twice; together they wait as long as one.
        with ThreadPoolExecutor(max_workers=max(1, len(written))) as threads:
            records = list(threads.map(write, written))
        fault_point("before_commit")
        final = [r.item for r in results if r.finished and r.status != "in_doubt"]
        self.ledger.commit_chunk(
            self.run_id,
            chunk_id,
            records=records,
            counts=counts,
            complete=complete,
            finished=[item.query.query_id for item in final] if self.kind == "route" else (),
        )
        retried = [item.query.query_id for item in final if item.round]
        if retried:
            self.ledger.finish_rounds(self.run_id, chunk_id, retried)
        fault_point("after_commit")
        return ChunkReport(chunk_id, counts, complete, closed)


def _counts(rows: Tables, results: Sequence[ItemResult], kind: str) -> ChunkCounts:
    if kind in OUTCOME_TABLES:
        outcomes = rows[OUTCOME_TABLES[kind]]
        failed = sum(1 for row in outcomes if row["error_type"] is not None)
        skipped = sum(1 for result in results if not result.finished)
        return ChunkCounts(len(outcomes) - failed, failed, skipped, 0)
    status = [row["status"] for row in rows["answers"]]
    return ChunkCounts(
        status.count("answered"),
        status.count("failed"),
        sum(1 for one in status if one.startswith("skipped")),
        status.count("in_doubt"),
    )


def _cancel(tasks: Sequence[asyncio.Task[ItemResult]]) -> None:
    for task in tasks:
        task.cancel()


def _first(error: BaseException) -> BaseException:
    return _first(error.exceptions[0]) if isinstance(error, BaseExceptionGroup) else error
