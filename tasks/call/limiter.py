"""How much one model may be asked at once and per minute: one gate per model, first come first.

Three limits hold together. *Concurrency* follows the provider: a 429 halves it, every full round
of successes grows it by one, up to the pool's ceiling (additive increase, multiplicative
decrease; Chiu and Jain 1989). *Requests* and *tokens per minute* are exact sliding windows: a
token bucket of the same rate lets up to twice the limit through in a minute that begins full.
*Retry-After* closes the whole gate until then.

Nobody polls: a gate that is only waiting for time has one sleeping task, a gate that is waiting
for a free place has none.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Self

from tasks.call.sliding_window import SlidingWindow

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

    from profiles.pool import Limits
    from tasks.call.clock import Clock
    from tasks.call.sliding_window import Charge

CUT_INTERVAL_S = 1.0
"""Refusals this close together are one overload, answered by one halving."""
SHORTEST_WAIT_S = 0.001
"""Of a sleep; a shorter one may round to no progress at all."""
MAX_PAUSE_S = 300.0
"""A Retry-After beyond this is not believed; see `RetryPolicy.retry_after_cap_s`."""


class Slot:
    """One place at a gate, for the length of an `async with`.

    Attributes:
        waited_s: how long this slot stood in line, in seconds.
    """

    __slots__ = ("_charge", "_future", "_gate", "tokens", "waited_s")

    def __init__(self, gate: _Gate, tokens: int) -> None:
        self._gate = gate
        self._charge: Charge | None = None
        self._future: asyncio.Future[None] | None = None
        self.tokens = tokens
        self.waited_s = 0.0

    async def __aenter__(self) -> Self:
        if self._gate.admit_at_once(self):
            return self
        began_s = self._gate.clock.monotonic()
        self._future = asyncio.get_running_loop().create_future()
        await self._gate.wait_in_line(self, self._future)
        self.waited_s = self._gate.clock.monotonic() - began_s
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._gate.leave()

    def used(self, tokens: int) -> None:
        """Correct the estimate to the tokens really charged (0 when the call was refused)."""
        self.tokens = tokens
        if self._charge is not None:
            self._gate.correct(self._charge, tokens)


class _Gate:
    """All slots of one model. Single-threaded: lives in one event loop."""

    def __init__(self, limits: Limits, clock: Clock) -> None:
        self.clock = clock
        self.ceiling = max(1, limits.concurrency)
        self.allowed = float(self.ceiling)
        self.active = 0
        self.paused_until_s = float("-inf")
        self.requests = _optional_window(limits.requests_per_minute)
        self.tokens = _optional_window(limits.tokens_per_minute)
        self._cut_at_s = float("-inf")
        self._line: deque[Slot] = deque()
        self._alarm: asyncio.Task[None] | None = None
        self._alarm_at_s = 0.0

    def admit_at_once(self, slot: Slot) -> bool:
        if self._line or self._wait_s(slot.tokens) != 0.0:
            return False
        self._admit(slot)
        return True

    async def wait_in_line(self, slot: Slot, future: asyncio.Future[None]) -> None:
        self._line.append(slot)
        self.move_line()
        try:
            await future
        except asyncio.CancelledError:
            if future.done() and not future.cancelled():
                # Admitted and cancelled in the same turn: the place goes to the next in line.
                slot.used(0)
                self.leave()
            else:
                if slot in self._line:
                    self._line.remove(slot)
                self.move_line()
            raise

    def leave(self) -> None:
        self.active -= 1
        if self._line:
            self.move_line()

    def correct(self, charge: Charge, tokens: int) -> None:
        if self.tokens is not None:
            self.tokens.correct(charge, tokens)
            if self._line:
                self.move_line()

    def rate_limited(self, retry_after_s: float | None) -> None:
        now_s = self.clock.monotonic()
        if now_s >= self._cut_at_s + CUT_INTERVAL_S:
            self.allowed = max(1.0, min(self.allowed, float(self.ceiling)) / 2)
            self._cut_at_s = now_s
        if retry_after_s is not None:
            until_s = now_s + min(max(0.0, retry_after_s), MAX_PAUSE_S)
            self.paused_until_s = max(self.paused_until_s, until_s)

    def succeeded(self) -> None:
        if self.allowed >= self.ceiling:
            return
        self.allowed = min(float(self.ceiling), self.allowed + 1.0 / self.allowed)
        if self._line:
            self.move_line()

    def move_line(self) -> None:
        """Admit from the head of the line while there is room; set the alarm if only time helps."""
        wait_s: float | None = None
        while self._line:
            slot = self._line[0]
            if slot._future is None or slot._future.done():
                # Cancelled, and its task has not run since: it must not take a place.
                self._line.popleft()
                continue
            wait_s = self._wait_s(slot.tokens)
            if wait_s != 0.0:
                break
            self._line.popleft()
            self._admit(slot)
            slot._future.set_result(None)
        self._set_alarm(wait_s)

    def _wait_s(self, tokens: int) -> float | None:
        """0 when a slot may start, seconds until time alone lets it, None while all are busy."""
        if self.active >= int(self.allowed):
            return None
        if self.requests is None and self.tokens is None and self.paused_until_s < 0:
            return 0.0
        now_s = self.clock.monotonic()
        wait_s = max(0.0, self.paused_until_s - now_s)
        if self.requests is not None:
            wait_s = max(wait_s, self.requests.wait_s(1, now_s))
        if self.tokens is not None:
            wait_s = max(wait_s, self.tokens.wait_s(tokens, now_s))
        return wait_s

    def _admit(self, slot: Slot) -> None:
        self.active += 1
        if self.requests is not None or self.tokens is not None:
            now_s = self.clock.monotonic()
            if self.requests is not None:
                self.requests.admit(1, now_s)
            if self.tokens is not None:
                slot._charge = self.tokens.admit(slot.tokens, now_s)

    def _set_alarm(self, wait_s: float | None) -> None:
        if not self._line:
            if self._alarm is not None:
                self._alarm.cancel()
                self._alarm = None
            return
        if wait_s is None:
            return
        due_s = self.clock.monotonic() + max(wait_s, SHORTEST_WAIT_S)
        if self._alarm is not None:
            if self._alarm_at_s <= due_s:
                # Ringing early does no harm: the line is looked at again.
                return
            self._alarm.cancel()
        self._alarm_at_s = due_s
        self._alarm = asyncio.get_running_loop().create_task(self._ring_at(due_s))

    async def _ring_at(self, due_s: float) -> None:
        await self.clock.sleep(due_s - self.clock.monotonic())
        self._alarm = None
        self.move_line()


def _optional_window(limit: int | None) -> SlidingWindow | None:
    return None if limit is None else SlidingWindow(limit)


class ModelLimiter:
    """The gates of every model of a pool. One per run, used from one event loop.

    Args:
        limits: what each model's provider allows, by model key.
        clock: where time comes from.
    """

    def __init__(self, limits: Mapping[str, Limits], clock: Clock) -> None:
        self._gates = {key: _Gate(limit, clock) for key, limit in limits.items()}

    def slot(self, model_key: str, estimated_tokens: int = 0) -> Slot:
        """A place for one request, waited for in `async with`; held until its end.

        Args:
            model_key: the model asked.
            estimated_tokens: input and output tokens the request may use; counted against the
                tokens per minute at once, corrected by `Slot.used`.

        Raises:
            KeyError: the model is not one of this limiter's.
        """
        return Slot(self._gate(model_key), max(0, estimated_tokens))

    def rate_limited(self, model_key: str, retry_after_s: float | None = None) -> None:
        """Say that the provider answered 429: halve the concurrency, wait out `retry_after_s`."""
        self._gate(model_key).rate_limited(retry_after_s)

    def succeeded(self, model_key: str) -> None:
        """Say that a call went well: after a full round of these one more may run at once."""
        self._gate(model_key).succeeded()

    def allowed(self, model_key: str) -> int:
        """How many requests may run at once, as things stand."""
        return int(self._gate(model_key).allowed)

    def active(self, model_key: str) -> int:
        """How many requests are running."""
        return self._gate(model_key).active

    def _gate(self, model_key: str) -> _Gate:
        try:
            return self._gates[model_key]
        except KeyError:
            known = ", ".join(sorted(self._gates))
            raise KeyError(f"model {model_key!r} has no limits here; known: {known}") from None
