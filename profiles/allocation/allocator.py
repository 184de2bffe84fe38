"""Spending a budget of calls where it decides which pair wins a cluster.

Every cluster has one random order of its questions, shared by all pairs, so that pairs are
compared on the same questions. After a few questions per cluster on every pair, each round takes
the cells that are expected to raise the routed accuracy most per price (`profiles.allocation.gain`)
under the posterior so far (`profiles.posterior`), and a few at random: no pair is ever given up
for good.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from profiles.allocation.gain import plan_round
from profiles.allocation.settings import AllocationSettings
from profiles.errors import ProfileError
from profiles.posterior import Cells, fit_cells

Matrix = NDArray[np.float64]
Cell = tuple[int, int]

SPENT = "the budget is spent"
COMPLETE = "every cell is known"
CERTAIN = "certainty would gain less than epsilon"
WHOLE = "whole questions: the budget reaches too few cells to choose among"
POOR = "the budget does not reach one whole question"

_WARM = (1.0, 4.0)
"""Questions per cluster on every pair before anything is chosen."""


class Allocator:
    """Chooses cells to run, round after round, until the budget or the doubt is gone.

    Pure and resumable by replay: what it asks for is a function of its arguments and of what was
    observed. A run that died builds the same allocator again and observes what its ledger has.

    Args:
        labels: (n,) cluster of each question.
        pairs: P.
        cost: expected dollars of a cell, per (cluster, pair) or per pair, NaN where unknown;
            None counts every cell alike.
        known: (n, P) cells that are known already; they cost nothing.
        scores: (n, P) scores of known cells, NaN where unscored or unknown.
        budget: in dollars, or in cells where `cost` is None.
        seed: of everything random here.
        settings: how to spend.

    Raises:
        ProfileError: if shapes disagree or the budget is no amount.
    """

    def __init__(
        self,
        *,
        labels: NDArray[np.int64],
        pairs: int,
        budget: float,
        cost: Matrix | None = None,
        known: NDArray[np.bool_] | None = None,
        scores: Matrix | None = None,
        seed: int = 0,
        settings: AllocationSettings | None = None,
    ) -> None:
        self.settings = settings or AllocationSettings()
        self.stopped: str | None = None
        """Why there is no further round; None while there is."""
        self._labels = np.asarray(labels, dtype=np.int64)
        shape = (len(self._labels), pairs)
        self._k = int(self._labels.max()) + 1 if len(self._labels) else 0
        self._seed = seed
        self._round = 0
        self._asked = np.zeros(shape, np.bool_) if known is None else known.copy()
        self._scores = np.full(shape, np.nan) if scores is None else scores.astype(np.float64)
        if self._asked.shape != shape or self._scores.shape != shape or not pairs:
            msg = f"known and scores must have shape {shape}, questions by pairs, with a pair"
            raise ProfileError(msg)
        if not (np.isfinite(budget) and budget >= 0):
            msg = f"the budget must be a number of 0 or more, not {budget}"
            raise ProfileError(msg)
        self._scores[~self._asked] = np.nan
        self.budget = float(budget)
        self._cost = _expected_costs(cost, self._k, pairs)
        self._charged = np.zeros(shape)
        self._sizes = np.bincount(self._labels, minlength=self._k).astype(np.float64)
        self._queues = self._shared_orders()
        self._step = 0.0

    @property
    def spent(self) -> float:
        """Cells or dollars asked for so far; dollars as observed where they were."""
        return float(self._charged.sum())

    @property
    def remaining_gain(self) -> float:
        """What knowing every accuracy exactly would add to the routed accuracy, expected."""
        return self._doubt(self._fit())

    def next_round(self) -> list[Cell] | None:
        """The next (question, pair) cells to run; None when there is nothing more to ask.

        `stopped` says why. Cells are never asked for twice.
        """
        if self.stopped is not None:
            return None
        if self._asked.all():
            self.stopped = COMPLETE
            return None
        first = self._round == 0
        self._round += 1
        if first:
            if self._reach() < self.settings.fallback_share:
                cells = self._ask(self._whole_questions())
                self.stopped = WHOLE if cells else POOR
                return cells or None
            if cells := self._ask(self._warm_start()):
                return cells
        left = self.budget - self.spent
        if left < self._cheapest():
            self.stopped = SPENT
            return None
        if not self._step:
            self._step = left / self.settings.rounds
        fitted = self._fit()
        if self._doubt(fitted) < self.settings.epsilon:
            self.stopped = CERTAIN
            return None
        cells = self._ask(self._planned(fitted, left))
        if not cells:
            self.stopped = SPENT
        return cells or None

    def observe(
        self,
        cells: Sequence[Cell],
        scores: Sequence[float | None],
        costs: Sequence[float | None] | None = None,
    ) -> None:
        """Take in what running cells gave.

        Args:
            cells: any cells that were asked for, in any order.
            scores: their scores in [0, 1]; None or NaN where unscored: never counted as wrong.
            costs: what they cost in dollars, None where unknown; then the expected cost stands.
        """
        if len(scores) != len(cells) or (costs is not None and len(costs) != len(cells)):
            msg = f"{len(scores)} scores for {len(cells)} cells; every cell needs one"
            raise ProfileError(msg)
        for number, (row, column) in enumerate(cells):
            score = scores[number]
            value = float("nan") if score is None else float(score)
            if not (np.isnan(value) or 0.0 <= value <= 1.0):
                msg = f"cell {number} (question {row}, pair {column}) has score {value}, not 0 to 1"
                raise ProfileError(msg)
            self._asked[row, column] = True
            self._scores[row, column] = value
            paid = None if costs is None or self._cost is None else costs[number]
            if paid is not None and np.isfinite(paid):
                self._charged[row, column] = paid

    def _prices(self) -> Matrix:
        """(K, P) what a cell takes of the budget."""
        if self._cost is None:
            return np.ones((self._k, self._asked.shape[1]))
        return self._cost

    def _reach(self) -> float:
        """Share of all cells that is known or can be paid for."""
        missing = ~self._asked
        bill = float(self._prices()[self._labels][missing].sum())
        affordable = 1.0 if bill <= self.budget else self.budget / bill
        return float((self._asked.sum() + affordable * missing.sum()) / missing.size)

    def _cheapest(self) -> float:
        prices = np.where(~self._asked, self._prices()[self._labels], np.inf)
        return float(prices.min())

    def _shared_orders(self) -> list[NDArray[np.int64]]:
        """Per cluster, its questions in one random order."""
        mixed = np.random.default_rng((self._seed, 0)).permutation(len(self._labels))
        return [mixed[self._labels[mixed] == cluster] for cluster in range(self._k)]

    def _whole_questions(self) -> list[Cell]:
        """Questions on every pair, clusters taking turns by size, while the budget lasts."""
        turns = [(np.arange(len(q)) + 0.5) / max(len(q), 1) for q in self._queues]
        rows = np.concatenate(self._queues)[np.argsort(np.concatenate(turns), kind="stable")]
        return self._within_budget(rows, self.budget)

    def _within_budget(self, rows: NDArray[np.int64], budget: float) -> list[Cell]:
        prices, cells, left = self._prices(), list[Cell](), budget
        for row in rows:
            columns = np.flatnonzero(~self._asked[row])
            price = float(prices[self._labels[row], columns].sum())
            if len(columns) and price > left + 1e-9:
                break
            left -= price
            cells += [(int(row), int(column)) for column in columns]
        return cells

    def _warm_start(self) -> list[Cell]:
        """The first questions of every cluster on every pair, biggest cluster first."""
        bill = float(self._prices().sum())
        each = int(np.clip(self.budget / (4.0 * max(bill, 1e-300)), *_WARM))
        budget = self.budget / 2.0 if self.budget < 2.0 * bill else self.budget
        bigger_first = np.argsort(-self._sizes, kind="stable")
        rows = np.array(
            [row for k in bigger_first for row in self._queues[k][:each]], dtype=np.int64
        )
        return self._within_budget(rows, budget)

    def _fit(self) -> Cells:
        return fit_cells(self._scores, self._labels, self._k, settings=self.settings.posterior)

    def _doubt(self, fitted: Cells) -> float:
        """Expected gain of perfect knowledge: what the best pair has over the one that leads."""
        rng = np.random.default_rng((self._seed, 1, self._round))
        drawn = fitted.draws(self.settings.draws, rng)
        leads = np.take_along_axis(drawn, fitted.mean.argmax(axis=1)[None, :, None], axis=2)
        gain = drawn.max(axis=2).mean(axis=0) - leads[:, :, 0].mean(axis=0)
        return float(self._sizes @ gain / max(self._sizes.sum(), 1.0))

    def _usable(self) -> Matrix:
        """(P,) share of a pair's cells that came with a score: a failing one says nothing."""
        ran = self._asked.sum(axis=0)
        scored = np.isfinite(self._scores).sum(axis=0)
        share: Matrix = (scored + 1.0) / (ran + 1.0)
        return share

    def _planned(self, fitted: Cells, left: float) -> list[Cell]:
        """One round's cells: counts by expected gain, each the next questions of its order."""
        rng = np.random.default_rng((self._seed, 2, self._round))
        pairs = self._asked.shape[1]
        queues = [
            [queue[~self._asked[queue, column]] for column in range(pairs)]
            for queue in self._queues
        ]
        room = np.array([[len(queue) for queue in row] for row in queues], dtype=np.int64)
        prices = self._prices()
        # A cell that fails costs its price and says nothing.
        effective = prices / self._usable()
        smallest = self.settings.smallest_round * float(np.median(prices))
        counts = plan_round(
            fitted,
            sizes=self._sizes,
            prices=effective,
            room=room,
            budget=min(left, max(self._step, smallest)),
            explore=self.settings.explore,
            rng=rng,
        )
        return [
            (int(row), column)
            for cluster in range(self._k)
            for column in range(pairs)
            for row in queues[cluster][column][: counts[cluster, column]]
        ]

    def _ask(self, cells: list[Cell]) -> list[Cell]:
        prices = self._prices()
        for row, column in cells:
            self._asked[row, column] = True
            self._charged[row, column] = prices[self._labels[row], column]
        return cells


def _expected_costs(cost: Matrix | None, k: int, pairs: int) -> Matrix | None:
    """(K, P) expected dollars; the median of the known stands in for an unknown price.

    A pair without a price must not look free, nor be left out: it would never be profiled.
    """
    if cost is None:
        return None
    matrix = np.asarray(cost, dtype=np.float64)
    if matrix.shape not in {(pairs,), (k, pairs)}:
        msg = f"cost has shape {matrix.shape}, not ({pairs},) or ({k}, {pairs})"
        raise ProfileError(msg)
    known = matrix[np.isfinite(matrix)]
    if not len(known):
        msg = "no pair has a known price: give the budget as a share of the cells"
        raise ProfileError(msg)
    if (known < 0).any():
        msg = f"a cell is expected to cost {known.min()} dollars; costs are 0 or more"
        raise ProfileError(msg)
    filled = np.where(np.isfinite(matrix), matrix, np.median(known))
    return np.ascontiguousarray(np.broadcast_to(filled, (k, pairs)))
