"""Answers "what next?" for all rows in flight at once: one evaluation a tick of the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from profiles.policies.guide import Advice, Guide, Seen, advise

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Sight(NamedTuple):
    """What one trajectory has seen: a row of every array of `profiles.policies.guide.Seen`."""

    called: NDArray[np.bool_]
    keys: NDArray[np.int64]
    allowed: NDArray[np.bool_]
    priors: NDArray[np.float64]
    components: NDArray[np.float64]
    away: bool = False


class Course(NamedTuple):
    """What one trajectory does next: a row of `profiles.policies.guide.Advice`."""

    action: int
    leader: int
    confidence: float
    none: float
    supporters: int


@dataclass(slots=True, eq=False)
class Navigator:
    """Guides any number of trajectories of one event loop.

    Attributes:
        guide: decides.
        timer: seconds, for `deciding_s`.
        deciding_s: seconds spent deciding so far.
        largest: most rows that were decided at once.
    """

    guide: Guide
    timer: Callable[[], float] = lambda: 0.0
    deciding_s: float = field(default=0.0, init=False)
    largest: int = field(default=0, init=False)
    _waiting: list[tuple[Sight, asyncio.Future[Course]]] = field(default_factory=list, init=False)

    async def next(self, sight: Sight) -> Course:
        """What to do next, decided together with all others that ask in the same tick."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Course] = loop.create_future()
        self._waiting.append((sight, future))
        if len(self._waiting) == 1:
            loop.call_soon(self._decide)
        return await future

    def _decide(self) -> None:
        asked, self._waiting = self._waiting, []
        # A row that was cancelled while it waited wants no answer any more.
        waiting = [(sight, future) for sight, future in asked if not future.done()]
        if not waiting:
            return
        began = self.timer()
        try:
            advice = advise(self.guide, _stacked([sight for sight, _ in waiting]))
        except Exception as error:
            for _, future in waiting:
                future.set_exception(error)
            return
        self.deciding_s += self.timer() - began
        self.largest = max(self.largest, len(waiting))
        for (_, future), course in zip(waiting, _courses(advice), strict=True):
            future.set_result(course)


def _stacked(sights: list[Sight]) -> Seen:
    return Seen(*(np.stack(column) for column in zip(*sights, strict=True)))


def _courses(advice: Advice) -> list[Course]:
    columns = (column.tolist() for column in advice)
    return [Course(*row) for row in zip(*columns, strict=True)]
