"""How long to wait before the same request is tried again. Pure arithmetic: waits for nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


class UniformSource(Protocol):
    """Anything that draws uniformly: `numpy.random.Generator`, `random.Random`."""

    def random(self) -> float:
        """A number in [0, 1)."""
        ...


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Exponential backoff with full jitter; the provider's `Retry-After` is a floor.

    Attributes:
        max_tries: tries in all, the first one included.
        base_s: upper bound of the wait after the first try, in seconds; doubles with every try.
        cap_s: the bound never grows past this.
        retry_after_cap_s: a `Retry-After` beyond this is not believed: some gateways send the
            seconds until midnight, or a date in another time zone. It then counts as this much.
    """

    max_tries: int = 6
    base_s: float = 0.5
    cap_s: float = 60.0
    retry_after_cap_s: float = 300.0

    def __post_init__(self) -> None:
        if self.max_tries < 1:
            raise ValueError(f"max_tries must be at least 1, not {self.max_tries}")
        for name in ("base_s", "cap_s", "retry_after_cap_s"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name} must be 0 or more seconds, not {getattr(self, name)}")

    def may_retry(self, try_number: int) -> bool:
        """Whether another try is allowed after try `try_number` (1 is the first) failed."""
        return try_number < self.max_tries

    def delay_s(self, try_number: int, retry_after_s: float | None, rng: UniformSource) -> float:
        """Seconds to wait after try `try_number` (1 is the first) failed.

        Uniform in [floor, floor + min(cap_s, base_s · 2^(try_number - 1))), where floor is
        `retry_after_s` or 0. The jitter comes on top of the floor, because everybody who was
        told the same `Retry-After` would otherwise come back in the same instant.
        """
        if try_number < 1:
            raise ValueError(f"tries are counted from 1, not {try_number}")
        # 2**60 s is past any cap, and past it the power would overflow a float.
        bound_s = min(self.cap_s, self.base_s * 2.0 ** min(try_number - 1, 60))
        floor_s = min(max(0.0, retry_after_s or 0.0), self.retry_after_cap_s)
        return floor_s + bound_s * rng.random()
