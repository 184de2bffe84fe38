"""The ledger itself: one object, a few verbs, each one transaction."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import Engine, RowMapping, and_, bindparam, func, or_, select, update
from sqlalchemy.exc import IntegrityError

from warehouse.errors import WarehouseError
from warehouse.ledger.apply import apply_entries
from warehouse.ledger.engine import open_engine
from warehouse.ledger.entries import Entry
from warehouse.ledger.invalidations import Invalidation, insert_invalidation, read_invalidations
from warehouse.ledger.runs import ChunkCounts, RunRecord, Spend, counts_from
from warehouse.ledger.schema import chunks, commits, requests, retries, runs
from warehouse.ledger.stored import StoredRequest, stored_request
from warehouse.ledger.times import aware, naive
from warehouse.money import dollars, from_nano, to_nano

if TYPE_CHECKING:
    from warehouse.commits import CommitRecord


class Ledger:
    """Durable record of runs, chunks, requests and commits; safe to share between threads."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def close(self) -> None:
        """Release the database."""
        self._engine.dispose()

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

    def run(self, run_id: str) -> RunRecord | None:
        """The run of that name, or None."""
        with self._engine.begin() as connection:
            row = connection.execute(select(runs).where(runs.c.run_id == run_id)).mappings().first()
        return None if row is None else _run_record(row)

    def runs(self) -> list[RunRecord]:
        """All runs, newest first."""
        with self._engine.begin() as connection:
            rows = connection.execute(select(runs).order_by(runs.c.started_at.desc())).mappings()
            return [_run_record(row) for row in rows]

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

    def chunk_states(self, run_id: str) -> dict[str, tuple[str, int, ChunkCounts]]:
        """State (planned | partial | committed), generation and counts of every chunk."""
        with self._engine.begin() as connection:
            rows = connection.execute(
                select(chunks).where(chunks.c.run_id == run_id).order_by(chunks.c.chunk_id)
            ).mappings()
            return {
                row["chunk_id"]: (row["state"], row["generation"], counts_from(row)) for row in rows
            }

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

    def generation(self, run_id: str, chunk_id: str) -> int:
        """How often a chunk was committed."""
        with self._engine.begin() as connection:
            generation: int = connection.execute(
                select(chunks.c.generation).where(
                    chunks.c.run_id == run_id, chunks.c.chunk_id == chunk_id
                )
            ).scalar_one()
        return generation

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

    def rounds(self, run_id: str, chunk_id: str) -> dict[str, tuple[int, bool]]:
        """Round of every query that was reopened, and whether that round is done."""
        with self._engine.begin() as connection:
            rows = connection.execute(
                select(retries).where(retries.c.run_id == run_id, retries.c.chunk_id == chunk_id)
            ).mappings()
            return {row["query_id"]: (row["round"], row["done"]) for row in rows}

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

    def requests(
        self, run_id: str, *, chunk_id: str | None = None, in_doubt: bool = False
    ) -> list[StoredRequest]:
        """Requests of a run, of one chunk of it, or those that ever were in doubt."""
        statement = select(requests).where(requests.c.run_id == run_id)
        if chunk_id is not None:
            statement = statement.where(requests.c.chunk_id == chunk_id)
        if in_doubt:
            statement = statement.where(requests.c.doubts > 0)
        with self._engine.begin() as connection:
            rows = connection.execute(statement.order_by(requests.c.claimed_at)).mappings()
            return [stored_request(row) for row in rows]

    def spend(self, run_id: str) -> Spend:
        """Money of a run: settled, kept for doubts, reserved."""
        statement = select(
            func.coalesce(func.sum(requests.c.cost_nano), 0),
            func.coalesce(func.sum(requests.c.doubt_nano), 0),
            func.coalesce(func.sum(requests.c.reserved_nano), 0),
            func.count().filter(
                and_(requests.c.state == "settled", requests.c.cost_nano.is_(None))
            ),
        ).where(requests.c.run_id == run_id)
        with self._engine.begin() as connection:
            settled, doubt, reserved, unpriced = connection.execute(statement).one()
        return Spend(dollars(int(settled)), dollars(int(doubt)), dollars(int(reserved)), unpriced)

    # --------------------------------------------------------------- commits

    def commits(
        self,
        table: str | None = None,
        run_id: str | None = None,
        chunk_id: str | None = None,
    ) -> list[CommitRecord]:
        """Chunk files that exist, in the order of their chunks."""
        from warehouse.commits import CommitRecord

        wanted = [
            condition
            for condition in (
                None if table is None else commits.c.table == table,
                None if run_id is None else commits.c.run_id == run_id,
                None if chunk_id is None else commits.c.chunk_id == chunk_id,
            )
            if condition is not None
        ]
        statement = select(commits).order_by(commits.c.run_id, commits.c.chunk_id)
        if wanted:
            statement = statement.where(and_(*wanted))
        with self._engine.begin() as connection:
            rows = connection.execute(statement).mappings()
            return [CommitRecord(**aware(dict(row))) for row in rows]

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
        said = Invalidation(pair_id, before, reason, run_id, datetime.now(UTC))
        with self._engine.begin() as connection:
            insert_invalidation(connection, said)

    def invalidations(self) -> list[Invalidation]:
        """Everything that was declared stale, in the order it was said."""
        with self._engine.begin() as connection:
            return read_invalidations(connection)


def open_ledger(root: Path, *, read_only: bool = False, url: str | None = None) -> Ledger:
    """Open the ledger under `root` (SQLite, WAL, synchronous FULL), or the database at `url`.

    Raises:
        WarehouseError: it does not exist (read only), or cannot be used.
        LedgerVersionError: a newer ATLAS wrote it.
    """
    return Ledger(open_engine(root, read_only=read_only, url=url))


def _run_record(row: RowMapping) -> RunRecord:
    fields = aware(dict(row))
    fields["max_cost_usd"] = from_nano(fields.pop("max_cost_nano"))
    return RunRecord(**fields)
