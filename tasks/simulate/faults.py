"""What can go wrong at the simulated server, how often, and to which request."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from enum import StrEnum
from typing import Any


class FaultsError(ValueError):
    """A description of faults that cannot be understood; the message says which part."""


class Fault(StrEnum):
    """What happens to one request. The order is the order in which the odds are laid out."""

    RATE_LIMIT = "rate_limit"
    """429 with Retry-After; nothing is charged."""
    SERVER_ERROR = "server_error"
    """500; nothing is charged."""
    RESET = "reset"
    """The connection is reset: for half of these before the model is asked, for half when the
    answer is already on its way. The client cannot tell which."""
    TRUNCATE = "truncate"
    """The answer is charged, and cut: the connection closes early, or the JSON just ends."""
    MALFORMED = "malformed"
    """The answer is charged, and is no JSON."""
    HTML = "html"
    """A web page with status 200; nothing is charged."""
    EMPTY = "empty"
    """The answer is charged, and its list of choices is empty."""
    HANG = "hang"
    """Nothing ever comes back; nothing is charged."""


@dataclass(frozen=True, slots=True)
class Faults:
    """How often what goes wrong. Same seed, same key, same count of that key: same fault.

    Attributes:
        latency: seconds added before every answer.
        rate_limit: probability of each kind of fault, and so on below; see `Fault`.
        retry_after: seconds a 429 asks to wait.
        quota_after: answers after which the account has no money left; 0 is never.
        seed: of the odds.
    """

    latency: float = 0.0
    rate_limit: float = 0.0
    retry_after: float = 0.1
    server_error: float = 0.0
    reset: float = 0.0
    truncate: float = 0.0
    malformed: float = 0.0
    html: float = 0.0
    empty: float = 0.0
    hang: float = 0.0
    quota_after: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("latency", "retry_after"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= 0):
                raise FaultsError(f"{name} is a number of seconds, 0 or more, not {value}")
        odds = [getattr(self, fault.value) for fault in Fault]
        for fault, value in zip(Fault, odds, strict=True):
            if not 0 <= value <= 1:
                raise FaultsError(f"{fault.value} is a probability between 0 and 1, not {value}")
        if sum(odds) > 1 + 1e-9:
            raise FaultsError(f"the probabilities of all faults add up to {sum(odds):g}, over 1")
        if self.quota_after < 0:
            raise FaultsError(f"quota_after is a number of answers, not {self.quota_after}")

    @classmethod
    def parse(cls, text: str) -> Faults:
        """Read `latency=0.05,rate_limit=0.05,…`; what is not named stays at its default.

        Raises:
            FaultsError: a part is not `name=number`, a name is unknown or named twice, a number
                is out of its range.
        """
        values: dict[str, Any] = {}
        for part in text.split(","):
            if not part.strip():
                continue
            name, equals, value = (piece.strip() for piece in part.partition("="))
            if not equals:
                raise FaultsError(f"{part.strip()!r} is not of the form name=number")
            if name in values:
                raise FaultsError(f"{name} is named twice")
            values[name] = value
        return cls().changed(values)

    def changed(self, values: Mapping[str, Any]) -> Faults:
        """The same faults with some numbers replaced.

        Raises:
            FaultsError: as `parse`.
        """
        kinds = {field.name: type(field.default) for field in fields(self)}
        changes: dict[str, float | int] = {}
        for name, value in values.items():
            if name not in kinds:
                raise FaultsError(
                    f"there is no fault called {name!r}; there are: {', '.join(kinds)}"
                )
            changes[name] = _number(name, value, whole=kinds[name] is int)
        return replace(self, **changes)  # type: ignore[arg-type]

    def __str__(self) -> str:
        """The form that `parse` reads, with what differs from the defaults."""
        pairs = ((field.name, getattr(self, field.name), field.default) for field in fields(self))
        return ",".join(f"{name}={value:g}" for name, value, default in pairs if value != default)

    def draw(self, key: str, received: int) -> Fault | None:
        """The fault that hits a request.

        Args:
            key: its idempotency key.
            received: how many times that key has been received, this time included.
        """
        place = _uniform(self.seed, key, received, "fault")
        for fault in Fault:
            place -= getattr(self, fault.value)
            if place < 0:
                return fault
        return None

    def late(self, key: str, received: int) -> bool:
        """Which half of its kind a fault is: True for the one that strikes later."""
        return _uniform(self.seed, key, received, "half") < 0.5


def _number(name: str, value: object, *, whole: bool) -> float | int:
    kind = "whole number" if whole else "number"
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise FaultsError(f"{name} needs a {kind}, not {value!r}")
    try:
        return int(value) if whole else float(value)
    except (ValueError, OverflowError):
        raise FaultsError(f"{name} needs a {kind}, not {value!r}") from None


def _uniform(seed: int, key: str, received: int, purpose: str) -> float:
    """A number in [0, 1) that depends on its arguments alone."""
    text = f"{seed}\x1f{received}\x1f{purpose}\x1f{key}".encode("utf-8", "surrogatepass")
    digest = hashlib.blake2b(text, digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64
