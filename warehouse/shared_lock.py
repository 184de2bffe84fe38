"""One live process per run across machines, where the ledger is a PostgreSQL server.

The lock is an advisory lock of the server: it belongs to a connection and is gone with it, however
the process or its machine ended. A thread looks after the connection. Should it break while the
process lives, the lock is taken again; where somebody else was faster, or the server stays away,
the run is stopped as Ctrl-C would stop it, and whoever held the lock is told why.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import signal
import socket
import threading
from collections.abc import Iterator

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import SQLAlchemyError

from warehouse.errors import LedgerBusyError, WarehouseError
from warehouse.ledger.address import LedgerAddress
from warehouse.ledger.engine import connect
from warehouse.ledger.troubles import explain

LOOK_EVERY_S = 5.0
"""How often the connection that holds the lock is tried."""
_ATTEMPTS = 6
_NAME = "atlas-run"
_HOLDER = text(
    "SELECT a.application_name FROM pg_locks AS l JOIN pg_stat_activity AS a ON a.pid = l.pid"
    " WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1"
    " AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())"
    " AND ((l.classid::bigint << 32) | l.objid::bigint) = :key"
)


@contextlib.contextmanager
def shared_lock(address: LedgerAddress, run_id: str) -> Iterator[None]:
    """Hold the lock of a run on the ledger's server.

    Raises:
        LedgerBusyError: another live process, perhaps on another machine, holds it; or took it
            when the connection broke.
        WarehouseError: the server cannot be reached.
    """
    keeper = _Keeper(address, run_id)
    keeper.start()
    try:
        yield
    finally:
        keeper.stop()
    if keeper.lost:
        raise LedgerBusyError(keeper.lost)


def shared_holder(address: LedgerAddress, run_id: str) -> str | None:
    """Who works on the run, as `process@machine`; None where nobody does.

    Raises:
        WarehouseError: the server cannot be reached.
    """
    engine = connect(address)
    try:
        with engine.connect() as connection:
            return _holder(connection, run_id)
    except SQLAlchemyError as error:
        raise WarehouseError(explain(address, error)) from error
    finally:
        engine.dispose()


def this_process() -> str:
    """This process, as others see it: `process@machine`."""
    return f"{os.getpid()}@{socket.gethostname()}"


def lock_key(run_id: str) -> int:
    """The run's number among advisory locks: 63 bits of a hash."""
    digest = hashlib.sha256(f"atlas run {run_id}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def _holder(connection: Connection, run_id: str) -> str | None:
    found = connection.execute(_HOLDER, {"key": lock_key(run_id)}).scalars().first()
    return None if found is None else str(found).removeprefix(f"{_NAME} ")


class _Keeper:
    """Takes the lock, looks after its connection, and gives it back."""

    def __init__(self, address: LedgerAddress, run_id: str) -> None:
        self.lost: str | None = None
        self._address, self._run_id = address, run_id
        self._engine: Engine = connect(address)
        self._connection: Connection | None = None
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="atlas-lock", daemon=True)

    def start(self) -> None:
        try:
            holder = self._take()
        except SQLAlchemyError as error:
            self._engine.dispose()
            raise WarehouseError(explain(self._address, error)) from error
        if holder is not None:
            self._engine.dispose()
            raise LedgerBusyError(
                f"Run {self._run_id!r} is being worked on by process {holder}. Wait for it to "
                "end, or stop it with Ctrl-C there; two processes never share a run."
            )
        self._thread.start()

    def stop(self) -> None:
        self._ended.set()
        self._thread.join()
        # Closing the connection gives the lock back.
        self._drop()
        self._engine.dispose()

    def _take(self) -> str | None:
        """Take the lock; who holds it where it cannot be had."""
        connection = self._engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        name = f"{_NAME} {this_process()}"[:63]
        connection.execute(
            text("SELECT set_config('application_name', :name, false)"), {"name": name}
        )
        # An idle lock is no reason to close its connection.
        if connection.dialect.server_version_info >= (14,):  # type: ignore[operator]
            connection.execute(text("SET idle_session_timeout = 0"))
        taken = connection.execute(
            text("SELECT pg_try_advisory_lock(:key)"), {"key": lock_key(self._run_id)}
        ).scalar_one()
        if taken:
            self._connection = connection
            return None
        holder = _holder(connection, self._run_id)
        connection.close()
        return holder or "unknown"

    def _watch(self) -> None:
        failures = 0
        while not self._ended.wait(LOOK_EVERY_S if not failures else LOOK_EVERY_S / 5):
            try:
                if failures:
                    holder = self._take()
                    if holder is not None:
                        return self._give_up(f"process {holder} took it up meanwhile")
                    failures = 0
                else:
                    assert self._connection is not None
                    self._connection.execute(text("SELECT 1"))
            except SQLAlchemyError:
                self._drop()
                failures += 1
                if failures > _ATTEMPTS:
                    return self._give_up("the ledger's server did not come back")
        return None

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(SQLAlchemyError):
                connection.invalidate()
                connection.close()

    def _give_up(self, why: str) -> None:
        self.lost = (
            f"The connection that held run {self._run_id!r} at {self._address.shown} broke, and "
            f"{why}. What was settled is kept; the same command resumes when nobody works on it."
        )
        os.kill(os.getpid(), signal.SIGINT)
