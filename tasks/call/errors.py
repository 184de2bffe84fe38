"""Errors of calls.

    CallError
    ├── RetryableError   rate limit, overload, timeout, reset: try again, later
    ├── RowError         this request cannot succeed: bad request, too long, refused, unreadable
    └── FatalError       no request to this provider can succeed: key, quota, unknown model

Every error also says what became of the money (`Fate`), which is what the ledger needs to know:
a request that may have been answered is never silently sent again.
"""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar

from tasks.call.base import Usage


class Fate(StrEnum):
    """What became of a request that brought no usable answer."""

    REFUSED = "refused"
    """Never reached the provider, or refused by it: nothing was charged."""
    UNKNOWN = "unknown"
    """Sent, and no whole answer came back: it may have been charged."""
    ANSWERED = "answered"
    """Answered and charged, but of no use (an empty choice list, say)."""


class CallError(Exception):
    """A call that brought no usable answer.

    Attributes:
        error_type: short, stable name for tables and `runs retry --error`, such as
            `rate_limited`, `timeout`, `server_error`, `connection`, `truncated_body`.
        fate: what became of the money.
        http_status: status code, when there was one.
        retry_after_s: the provider's own request to wait, in seconds: a floor.
        usage: tokens charged, when `fate` is ANSWERED and the provider said.
    """

    error_class: ClassVar[str] = "row"

    def __init__(
        self,
        message: str,
        *,
        error_type: str,
        fate: Fate,
        http_status: int | None = None,
        retry_after_s: float | None = None,
        usage: Usage | None = None,
    ) -> None:
        super().__init__(message)
        self.error_type = error_type
        self.fate = fate
        self.http_status = http_status
        self.retry_after_s = retry_after_s
        self.usage = usage


class RetryableError(CallError):
    """The same request may succeed later."""

    error_class = "retryable"


class RowError(CallError):
    """This request cannot succeed; others can."""

    error_class = "row"


class FatalError(CallError):
    """No request to this provider can succeed until a person acts."""

    error_class = "fatal"
