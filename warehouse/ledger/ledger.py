"""The ledger itself: what is read (`warehouse.ledger.reading`), and verbs that each write once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import Engine, and_, bindparam, func, or_, select, text, update
from sqlalchemy.exc import IntegrityError

from warehouse.errors import WarehouseError
from warehouse.ledger.apply import apply_entries, invalidation_insert
from warehouse.ledger.invalidations import Invalidation
from warehouse.ledger.reading import LEDGER_VERSION, LedgerReader
from warehouse.ledger.schema import chunks, commits, requests, retries, runs
from warehouse.ledger.times import naive
from warehouse.money import to_nano

if TYPE_CHECKING:
    from warehouse.commits import CommitRecord
    from warehouse.ledger.entries import Entry
    from warehouse.ledger.reading import Row
    from warehouse.ledger.runs import ChunkCounts, RunRecord


class Ledger(LedgerReader):
    """Durable record of runs, chunks, requests and commits; safe to share between threads.

    Args:
        engine: connected to it.
        version: of its tables.
    """

    def __init__(self, engine: Engine, version: int = LEDGER_VERSION) -> None:
        super().__init__(_Sqlalchemy(engine), version)
        self._engine = engine

    # ------------------------------------------------------------------ runs

    def create_run(self, run: RunRecord, chunk_ids: Sequence[str]) -> None:
        """Record a run and its planned chunks, in one transaction.

        Raises:
            WarehouseError: a run of that name is recorded already.
        """
        row = asdict(run)
        row["max_cost_nano"] = to_nano(row.pop("max_cost_usd"))
        planned = [
            {"run_id": run.run_id, "chunk_id": chunk_id, "state": "planned"}
            for chunk_id in chunk_ids
        ]
        try:
            with self._engine.begin() as connection:
                connection.execute(runs.insert(), naive(row))
                if planned:
                    connection.execute(chunks.insert(), planned)
        except IntegrityError:
            raise WarehouseError(
                f"Run {run.run_id!r} is recorded already: another process began it in this "
                "moment. The same command resumes it once that process has ended."
            ) from None

    def update_run(self, run_id: str, **fields: Any) -> None:  # noqa: ANN401
        """Change columns of a run; `max_cost_usd` is taken in dollars."""
        if "max_cost_usd" in fields:
            fields["max_cost_nano"] = to_nano(fields.pop("max_cost_usd"))
        with self._engine.begin() as connection:
            connection.execute(update(runs).where(runs.c.run_id == run_id).values(**naive(fields)))

    def delete_run(self, run_id: str) -> None:
        """Forget a run that never sent a request.

        Raises:
            WarehouseError: the run has requests; they are the billing truth and stay.
        """
        with self._engine.begin() as connection:
            paid = connection.execute(
                select(func.count()).where(
                    requests.c.run_id == run_id,
                    or_(requests.c.sends > 0, requests.c.state != "refused"),
                )
            ).scalar_one()
            if paid:
                raise WarehouseError(
                    f"Run {run_id!r} has {paid} requests in the ledger and cannot be forgotten."
                )
            for table in (chunks, retries, commits, runs):
                connection.execute(table.delete().where(table.c.run_id == run_id))

    # ---------------------------------------------------------------- chunks

    def add_chunks(self, run_id: str, chunk_ids: Sequence[str]) -> None:
        """Plan further chunks of a run that grows in rounds; known ones stay as they are."""
        planned = self.chunk_states(run_id)
        rows = [
            {"run_id": run_id, "chunk_id": chunk_id, "state": "planned"}
            for chunk_id in chunk_ids
            if chunk_id not in planned
        ]
        if rows:
            with self._engine.begin() as connection:
                connection.execute(chunks.insert(), rows)

    def commit_chunk(
        self,
        run_id: str,
        chunk_id: str,
        *,
        records: Sequence[CommitRecord],
        counts: ChunkCounts,
        complete: bool,
        finished: Iterable[str] = (),
    ) -> None:
        """Make a chunk's files exist: one transaction replaces its commits and closes it.

        Payloads that replay paid answers are dropped for a complete chunk, and for the `finished`
        queries of one that is partial or holds doubts: their rows are in the committed files now.
        """
        with self._engine.begin() as connection:
            of_chunk = and_(commits.c.run_id == run_id, commits.c.chunk_id == chunk_id)
            connection.execute(commits.delete().where(of_chunk))
            if records:
                connection.execute(commits.insert(), [naive(asdict(record)) for record in records])
            connection.execute(
                update(chunks)
                .where(chunks.c.run_id == run_id, chunks.c.chunk_id == chunk_id)
                .values(
                    state="committed" if complete else "partial",
                    generation=chunks.c.generation + 1,
                    committed_at=datetime.now(UTC).replace(tzinfo=None),
                    **asdict(counts),
                )
            )
            stale = [requests.c.run_id == run_id, requests.c.chunk_id == chunk_id]
            if not complete or counts.in_doubt:
                stale.append(requests.c.query_id.in_(list(finished)))
            connection.execute(update(requests).where(*stale).values(payload=None))

    def commit_files(self, run_id: str, records: Sequence[CommitRecord]) -> None:
        """Make files exist that belong to a run but to none of its planned chunks."""
        with self._engine.begin() as connection:
            for record in records:
                connection.execute(
                    commits.delete().where(
                        commits.c.run_id == run_id,
                        commits.c.chunk_id == record.chunk_id,
                        commits.c.table == record.table,
                    )
                )
                connection.execute(commits.insert(), naive(asdict(record)))

    def reopen(self, run_id: str, queries: Mapping[str, str]) -> None:
        """Ask for another round of failed queries (`query_id → chunk_id`); see `rounds`."""
        with self._engine.begin() as connection:
            for query_id, chunk_id in queries.items():
                known = connection.execute(
                    select(retries.c.round).where(
                        retries.c.run_id == run_id, retries.c.query_id == query_id
                    )
                ).scalar_one_or_none()
                if known is None:
                    connection.execute(
                        retries.insert(),
                        {
                            "run_id": run_id,
                            "query_id": query_id,
                            "chunk_id": chunk_id,
                            "round": 1,
                            "done": False,
                        },
                    )
                else:
                    connection.execute(
                        update(retries)
                        .where(retries.c.run_id == run_id, retries.c.query_id == query_id)
                        .values(round=known + 1, done=False)
                    )
            connection.execute(
                update(chunks)
                .where(chunks.c.run_id == run_id, chunks.c.chunk_id.in_(set(queries.values())))
                .values(state="partial")
            )
            connection.execute(
                update(runs).where(runs.c.run_id == run_id).values(state="cancelled", message=None)
            )

    def finish_rounds(self, run_id: str, chunk_id: str, query_ids: Sequence[str]) -> None:
        """Mark the current round of these queries as done."""
        with self._engine.begin() as connection:
            connection.execute(
                update(retries)
                .where(
                    retries.c.run_id == run_id,
                    retries.c.chunk_id == chunk_id,
                    retries.c.query_id.in_(query_ids),
                )
                .values(done=True)
            )

    # -------------------------------------------------------------- requests

    def apply(self, entries: Sequence[Entry]) -> None:
        """Write entries durably, in order, in one transaction."""
        with self._engine.begin() as connection:
            apply_entries(connection, entries)

    def doubt_orphans(self, run_id: str, *, sent: set[str] | None = None) -> int:
        """Settle what a dead owner left claimed; call it only while holding the run's lock.

        Args:
            run_id: the run.
            sent: requests known to have left; claims outside it never did and are free again.
                None where that is unknown: then every claim is in doubt.

        Returns:
            The number of requests whose fate is unknown.
        """
        orphaned = and_(requests.c.run_id == run_id, requests.c.state == "claimed")
        with self._engine.begin() as connection:
            if sent is not None:
                claimed = connection.execute(select(requests.c.request_id).where(orphaned))
                unsent = [{"id_": id_} for id_ in claimed.scalars() if id_ not in sent]
                if unsent:
                    connection.execute(
                        update(requests)
                        .where(requests.c.request_id == bindparam("id_"))
                        .values(state="refused", reserved_nano=0),
                        unsent,
                    )
            result = connection.execute(
                update(requests)
                .where(orphaned)
                .values(
                    state="in_doubt",
                    doubts=requests.c.doubts + 1,
                    doubt_nano=requests.c.doubt_nano + requests.c.reserved_nano,
                    reserved_nano=0,
                    doubt_reason="the run was killed between sending and settling",
                )
            )
        return int(result.rowcount)

    # --------------------------------------------------------- invalidations

    def invalidate(
        self, pair_id: str, *, before: datetime, reason: str, run_id: str | None = None
    ) -> None:
        """Declare a pair's outcomes from before a moment stale; they are planned again.

        Saying it again for the same pair and moment changes nothing, the first reason included.

        Args:
            pair_id: the pair, `model@@tool`.
            before: outcomes of attempts made before this moment no longer count; with a zone.
            reason: a sentence for people.
            run_id: the run that found it out.

        Raises:
            WarehouseError: the moment has no time zone.
        """
        if before.tzinfo is None:
            raise WarehouseError(
                f"The invalidation of pair {pair_id!r} names {before.isoformat()} without a time "
                "zone; give the moment in UTC."
            )
        said = Invalidation(pair_id, before, reason, run_id, datetime.now(UTC))
        with self._engine.begin() as connection:
            connection.execute(invalidation_insert(connection.dialect.name), naive(asdict(said)))


class _Sqlalchemy:
    """Any database that SQLAlchemy is connected to; see `warehouse.ledger.reading.Database`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def rows(self, sql: str, /, **values: object) -> Sequence[Row]:
        """All rows of one SELECT; `:name` stands for a value."""
        with self._engine.begin() as connection:
            return [dict(row) for row in connection.execute(text(sql), values).mappings()]

    def close(self) -> None:
        """Release the connections."""
        self._engine.dispose()
