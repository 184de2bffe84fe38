"""Opening the ledger's database: durable settings, version check, people's errors."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, create_engine, event, select
from sqlalchemy.exc import DatabaseError, OperationalError

from warehouse.errors import LedgerVersionError, WarehouseError
from warehouse.ledger.schema import LEDGER_VERSION, meta, metadata

LEDGER_FILE = "ledger.db"


def ledger_url(root: Path) -> str:
    """URL of the ledger that lives beside the tables under `root`."""
    return f"sqlite:///{root / LEDGER_FILE}"


def open_engine(root: Path, *, read_only: bool, url: str | None = None) -> Engine:
    """Engine of the ledger under `root`, its schema created or checked.

    Raises:
        WarehouseError: there is no ledger to read, or it cannot be opened.
        LedgerVersionError: a newer version of ATLAS wrote it.
    """
    path = root / LEDGER_FILE
    if url is None:
        if read_only and not path.exists():
            raise WarehouseError(
                f"There is no ledger at {path}: nothing has been run here yet. "
                "Run `atlas route` or `atlas profile run` first, or point --root at another folder."
            )
        try:
            root.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise WarehouseError(
                f"Cannot create the warehouse folder {root}: {error.strerror}. "
                "Choose a writable folder with --root."
            ) from error
    engine = create_engine(url or ledger_url(root), hide_parameters=True)
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _durable)
    try:
        _prepare(engine, path, read_only=read_only)
    except (OperationalError, DatabaseError) as error:
        raise WarehouseError(_explain(path, error)) from error
    return engine


def _durable(connection: sqlite3.Connection, _record: Any) -> None:  # noqa: ANN401
    cursor = connection.cursor()
    cursor.execute("PRAGMA busy_timeout=30000")
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.close()


def _prepare(engine: Engine, path: Path, *, read_only: bool) -> None:
    if not read_only:
        metadata.create_all(engine)
    with engine.begin() as connection:
        version = connection.execute(
            select(meta.c.value).where(meta.c.key == "ledger_version")
        ).scalar_one_or_none()
        if version is None and not read_only:
            connection.execute(
                meta.insert(), {"key": "ledger_version", "value": str(LEDGER_VERSION)}
            )
        elif version is not None and int(version) > LEDGER_VERSION:
            raise LedgerVersionError(
                f"The ledger at {path} has version {version}; this ATLAS knows up to "
                f"{LEDGER_VERSION}. Upgrade ATLAS, or point --root at another folder; "
                "nothing was changed."
            )


def _explain(path: Path, error: Exception) -> str:
    cause = str(getattr(error, "orig", error))
    if "locked" in cause:
        return (
            f"The ledger at {path} is locked by another process and stayed so for 30 s. "
            "Wait for the live run to end, or use another --root."
        )
    if "not a database" in cause or "malformed" in cause:
        return (
            f"The ledger at {path} is damaged ({cause}). Nothing was changed. "
            "Restore it from a backup; the Parquet files beside it are untouched."
        )
    return (
        f"The ledger at {path} cannot be used: {cause}. Check the folder's permissions and space."
    )
