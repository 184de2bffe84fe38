"""Which ids and which questions were seen before: on disk, so that memory does not grow."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any, NamedTuple

from tasks.query import Query
from tasks.read.rows import BadRow

SCHEMA = """
CREATE TABLE ids (key TEXT PRIMARY KEY, row_index INTEGER, source TEXT, source_row INTEGER)
    WITHOUT ROWID;
CREATE TABLE questions (key TEXT PRIMARY KEY, row_index INTEGER, custom_id TEXT, answer BLOB)
    WITHOUT ROWID;
"""
# The file is thrown away at the end and begun anew after a crash: nothing in it needs to last.
SETTINGS = """
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
PRAGMA locking_mode = EXCLUSIVE;
PRAGMA cache_size = -65536;
"""
LOOKUP_KEYS = 500


class FirstUse(NamedTuple):
    """Where an id was used first."""

    source: str
    source_row: int


class FirstAsker(NamedTuple):
    """Who asked a question first, and whether the gold answer given then was another one."""

    custom_id: str
    differs: bool


class SeenIndex:
    """First uses of custom_ids and of questions, in an SQLite file of its own.

    Rows come in batches: a batch is inserted whole, ignoring keys that are there, and only where
    fewer rows went in than were given are the first uses looked up.
    """

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None)
        self._connection.executescript(SETTINGS + SCHEMA)
        self._connection.execute("BEGIN")

    def close(self) -> None:
        """Close the file; the caller deletes it."""
        self._connection.close()

    def claim_ids(self, batch: Iterable[Query | BadRow]) -> dict[int, FirstUse]:
        """Take the custom_ids of a batch; row_index -> first use, for ids taken before."""
        rows = [
            (item.custom_id, item.row_index, item.source, item.source_row)
            for item in batch
            if type(item) is Query
        ]
        if self._insert("INSERT OR IGNORE INTO ids VALUES (?, ?, ?, ?)", rows):
            return {}
        found = self._lookup("ids", [row[0] for row in rows])
        return {row[1]: FirstUse(*found[row[0]][1:]) for row in rows if found[row[0]][0] != row[1]}

    def claim_questions(self, queries: Sequence[Query]) -> dict[int, FirstAsker]:
        """Take the questions of a batch; row_index -> first asker, for those asked before."""
        rows = [
            (query.query_id, query.row_index, query.custom_id, _answer_key(query))
            for query in queries
        ]
        if self._insert("INSERT OR IGNORE INTO questions VALUES (?, ?, ?, ?)", rows):
            return {}
        found = self._lookup("questions", [row[0] for row in rows])
        repeats = {}
        for key, row_index, _, answer in rows:
            first_index, custom_id, first_answer = found[key]
            if first_index != row_index:
                differs = answer is not None and answer != first_answer
                repeats[row_index] = FirstAsker(custom_id, differs)
        return repeats

    def _insert(self, statement: str, rows: Sequence[tuple[str | int | bytes | None, ...]]) -> bool:
        """Insert a batch; whether every row of it was new."""
        before = self._connection.total_changes
        self._connection.executemany(statement, rows)
        return self._connection.total_changes - before == len(rows)

    def _lookup(self, table: str, keys: list[str]) -> dict[str, tuple[int, str, Any]]:
        """The stored row of each key."""
        found: dict[str, tuple[int, str, Any]] = {}
        for start in range(0, len(keys), LOOKUP_KEYS):
            some = keys[start : start + LOOKUP_KEYS]
            marks = ",".join("?" * len(some))
            statement = f"SELECT * FROM {table} WHERE key IN ({marks})"  # noqa: S608 - our names
            found.update((row[0], row[1:]) for row in self._connection.execute(statement, some))
        return found


def _answer_key(query: Query) -> bytes | None:
    """A short name of a gold answer, to notice that two rows disagree about it."""
    if query.reference is None:
        return None
    text = f"{query.reference.grader}\0{query.reference.value}"
    return blake2b(text.encode(), digest_size=8).digest()
