"""The simulated server's account of what it served, by idempotency key: the crash tests' referee.

An answer counts from the moment the server begins to send it: a client that never received it
could still be asked to pay. The account may be kept in a file, one JSON line per event, appended
in one write each, so that it survives the server and can be read while it runs.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path


class ServedFileError(ValueError):
    """A file of served requests that cannot be read or written."""


@dataclass(slots=True)
class Served:
    """What became of the requests under one key.

    Attributes:
        received: requests that arrived.
        answered: requests answered with a completion, whole or cut on the way.
        refused: requests turned away with a status, or with a page that is no answer.
        statuses: HTTP status of every request that got one, in order.
    """

    received: int = 0
    answered: int = 0
    refused: int = 0
    statuses: list[int] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """The four numbers under their own names."""
        return {
            "received": self.received,
            "answered": self.answered,
            "refused": self.refused,
            "statuses": list(self.statuses),
        }


class Account:
    """Everything served, by key.

    Args:
        path: file to continue and to append to; None keeps the account in memory only.

    Raises:
        ServedFileError: the file cannot be opened, or a line of it is none of ours.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.by_key: dict[str, Served] = {}
        self.answered = 0
        self._file: int | None = None
        if path is None:
            return
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
            self._load(path)
        except OSError as error:
            raise ServedFileError(f"{path} cannot be used to count requests: {error}") from None

    def received(self, key: str) -> int:
        """Note a request; returns how many this key has brought, this one included."""
        return self._note(key, "received", None).received

    def answer(self, key: str, status: int) -> None:
        """Note that a completion is about to be sent. Call it before the first byte leaves."""
        self._note(key, "answered", status)

    def refuse(self, key: str, status: int) -> None:
        """Note that a request was turned away."""
        self._note(key, "refused", status)

    def summary(self) -> dict[str, int]:
        """Totals over all keys."""
        every = self.by_key.values()
        return {
            "keys": len(self.by_key),
            "received": sum(served.received for served in every),
            "answered": self.answered,
            "refused": sum(served.refused for served in every),
            "keys_answered": sum(served.answered > 0 for served in every),
            "keys_answered_twice_or_more": sum(served.answered > 1 for served in every),
        }

    def close(self) -> None:
        """Close the file; the account can still be read."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _note(self, key: str, event: str, status: int | None) -> Served:
        if self._file is not None:
            line = json.dumps({"key": key, "event": event, "status": status}) + "\n"
            # One write on an O_APPEND descriptor: never torn between two processes.
            os.write(self._file, line.encode())
        return self._count(key, event, status)

    def _count(self, key: str, event: str, status: int | None) -> Served:
        served = self.by_key.setdefault(key, Served())
        if event == "received":
            served.received += 1
        elif event == "answered":
            served.answered += 1
            self.answered += 1
        else:
            served.refused += 1
        if status is not None:
            served.statuses.append(status)
        return served

    def _load(self, path: Path) -> None:
        content = path.read_bytes()
        whole = content[: content.rfind(b"\n") + 1]
        if self._file is not None and len(whole) < len(content):
            # A server that died while it wrote: that event did not happen.
            os.ftruncate(self._file, len(whole))
        for number, line in enumerate(whole.split(b"\n"), start=1):
            if not line:
                continue
            try:
                event = json.loads(line)
                self._count(event["key"], event["event"], event["status"])
            except (ValueError, KeyError, TypeError):
                raise ServedFileError(
                    f"{path}, line {number}: not an event of the simulated server; "
                    "name another file or remove this one"
                ) from None
