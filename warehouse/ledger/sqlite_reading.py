"""Reading a ledger that is a file, by the standard library's driver."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

from warehouse.errors import WarehouseError
from warehouse.ledger.address import LedgerAddress
from warehouse.ledger.reading import LedgerReader, Row
from warehouse.ledger.troubles import WAIT_S, explain, nothing_yet, refuse_newer


def read_file(address: LedgerAddress, file: Path) -> LedgerReader:
    """The ledger in a file, as it is: nothing is made, changed or brought up to date.

    Raises:
        NoLedgerError: there is none, or its making was never finished.
        WarehouseError: it cannot be read.
        LedgerVersionError: a newer version of ATLAS wrote it.
    """
    if not file.exists():
        raise nothing_yet(address)
    try:
        database = SqliteFile(file)
        try:
            version = database.version()
            refuse_newer(address, version)
            if version is None:
                raise nothing_yet(address)
        except BaseException:
            database.close()
            raise
    except sqlite3.Error as error:
        raise WarehouseError(explain(address, error)) from error
    return LedgerReader(database, version)


class SqliteFile:
    """One connection that never writes.

    Args:
        file: of the database; it is there.
    """

    def __init__(self, file: Path) -> None:
        # Not mode=ro: who reads a live WAL file must be able to write its index, `ledger.db-shm`.
        address = f"file:{quote(str(file.absolute()))}?mode=rw"
        self._connection = sqlite3.connect(
            address, uri=True, timeout=WAIT_S, isolation_level=None, check_same_thread=False
        )
        self._connection.row_factory = sqlite3.Row
        self._connection.execute("PRAGMA query_only = ON")

    def rows(self, sql: str, /, **values: object) -> Sequence[Row]:
        """All rows of one SELECT; `:name` stands for a value."""
        return [dict(row) for row in self._connection.execute(sql, values).fetchall()]

    def version(self) -> int | None:
        """Version of the ledger's tables; None where there are none, or were never finished."""
        if not self.rows("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'meta'"):
            return None
        found = self.rows("SELECT value FROM meta WHERE key = 'ledger_version'")
        return int(found[0]["value"]) if found else None

    def close(self) -> None:
        """Close the file."""
        self._connection.close()
