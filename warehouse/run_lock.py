"""One live process per run: an operating-system lock that dies with its owner."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from warehouse.errors import LedgerBusyError, WarehouseError


@contextlib.contextmanager
def run_lock(root: Path, run_id: str) -> Iterator[None]:
    """Hold the lock of a run; the kernel frees it when this process ends, however it ends.

    Raises:
        LedgerBusyError: another live process holds it.
        WarehouseError: the lock file cannot be written.
    """
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
            owner = os.pread(handle, 64, 0).decode(errors="replace").strip() or "unknown"
            raise LedgerBusyError(
                f"Run {run_id!r} is being worked on by process {owner}. Wait for it to end, or "
                "stop it with Ctrl-C there; two processes never share a run."
            ) from None
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(handle)


def is_live(root: Path, run_id: str) -> bool:
    """Whether a live process holds the run."""
    path = root / "locks" / f"{run_id}.lock"
    try:
        handle = os.open(path, os.O_RDWR)
    except OSError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False
