"""One live process per run: a lock that dies with its owner.

On one machine it is a lock of the operating system. Where the ledger is on a server, machines share
it: then the server holds a second lock, see `warehouse.shared_lock`.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
from collections.abc import Iterator
from pathlib import Path

from warehouse.errors import LedgerBusyError, WarehouseError
from warehouse.ledger.address import ledger_address


@contextlib.contextmanager
def run_lock(root: Path, run_id: str) -> Iterator[None]:
    """Hold the lock of a run; it is free again when this process ends, however it ends.

    Raises:
        LedgerBusyError: another live process holds it.
        WarehouseError: the lock file cannot be written, or the ledger's server not be reached.
    """
    address = ledger_address(root)
    with _file_lock(root, run_id), contextlib.ExitStack() as stack:
        if address.shared:
            from warehouse.shared_lock import shared_lock

            stack.enter_context(shared_lock(address, run_id))
        yield


@contextlib.contextmanager
def _file_lock(root: Path, run_id: str) -> Iterator[None]:
    folder = root / "locks"
    path = folder / f"{run_id}.lock"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise WarehouseError(
            f"Cannot write the lock file {path}: {error.strerror}. "
            "Choose a writable folder with --root."
        ) from error
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = _owner(handle)
            raise LedgerBusyError(
                f"Run {run_id!r} is being worked on by process {owner}. Wait for it to end, or "
                "stop it with Ctrl-C there; two processes never share a run."
            ) from None
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"{os.getpid()}\n{socket.gethostname()}\n".encode(), 0)
        yield
    finally:
        os.close(handle)


def is_live(root: Path, run_id: str) -> bool:
    """Whether a live process holds the run."""
    return holder(root, run_id) is not None


def holder(root: Path, run_id: str) -> str | None:
    """Who works on the run: `process` on this machine, else `process@machine`; None for nobody.

    Raises:
        WarehouseError: the ledger's server cannot be reached.
    """
    local = _local_holder(root, run_id)
    if local is not None:
        return local
    address = ledger_address(root)
    if not address.shared:
        return None
    from warehouse.shared_lock import shared_holder

    return shared_holder(address, run_id)


def _local_holder(root: Path, run_id: str) -> str | None:
    path = root / "locks" / f"{run_id}.lock"
    try:
        handle = os.open(path, os.O_RDWR)
    except OSError:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return _owner(handle)
    finally:
        os.close(handle)
    return None


def _owner(handle: int) -> str:
    """Who wrote the lock file: on a shared folder it may be a process of another machine."""
    process, _, machine = os.pread(handle, 400, 0).decode(errors="replace").partition("\n")
    if machine.strip() in ("", socket.gethostname()):
        return process.strip() or "unknown"
    return f"{process}@{machine.strip()}"
