"""Where the ledger is: a file beside the tables, or the database that a variable names."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from warehouse.errors import WarehouseError

if TYPE_CHECKING:
    from sqlalchemy import URL

LEDGER_FILE = "ledger.db"
LEDGER_URL_VARIABLE = "ATLAS_LEDGER_URL"
"""Names the SQLAlchemy address of the ledger; without it the ledger is a file under the root."""
BESIDE_FILE = "ledger.beside"
"""A root with this file has its ledger beside its tables, whatever the variable says."""

_DRIVERS = {
    "sqlite": "sqlite",
    "postgres": "postgresql+psycopg",
    "postgresql": "postgresql+psycopg",
    "postgresql+psycopg": "postgresql+psycopg",
}


@dataclass(frozen=True, slots=True)
class LedgerAddress:
    """Where a ledger is.

    Attributes:
        file: the SQLite file; None for a server.
        shown: what people are told, without user and password.
        url: as the user wrote it, with the password: it goes to the driver and nowhere else; None
            for the file beside the tables.
    """

    file: Path | None
    shown: str
    url: URL | None = None

    @property
    def shared(self) -> bool:
        """Whether processes of several machines may use it at once."""
        return self.file is None


def keep_ledger_beside(root: Path) -> None:
    """Say of a root that its ledger stays a file in it: for experiments, which nobody shares."""
    root.mkdir(parents=True, exist_ok=True)
    (root / BESIDE_FILE).touch()


def ledger_address(root: Path, url: str | None = None) -> LedgerAddress:
    """Address of the ledger that belongs to the tables under `root`.

    Args:
        root: the warehouse's root.
        url: a SQLAlchemy address; by default what `ATLAS_LEDGER_URL` says, else the file
            `ledger.db` under `root`; see `keep_ledger_beside` too.

    Raises:
        WarehouseError: the address cannot be read, or names a database that is not supported. The
            address itself is not repeated: it may hold a password.
    """
    given = url or os.environ.get(LEDGER_URL_VARIABLE)
    if not given or (url is None and (root / BESIDE_FILE).exists()):
        file = root / LEDGER_FILE
        return LedgerAddress(file, str(file))
    return _written(given)


def _written(given: str) -> LedgerAddress:
    # Imported for addresses only: a verb that looks at a ledger beside its tables goes without.
    from sqlalchemy import URL, make_url
    from sqlalchemy.exc import ArgumentError

    try:
        parsed = make_url(given)
    except ArgumentError:
        raise WarehouseError(
            f"{LEDGER_URL_VARIABLE} is not a database address. Write it as "
            "postgresql://user:password@host:5432/database, with special characters of the "
            "password percent-encoded, or unset it to keep the ledger beside the tables."
        ) from None
    driver = _DRIVERS.get(parsed.drivername)
    if driver is None:
        raise WarehouseError(
            f"{LEDGER_URL_VARIABLE} names a database of kind {parsed.drivername!r}; a ledger is "
            "kept in postgresql or sqlite. Change the address, or unset it to keep the ledger "
            "beside the tables."
        )
    parsed = parsed.set(drivername=driver)
    if driver == "sqlite":
        if not parsed.database or parsed.database == ":memory:":
            raise WarehouseError(
                f"{LEDGER_URL_VARIABLE} names a SQLite database in memory, which forgets "
                "everything when the process ends. Name a file, such as sqlite:////data/ledger.db."
            )
        file = Path(parsed.database)
        return LedgerAddress(file, str(file), parsed)
    shown = URL.create(
        "postgresql", host=parsed.host, port=parsed.port, database=parsed.database
    ).render_as_string()
    return LedgerAddress(None, shown, parsed)
