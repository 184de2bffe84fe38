"""One trajectory on its way: what it may call, what came back, what it answers.

A run that was killed works its rows again. What the ledger holds of a row's requests is looked at
before anything new is asked, in the order it was claimed: every paid answer is seen again, none is
paid for twice, and none is forgotten should rounding turn a close decision the other way.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from profiles.policies.strategies import ANSWER
from tasks.grade.answer_key import answer_key
from tasks.trajectory.navigator import Sight

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tasks.trajectory.navigator import Course, Navigator


@dataclass(frozen=True, slots=True, eq=False)
class TrajectoryPlan:
    """What a row follows.

    Attributes:
        navigator: asked for every next step.
        pairs: indexes, in the pool's pair order, of the guide's pairs.
        priors: (C,) probability that each answers right, before any was called.
        components: (K,) of the question's embedding.
        grader: of the question, which says what kind of answer it wants; None where unknown.
        away: whether the question is unlike anything in training.
    """

    navigator: Navigator
    pairs: tuple[int, ...]
    priors: NDArray[np.float64]
    components: NDArray[np.float64]
    grader: str | None = None
    away: bool = False


@dataclass(slots=True)
class Step:
    """One step: what was believed before it, and what it did.

    Attributes:
        pair: index of the pair called; None where it answered.
        answer_key: of what the pair answered, or of the answer given; None without a key.
        confidence: probability of the leading answer before the step; 0 without one.
        none_probability: probability that no answer gathered before the step is right.
        supporters: calls that gave the leading answer.
        prior: probability that the called pair answers right, before any was called.
        cost_usd: dollars its call was expected to cost; None unknown.
    """

    pair: int | None
    answer_key: str | None
    confidence: float
    none_probability: float
    supporters: int
    prior: float | None = None
    cost_usd: float | None = None


class Walk:
    """Progress of one trajectory.

    Args:
        plan: what it follows.
        paid: pairs, by index, that the ledger knows requests of, in the order of their claims.
    """

    def __init__(self, plan: TrajectoryPlan, paid: Iterable[int] = ()) -> None:
        self.plan = plan
        self.steps: list[Step] = []
        count = len(plan.pairs)
        self._called = np.zeros(count, np.bool_)
        self._keys = np.full(count, -1, np.int64)
        self._codes: dict[str, int] = {}
        self._texts: dict[int, str] = {}
        self._leading = -1
        place = {pair: column for column, pair in enumerate(plan.pairs)}
        self._paid = [place[pair] for pair in dict.fromkeys(paid) if pair in place]

    async def next(self, allowed: Sequence[bool]) -> int | None:
        """Column of the pair to call next; None where it is time to answer.

        While no call gave any answer, the likeliest pair that is left is called instead: a row
        fails only where every pair did.

        Args:
            allowed: (C,) pairs that may be called.
        """
        course = await self.plan.navigator.next(
            Sight(
                self._called.copy(), self._keys.copy(), np.asarray(allowed, np.bool_),
                self.plan.priors, self.plan.components, self.plan.away,
            )
        )  # fmt: skip
        column = self._decided(course, allowed)
        if column is None:
            self._leading = course.leader
            self._note(None, self._key(course.leader), course)
            return None
        self._note(column, None, course)
        return column

    def learn(self, column: int, answer: str | None) -> None:
        """Take in what a called pair answered; None where its call failed."""
        self._called[column] = True
        if answer is None:
            return
        self._texts[column] = answer
        key = answer_key(answer, self.plan.grader)
        if key is not None:
            self._keys[column] = self._codes.setdefault(key, len(self._codes))
            self.steps[-1].answer_key = key

    @property
    def leader(self) -> int | None:
        """Column of the pair whose answer is given, at the end; None where no call gave one.

        Without any answer that has a key, it is that of the likeliest pair that said something.
        """
        if self._leading >= 0:
            return self._leading
        said = sorted(self._texts, key=lambda column: (-self.plan.priors[column], column))
        return said[0] if said else None

    def _decided(self, course: Course, allowed: Sequence[bool]) -> int | None:
        if self._paid:
            # Replayed even where its provider is closed by now: what is settled needs no sending.
            return self._paid.pop(0)
        if course.action != ANSWER:
            return course.action
        left = [column for column, may in enumerate(allowed) if may and not self._called[column]]
        full = int(self._called.sum()) >= self.plan.navigator.guide.max_calls
        if self._texts or full or not left:
            return None
        return max(left, key=lambda column: (self.plan.priors[column], -column))

    def _key(self, column: int) -> str | None:
        code = -1 if column < 0 else int(self._keys[column])
        return next((key for key, number in self._codes.items() if number == code), None)

    def _note(self, column: int | None, key: str | None, course: Course) -> None:
        guide = self.plan.navigator.guide
        cost = float("nan") if column is None else float(guide.costs_usd[column])
        self.steps.append(
            Step(
                pair=None if column is None else self.plan.pairs[column],
                answer_key=key,
                confidence=course.confidence,
                none_probability=course.none,
                supporters=course.supporters,
                prior=None if column is None else float(self.plan.priors[column]),
                cost_usd=None if cost != cost else cost,
            )
        )
