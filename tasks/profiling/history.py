"""What became of every profile version: saved when, made the latest by whom, when and why.

`<root>/profiles/history.jsonl` is only ever appended to, one line an event. Which profile is the
latest is said by the pointer `<root>/profiles/latest` alone; the history is its diary. An event is
on the disk before the pointer moves, so a move without a diary line cannot be; a kill between the
two leaves a line whose move the same command then makes, without a second line.
"""

from __future__ import annotations

import getpass
import json
import os
import platform
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, NamedTuple

from warehouse.commits import explained, make_folder

FILE = "history.jsonl"

Event = Literal["saved", "latest"]


class HistoryEntry(NamedTuple):
    """One event in the life of a profile version.

    Attributes:
        event: `saved`: its files were written; `latest`: routing uses it from here on.
        at: when; UTC.
        by: the user and machine that did it.
        reason: why, in a person's or a command's words.
        previous: what was the latest before, where this event moved it.
    """

    profile_id: str
    event: Event
    at: datetime
    by: str
    reason: str
    previous: str | None


def read_history(folder: Path) -> list[HistoryEntry]:
    """Every event, oldest first; a line torn by a power cut is passed over.

    Raises:
        WarehouseError: the file is there but cannot be read.
    """
    path = folder / FILE
    try:
        lines = path.read_bytes().splitlines()
    except FileNotFoundError:
        return []
    except OSError as error:
        raise explained(error, path, "read") from error
    found = (_entry(line) for line in lines)
    return [entry for entry in found if entry is not None]


def append_history(
    folder: Path,
    profile_id: str,
    event: Event,
    *,
    reason: str,
    previous: str | None = None,
    by: str | None = None,
) -> HistoryEntry:
    """Note an event durably; the same event again, right after itself, is noted once.

    Raises:
        WarehouseError: the file cannot be written.
    """
    entry = HistoryEntry(profile_id, event, datetime.now(UTC), by or who(), reason, previous)
    last = read_history(folder)[-1:]
    if last and last[0]._replace(at=entry.at) == entry:
        return last[0]
    path = folder / FILE
    line = json.dumps(entry._asdict() | {"at": entry.at.isoformat()}, ensure_ascii=False) + "\n"
    make_folder(folder)
    try:
        handle = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            size = os.fstat(handle).st_size
            torn = size > 0 and os.pread(handle, 1, size - 1) != b"\n"
            os.write(handle, (("\n" if torn else "") + line).encode())
            os.fsync(handle)
        finally:
            os.close(handle)
    except OSError as error:
        raise explained(error, path, "write") from error
    return entry


def _entry(line: bytes) -> HistoryEntry | None:
    try:
        fields = json.loads(line)
        return HistoryEntry(**(fields | {"at": datetime.fromisoformat(fields["at"])}))
    except (ValueError, TypeError, KeyError):
        return None


def who() -> str:
    """The user and machine of this process, as histories name them."""
    try:
        user = getpass.getuser()
    except (OSError, KeyError, ImportError):
        # A container may run under a number that has no name.
        user = str(os.getuid())
    return f"{user}@{platform.node() or 'unknown'}"
