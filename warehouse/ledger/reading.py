"""The half of the ledger that is read: plain SQL, the same on SQLite and on PostgreSQL.

It goes without SQLAlchemy, whose import costs more than all a verb does that only looks: a file is
read by the standard library's driver (`warehouse.ledger.sqlite_reading`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from warehouse.ledger.invalidations import Invalidation
from warehouse.ledger.runs import ChunkCounts, RunRecord, Spend, counts_from
from warehouse.ledger.stored import StoredRequest, stored_request
from warehouse.ledger.times import moments
from warehouse.money import dollars, from_nano

if TYPE_CHECKING:
    from warehouse.commits import CommitRecord

LEDGER_VERSION = 2
"""Version of the tables that are written here, and the newest that can be read."""
_WITH_INVALIDATIONS = 2
"""The version that brought them."""

Row = Mapping[str, Any]


class Database(Protocol):
    """Where SQL goes: an SQLite file, or whatever SQLAlchemy is connected to."""

    def rows(self, sql: str, /, **values: object) -> Sequence[Row]:
        """All rows of one SELECT, read in one transaction; `:name` stands for a value."""
        ...

    def close(self) -> None:
        """Release the connection."""
        ...


class LedgerReader:
    """What runs, chunks, requests and commits are known; safe to share between threads.

    Args:
        database: holds the tables.
        version: of the tables; an earlier one lacks some.
    """

    def __init__(self, database: Database, version: int = LEDGER_VERSION) -> None:
        self._database = database
        self._version = version

    def close(self) -> None:
        """Release the database."""
        self._database.close()

    # ---------------------------------------------------------- runs, chunks

    def run(self, run_id: str) -> RunRecord | None:
        """The run of that name, or None."""
        rows = self._select("SELECT * FROM runs", run_id=run_id)
        return _run_record(rows[0]) if rows else None

    def runs(self) -> list[RunRecord]:
        """All runs, newest first."""
        return [_run_record(row) for row in self._select("SELECT * FROM runs", "started_at DESC")]

    def chunk_states(self, run_id: str) -> dict[str, tuple[str, int, ChunkCounts]]:
        """State (planned | partial | committed), generation and counts of every chunk."""
        rows = self._select("SELECT * FROM chunks", "chunk_id", run_id=run_id)
        return {
            row["chunk_id"]: (row["state"], row["generation"], counts_from(row)) for row in rows
        }

    def counts(self, run_id: str) -> ChunkCounts:
        """How the unique rows of a run ended, as far as its chunks are committed."""
        states = self.chunk_states(run_id).values()
        return sum((counts for _, _, counts in states), ChunkCounts())

    def generation(self, run_id: str, chunk_id: str) -> int:
        """How often a chunk was committed."""
        asked = "SELECT generation FROM chunks"
        (row,) = self._select(asked, run_id=run_id, chunk_id=chunk_id)
        return int(row["generation"])

    def rounds(self, run_id: str, chunk_id: str) -> dict[str, tuple[int, bool]]:
        """Round of every query that was reopened, and whether that round is done."""
        rows = self._select("SELECT * FROM retries", run_id=run_id, chunk_id=chunk_id)
        return {row["query_id"]: (row["round"], bool(row["done"])) for row in rows}

    # -------------------------------------------------------------- requests

    def requests(
        self, run_id: str, *, chunk_id: str | None = None, in_doubt: bool = False
    ) -> list[StoredRequest]:
        """Requests of a run, of one chunk of it, or those that ever were in doubt."""
        asked = "SELECT * FROM requests WHERE doubts > 0" if in_doubt else "SELECT * FROM requests"
        rows = self._select(asked, "claimed_at, request_id", run_id=run_id, chunk_id=chunk_id)
        return [stored_request(row) for row in rows]

    def spend(self, run_id: str) -> Spend:
        """Money of a run: settled, kept for doubts, reserved."""
        (row,) = self._select(
            "SELECT COALESCE(SUM(cost_nano), 0) AS settled, COALESCE(SUM(doubt_nano), 0) AS doubt,"
            " COALESCE(SUM(reserved_nano), 0) AS reserved, COUNT(CASE WHEN state = 'settled'"
            " AND cost_nano IS NULL THEN 1 END) AS unpriced FROM requests",
            run_id=run_id,
        )
        settled, doubt, reserved = (int(row[name]) for name in ("settled", "doubt", "reserved"))
        return Spend(dollars(settled), dollars(doubt), dollars(reserved), row["unpriced"])

    # --------------------------------------------------------------- commits

    def commits(
        self,
        table: str | None = None,
        run_id: str | None = None,
        chunk_id: str | None = None,
    ) -> list[CommitRecord]:
        """Chunk files that exist, in the order of their chunks."""
        from warehouse.commits import CommitRecord

        asked, ordered = "SELECT * FROM commits", "run_id, chunk_id"
        rows = self._select(asked, ordered, table=table, run_id=run_id, chunk_id=chunk_id)
        return [CommitRecord(**moments(row, "committed_at")) for row in rows]

    def invalidations(self) -> list[Invalidation]:
        """Everything that was declared stale, in the order it was said."""
        if self._version < _WITH_INVALIDATIONS:
            return []
        rows = self._select("SELECT * FROM invalidations", 'created_at, pair_id, "before"')
        return [Invalidation(**moments(row, "before", "created_at")) for row in rows]

    def _select(self, sql: str, order: str = "", **equal: str | None) -> Sequence[Row]:
        """Rows of a statement where the named columns equal what is given; None is anything."""
        values = {name: value for name, value in equal.items() if value is not None}
        if values:
            sql += " AND " if " WHERE " in sql else " WHERE "
            # Quoted: one of them is called "table".
            sql += " AND ".join(f'"{name}" = :{name}' for name in values)
        return self._database.rows(f"{sql} ORDER BY {order}" if order else sql, **values)


def _run_record(row: Row) -> RunRecord:
    fields = moments(row, "started_at", "ended_at")
    fields["max_cost_usd"] = from_nano(fields.pop("max_cost_nano"))
    return RunRecord(**fields)
