"""What a policy learns from: recorded answers, scores and costs of every pair on every question."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]

TARGET = 0.5
"""A fractional score above it counts as right where a yes or no is needed."""


@dataclass(frozen=True, slots=True)
class RecordedAnswers:
    """Outcomes of P pairs on n questions; rows are questions, columns pairs in pair order.

    Attributes:
        keys: (n, P) int64, a number per distinct answer key of the question, -1 without a key.
        scores: (n, P) in [0, 1]; NaN is unscored or not run.
        costs: (n, P) cost of the call in units of `cost_unit_usd`; never NaN.
        priors: (n, P) prior probability that the pair answers right, made without the question's
            own outcome.
        components: (n, C) leading principal components of the questions' embeddings.
        accuracy: (P,) training accuracy; `accuracy_sd` its standard error.
        correlation: (P, P) of correctness between pairs.
        cost_unit_usd: dollars of one unit: the dearest pair's mean cost. NaN where no cost is
            known, and every call costs one unit.
    """

    keys: NDArray[np.int64]
    scores: Matrix
    costs: Matrix
    priors: Matrix
    components: Matrix
    accuracy: Matrix
    accuracy_sd: Matrix
    correlation: Matrix
    cost_unit_usd: float

    def __post_init__(self) -> None:
        shape = self.keys.shape
        for name in ("scores", "costs", "priors"):
            if getattr(self, name).shape != shape:
                msg = f"{name} are {getattr(self, name).shape}, the answer keys {shape}"
                raise ValueError(msg)

    def __len__(self) -> int:
        """The number of questions."""
        return len(self.keys)

    @property
    def pairs(self) -> int:
        """P."""
        return int(self.keys.shape[1])

    def columns(self, chosen: NDArray[np.int64]) -> RecordedAnswers:
        """The same questions for some of the pairs."""
        return RecordedAnswers(
            self.keys[:, chosen],
            self.scores[:, chosen],
            self.costs[:, chosen],
            self.priors[:, chosen],
            self.components,
            self.accuracy[chosen],
            self.accuracy_sd[chosen],
            self.correlation[np.ix_(chosen, chosen)],
            self.cost_unit_usd,
        )

    def rows(self, chosen: NDArray[np.int64] | NDArray[np.bool_]) -> RecordedAnswers:
        """Some of the questions."""
        return RecordedAnswers(
            self.keys[chosen],
            self.scores[chosen],
            self.costs[chosen],
            self.priors[chosen],
            self.components[chosen],
            self.accuracy,
            self.accuracy_sd,
            self.correlation,
            self.cost_unit_usd,
        )


class CostScale(NamedTuple):
    """How dollars become units."""

    units: Matrix
    """(n, P), never NaN."""
    unit_usd: float
    """NaN where no cost is known."""


def cost_units(
    costs_usd: Matrix,
    train: NDArray[np.bool_],
    durations_s: Matrix | None = None,
    usd_per_second: float = 0.0,
) -> CostScale:
    """Costs in units of the dearest pair's mean training cost; time priced beside money.

    An unknown cost of one call is the pair's mean; where no cost is known at all, every call
    costs one unit, so that a price is per call.

    Args:
        costs_usd: (n, P), NaN unknown.
        train: (n,) rows that means are taken over.
        durations_s: (n, P), NaN unknown; with `usd_per_second` added to the cost.
        usd_per_second: what a second of waiting is worth.
    """
    total = costs_usd.copy()
    if durations_s is not None and usd_per_second > 0:
        total = np.nan_to_num(total) + usd_per_second * np.nan_to_num(durations_s)
    known = np.isfinite(total[train])
    count = known.sum(axis=0)
    if not count.any():
        return CostScale(np.ones_like(total), float("nan"))
    sums = np.where(known, total[train], 0.0).sum(axis=0)
    means = np.divide(sums, count, out=np.full(len(count), np.nan), where=count > 0)
    means = np.where(np.isfinite(means), means, np.nanmax(means))
    unit = float(means.max())
    if unit == 0:
        return CostScale(np.zeros_like(total), 0.0)
    return CostScale(np.where(np.isfinite(total), total, means) / unit, unit)


def code_keys(keys: list[list[str | None]]) -> NDArray[np.int64]:
    """(n, P) answer keys as numbers, per question in order of appearance; None becomes -1."""
    coded = np.full((len(keys), len(keys[0]) if keys else 0), -1, np.int64)
    for row, texts in enumerate(keys):
        seen: dict[str, int] = {}
        for column, text in enumerate(texts):
            if text is not None:
                coded[row, column] = seen.setdefault(text, len(seen))
    return coded


def comparable(keys: NDArray[np.int64], scores: Matrix) -> bool:
    """Whether there are answers to compare: at least half of the right ones have a key.

    Args:
        keys: (n, P) answer keys of training questions, -1 without one.
        scores: (n, P) their scores; NaN is unscored.
    """
    right = np.nan_to_num(scores) > TARGET
    return bool(((keys >= 0) & right).sum() * 2 >= max(right.sum(), 1))


def candidate_pairs(
    scores: Matrix, costs: Matrix, prices: NDArray[np.float64], most: int
) -> NDArray[np.int64]:
    """The pairs worth having together.

    A lattice over all pairs of a large pool is too large. One half are the pairs that come nearest
    to being the best single pair at some price. The others complement them: greedily, the best
    mean over prices of the oracle's utility. By that alone weak pairs are chosen, for being right
    by luck where all others fail.

    Args:
        scores: (n, P) of training questions; an unscored cell is never the best.
        costs: (n, P) in units.
        prices: of one unit of cost.
        most: pairs to choose.

    Returns:
        Rising column numbers, at most `most`.
    """
    utility = np.nan_to_num(scores)[None] - prices[:, None, None] * costs[None]
    alone = utility.mean(axis=1)
    regret = (alone.max(axis=1, keepdims=True) - alone).min(axis=0)
    total = min(most, scores.shape[1])
    # At equal regret, the pair of the better mean over prices.
    order = np.lexsort((-alone.mean(axis=0), regret))
    chosen = order[: (total + 1) // 2].tolist()
    reached = utility[:, :, chosen].max(axis=2)
    while len(chosen) < total:
        gains = np.maximum(reached[:, :, None], utility).mean(axis=(0, 1))
        gains[chosen] = -np.inf
        best = int(gains.argmax())
        chosen.append(best)
        reached = np.maximum(reached, utility[:, :, best])
    return np.array(sorted(chosen), np.int64)
