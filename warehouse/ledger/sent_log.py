"""Which claimed requests were really sent: a log that outlives a killed process.

A claim is durable before its request leaves, so a kill in between would put into doubt what was
never sent. Each request is therefore noted here, without an fsync, in the instant before it
leaves: what a process wrote survives its own death, only a power cut or a crash of the system
loses it. The log names the boot it was written in; from another boot it says nothing, and every
claim is in doubt.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path

_BOOT = Path("/proc/sys/kernel/random/boot_id")


class SentLog:
    """Notes sent requests of one session of a run.

    Args:
        path: of the log; an earlier session's is overwritten.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND
        self._path = path
        self._handle = os.open(path, flags, 0o644)
        os.write(self._handle, f"{boot_id()}\n".encode())

    def note(self, request_id: str) -> None:
        """Say that a request leaves now.

        Raises:
            OSError: the disk is full; the request must not leave.
        """
        line = f"{request_id}\n".encode()
        written = os.write(self._handle, line)
        if written != len(line):
            # A full disk takes the beginning of a line and says nothing: whoever reads the log
            # would take this request, and the next one too, for one that never left.
            os.ftruncate(self._handle, os.fstat(self._handle).st_size - written)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self._path))

    def close(self) -> None:
        """Close the file."""
        os.close(self._handle)


def boot_id() -> str:
    """Identity of the running system's boot; empty where the system does not tell."""
    try:
        return _BOOT.read_text(encoding="ascii").strip()
    except OSError:
        return ""


def sent_requests(path: Path) -> set[str] | None:
    """Requests that an earlier session sent; None where that cannot be known."""
    try:
        boot, *requests = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError):
        return None
    if not boot or boot != boot_id():
        return None
    # A line is written by one call, so the last one is whole or is not there.
    return set(filter(None, requests))


def sent_log_path(root: Path, run_id: str) -> Path:
    """Where the log of a run is."""
    return root / "locks" / f"{run_id}.sent"
