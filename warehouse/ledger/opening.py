"""Opening the ledger: to read and write it, or only to look."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal, overload

from warehouse.ledger.address import ledger_address

if TYPE_CHECKING:
    from warehouse.ledger.ledger import Ledger
    from warehouse.ledger.reading import LedgerReader


@overload
def open_ledger(
    root: Path, *, read_only: Literal[False] = False, url: str | None = None
) -> Ledger: ...
@overload
def open_ledger(
    root: Path, *, read_only: Literal[True], url: str | None = None
) -> LedgerReader: ...
def open_ledger(root: Path, *, read_only: bool = False, url: str | None = None) -> LedgerReader:
    """Open the ledger under `root` (SQLite, WAL, synchronous FULL), or the database at `url`.

    Raises:
        WarehouseError: it does not exist (read only), or cannot be used.
        LedgerVersionError: a newer ATLAS wrote it.
    """
    address = ledger_address(root, url)
    if read_only and address.file is not None and address.url is None:
        from warehouse.ledger.sqlite_reading import read_file

        return read_file(address, address.file)
    from warehouse.ledger.engine import open_engine
    from warehouse.ledger.ledger import Ledger

    engine, version = open_engine(root, address, read_only=read_only)
    return Ledger(engine, version)
