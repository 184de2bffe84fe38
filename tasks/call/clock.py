"""Time as a value that is passed in, so that waiting can be tested without waiting."""

from __future__ import annotations

import asyncio
import heapq
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Coroutine

Result = TypeVar("Result")

_SETTLE_ROUNDS = 30
"""Turns of the event loop given to woken tasks before time moves again."""


class Clock(Protocol):
    """Where every wait, deadline and time stamp of a run comes from."""

    def monotonic(self) -> float:
        """Seconds since an arbitrary start; never goes back."""
        ...

    def now(self) -> datetime:
        """The time of day, in UTC."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait; a negative number waits for nothing but still lets others run."""
        ...


class SystemClock:
    """The machine's own clock."""

    def monotonic(self) -> float:
        """Seconds since an arbitrary start; never goes back."""
        return time.monotonic()

    def now(self) -> datetime:
        """The time of day, in UTC."""
        return datetime.now(UTC)

    async def sleep(self, seconds: float) -> None:
        """Wait for real."""
        await asyncio.sleep(max(0.0, seconds))


class ManualClock:
    """A clock that stands still until it is told to move. For tests, yours and ours.

    Tasks that sleep on it wake in the order of their deadlines as `advance` passes them, or as
    `run` jumps from one deadline to the next. Both assume that nothing waits on real input.

    Attributes:
        slept: every duration that was asked for, in order.
    """

    def __init__(self, start: datetime = datetime(2026, 1, 1, tzinfo=UTC)) -> None:
        self.slept: list[float] = []
        self._start = start
        self._elapsed_s = 0.0
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._number = 0

    def monotonic(self) -> float:
        """Seconds this clock was moved since it was made."""
        return self._elapsed_s

    def now(self) -> datetime:
        """The start moved on by `monotonic()` seconds."""
        return self._start + timedelta(seconds=self._elapsed_s)

    async def sleep(self, seconds: float) -> None:
        """Wait until somebody moves the clock that far."""
        self.slept.append(seconds)
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._number += 1
        heapq.heappush(self._sleepers, (self._elapsed_s + seconds, self._number, future))
        await future

    async def advance(self, seconds: float) -> None:
        """Move on, waking every sleeper whose time comes, and let woken tasks do their work."""
        target_s = self._elapsed_s + seconds
        await self._settle()
        while (due_s := self._next_due()) is not None and due_s <= target_s:
            self._wake(due_s)
            await self._settle()
        self._elapsed_s = target_s
        await self._settle()

    async def run(self, work: Coroutine[object, object, Result]) -> Result:
        """Run `work` to its end, jumping to the next deadline whenever everybody sleeps.

        Raises:
            RuntimeError: `work` waits for something that no sleeper on this clock brings.
        """
        task = asyncio.ensure_future(work)
        await self._settle()
        while not task.done():
            due_s = self._next_due()
            if due_s is None:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
                raise RuntimeError("the work waits, but nobody sleeps on this clock")
            self._wake(due_s)
            await self._settle()
        return task.result()

    def _next_due(self) -> float | None:
        while self._sleepers and self._sleepers[0][2].done():
            heapq.heappop(self._sleepers)
        return self._sleepers[0][0] if self._sleepers else None

    def _wake(self, due_s: float) -> None:
        self._elapsed_s = max(self._elapsed_s, due_s)
        while self._sleepers and self._sleepers[0][0] <= due_s:
            future = heapq.heappop(self._sleepers)[2]
            if not future.done():
                future.set_result(None)

    async def _settle(self) -> None:
        for _ in range(_SETTLE_ROUNDS):
            await asyncio.sleep(0)
