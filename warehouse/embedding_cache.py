"""Embeddings kept on disk by (encoder fingerprint, text hash), so that no text is embedded twice.

It is only a cache: a damaged file is set aside and begun anew, and a disk that refuses costs time,
never a run. Every vector carries a checksum; one that fails it counts as absent.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
import zlib
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Self, TypeVar

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float32]
_T = TypeVar("_T")

_logger = logging.getLogger(__name__)

_STORED = np.dtype("<f4")
_BATCH = 500
_DAMAGE = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR)
"""SQLITE_ERROR is a table or column that is not as declared: a file of another making."""
_SCHEMA = (
    """CREATE TABLE IF NOT EXISTS encoders (
        id INTEGER PRIMARY KEY, fingerprint TEXT NOT NULL, dimension INTEGER NOT NULL,
        UNIQUE (fingerprint, dimension))""",
    """CREATE TABLE IF NOT EXISTS vectors (
        encoder INTEGER NOT NULL, hash TEXT NOT NULL, checksum INTEGER NOT NULL,
        vector BLOB NOT NULL, UNIQUE (encoder, hash))""",
)
_SELECT = "SELECT hash, checksum, vector FROM vectors WHERE encoder = ? AND hash IN "
_INSERT = "INSERT OR REPLACE INTO vectors (encoder, hash, checksum, vector) VALUES (?, ?, ?, ?)"


class EmbeddingCache:
    """Vectors of one encoder; the file may hold those of several.

    Safe under several processes and threads. Damage costs the file, a lock held for too long costs
    one call, and any other refusal of the disk (full, read-only) turns the cache off with a
    warning: it then knows nothing and keeps nothing.

    Args:
        path: the SQLite file; its folder is made.
        fingerprint: of the encoder. Vectors of another fingerprint are never returned.
        dimension: D, numbers in a vector.
        busy_timeout_s: how long to wait for another process that is writing.
    """

    def __init__(
        self, path: Path, fingerprint: str, dimension: int, *, busy_timeout_s: float = 30.0
    ) -> None:
        if dimension < 1:
            raise ValueError(f"an embedding has at least one dimension, not {dimension}")
        self._path = path
        self._fingerprint = fingerprint
        self._dimension = dimension
        self._busy_timeout_s = busy_timeout_s
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._inode = 0
        self._encoder = 0
        self._off = False
        with self._lock:
            self._guarded(lambda _connection: None, "open")

    def get_many(self, hashes: Sequence[str]) -> dict[str, Vector]:
        """Known vectors by hash: (D,) float32 each, read-only; absent hashes are left out."""
        with self._lock:
            return self._guarded(lambda connection: self._read(connection, hashes), "read") or {}

    def put_many(self, hashes: Sequence[str], matrix: NDArray[np.floating]) -> None:
        """Keep n vectors, in place of what was kept under the same hashes.

        Args:
            hashes: n text hashes.
            matrix: (n, D), stored as float32.

        Raises:
            ValueError: the matrix is not (n, D).
        """
        expected = (len(hashes), self._dimension)
        if matrix.shape != expected:
            raise ValueError(f"the embeddings have shape {matrix.shape}, expected {expected}")
        with self._lock:
            self._guarded(lambda connection: self._write(connection, hashes, matrix), "write to")

    def close(self) -> None:
        """Close the file; the cache cannot be used afterwards."""
        with self._lock:
            self._off = True
            self._drop()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def _guarded(self, action: Callable[[sqlite3.Connection], _T], doing: str) -> _T | None:
        """Run an action on the open file; None where the file would not have it."""
        for _ in range(2):
            if self._off:
                break
            try:
                return action(self._connection or self._open())
            except (sqlite3.Error, OSError) as error:
                self._drop()
                if not self._recovered(error, doing):
                    break
        return None

    def _recovered(self, error: Exception, doing: str) -> bool:
        """Whether trying again is worth it, after dealing with the error."""
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if self._replaced():
            return True
        if code in _DAMAGE:
            try:
                self._set_aside()
            except OSError as refusal:
                error = refusal
            else:
                return True
        elif code == sqlite3.SQLITE_BUSY:
            _logger.warning("The embedding cache %s is locked; going on without it.", self._path)
            return False
        _logger.warning(
            "Cannot %s the embedding cache %s (%s); texts are embedded anew in this run.",
            doing,
            self._path,
            error,
        )
        self._off = True
        return False

    def _open(self) -> sqlite3.Connection:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._connection = connection = sqlite3.connect(
            self._path,
            timeout=self._busy_timeout_s,
            isolation_level=None,
            check_same_thread=False,
        )
        self._inode = self._path.stat().st_ino
        # A vector of 384 numbers wastes a quarter of the usual 4 KiB page.
        connection.execute("PRAGMA page_size=16384")
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")
        for statement in _SCHEMA:
            connection.execute(statement)
        encoder = (self._fingerprint, self._dimension)
        connection.execute(
            "INSERT OR IGNORE INTO encoders (fingerprint, dimension) VALUES (?, ?)", encoder
        )
        found = connection.execute(
            "SELECT id FROM encoders WHERE fingerprint = ? AND dimension = ?", encoder
        )
        self._encoder = int(found.fetchone()[0])
        return connection

    def _read(self, connection: sqlite3.Connection, hashes: Sequence[str]) -> dict[str, Vector]:
        found: dict[str, Vector] = {}
        for start in range(0, len(hashes), _BATCH):
            batch = hashes[start : start + _BATCH]
            marks = f"({','.join('?' * len(batch))})"
            rows = connection.execute(_SELECT + marks, (self._encoder, *batch))
            for key, checksum, blob in rows:
                if len(blob) == self._dimension * _STORED.itemsize and zlib.crc32(blob) == checksum:
                    found[key] = np.frombuffer(blob, _STORED).astype(np.float32, copy=False)
        return found

    def _write(
        self, connection: sqlite3.Connection, hashes: Sequence[str], matrix: NDArray[np.floating]
    ) -> None:
        blobs = [row.tobytes() for row in np.ascontiguousarray(matrix, _STORED)]
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany(
            _INSERT,
            [
                (self._encoder, key, zlib.crc32(blob), blob)
                for key, blob in zip(hashes, blobs, strict=True)
            ],
        )
        connection.execute("COMMIT")

    def _drop(self) -> None:
        """Close the connection, which rolls back what it had begun."""
        if self._connection is not None:
            with suppress(sqlite3.Error):
                self._connection.close()
            self._connection = None

    def _replaced(self) -> bool:
        """Whether another process set our file aside while we had it open."""
        try:
            return self._path.stat().st_ino != self._inode
        except FileNotFoundError:
            return self._inode != 0
        except OSError:
            return False

    def _set_aside(self) -> None:
        aside = self._path.with_name(f"{self._path.name}.damaged")
        self._path.replace(aside)
        for suffix in ("-wal", "-shm"):
            self._path.with_name(self._path.name + suffix).unlink(missing_ok=True)
        _logger.warning(
            "The embedding cache %s was damaged; it is set aside as %s and begun anew.",
            self._path,
            aside,
        )
