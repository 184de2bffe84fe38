"""Opening the ledger's database: durable settings, version check, people's errors."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Engine, create_engine, event
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import NullPool

from warehouse.errors import WarehouseError
from warehouse.ledger.address import LEDGER_URL_VARIABLE, LedgerAddress
from warehouse.ledger.reading import LEDGER_VERSION
from warehouse.ledger.troubles import WAIT_S, explain, nothing_yet, refuse_newer
from warehouse.ledger.versions import bring_up_to_date, stored_version


def open_engine(root: Path, address: LedgerAddress, *, read_only: bool) -> tuple[Engine, int]:
    """Engine of the ledger of `root`, its tables made, brought up to date or checked.

    Returns:
        The engine, and the version of the tables.

    Raises:
        NoLedgerError: there is no ledger to read.
        WarehouseError: it cannot be opened.
        LedgerVersionError: a newer version of ATLAS wrote it.
    """
    _make_folder(root, address, read_only=read_only)
    engine = connect(address)
    try:
        version = stored_version(engine)
        refuse_newer(address, version)
        if version is None and read_only:
            raise nothing_yet(address)
        if version is None or (version != LEDGER_VERSION and not read_only):
            _bring_up_to_date(address)
            version = LEDGER_VERSION
    except SQLAlchemyError as error:
        engine.dispose()
        raise WarehouseError(explain(address, error)) from error
    except WarehouseError:
        engine.dispose()
        raise
    return engine, version


def connect(address: LedgerAddress, *, schema_changes: bool = False) -> Engine:
    """An engine whose commits are on the disk when they return.

    Args:
        address: of the ledger.
        schema_changes: whether it is for changing tables: then nothing is pooled, and SQLite's
            driver leaves the transactions to us, because by itself it begins none before DDL.

    Raises:
        WarehouseError: the driver is not installed.
    """
    shared: dict[str, Any] = {"connect_args": _POSTGRES} if address.shared else {}
    if schema_changes:
        shared["poolclass"] = NullPool
    try:
        url = address.url or URL.create("sqlite", database=str(address.file))
        engine = create_engine(url, hide_parameters=True, **shared)
    except ModuleNotFoundError as error:
        raise WarehouseError(
            f"{LEDGER_URL_VARIABLE} names a PostgreSQL database, and the driver {error.name!r} is "
            "not installed. Install it with: pip install 'atlas-routing[postgres]'"
        ) from None
    event.listen(engine, "connect", _durable_postgres if address.shared else _durable_sqlite)
    if schema_changes and not address.shared:
        event.listen(engine, "connect", _own_transactions)
        event.listen(engine, "begin", _begin_at_once)
    return engine


_POSTGRES = {
    "connect_timeout": 10,
    # A peer that is gone is noticed within a minute, also behind a firewall that forgets.
    "keepalives_idle": 20,
    "keepalives_interval": 10,
    "keepalives_count": 4,
}


def _make_folder(root: Path, address: LedgerAddress, *, read_only: bool) -> None:
    if read_only and address.file is not None and not address.file.exists():
        raise nothing_yet(address)
    try:
        root.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise WarehouseError(
            f"Cannot create the warehouse folder {root}: {error.strerror}. "
            "Choose a writable folder with --root."
        ) from error


def _bring_up_to_date(address: LedgerAddress) -> None:
    changer = connect(address, schema_changes=True)
    try:
        bring_up_to_date(changer)
    finally:
        changer.dispose()


def _durable_sqlite(connection: sqlite3.Connection, _record: Any) -> None:  # noqa: ANN401
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout={WAIT_S * 1000}")
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.close()


def _own_transactions(connection: sqlite3.Connection, _record: Any) -> None:  # noqa: ANN401
    connection.isolation_level = None


def _begin_at_once(connection: Any) -> None:  # noqa: ANN401
    # IMMEDIATE takes the write lock now: whoever comes second waits and then finds the work done.
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _durable_postgres(connection: Any, _record: Any) -> None:  # noqa: ANN401
    before, connection.autocommit = connection.autocommit, True
    with connection.cursor() as cursor:
        cursor.execute(f"SET lock_timeout = '{WAIT_S}s'")
        # A server set to `off` or `local` may forget a claim whose request was sent. A stronger
        # setting than `on` (remote_apply) is left as it is.
        cursor.execute(
            "SELECT set_config('synchronous_commit', 'on', false)"
            " WHERE current_setting('synchronous_commit') IN ('off', 'local')"
        )
    connection.autocommit = before
