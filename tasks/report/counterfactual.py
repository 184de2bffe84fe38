"""What a router would have made of questions that another one answered, from a profile's cells.

A router B is a table of weights W[k, p]: the share of the questions of place k that it gives to
pair p. A place is a cluster of the profile; the last one holds questions that are out of
distribution or have no cluster. On question i of place k, which pair u answered with the value
x_i (a score, a cost),

    b_i = W[k, u]·x_i + Σ_{p ≠ u} W[k, p]·μ(k, p)

with μ(k, p) the profile's mean: where B would have asked the same pair, its result is known. What
is not known has two parts. *Luck*, Σ_i Σ_{p ≠ u} W²·v(k, p), is what single questions vary round
their cell's mean, v = μ(1 − μ) for scores and (μ·CV)² for costs, taken as independent of what
really happened, which is wider than it was. *Doubt*, Σ_cells c²·d, is the profile's own error: c
is how many questions lean on the cell, d the variance of its mean over m outcomes, ã(1 − ã)/m with
ã = (μ·m + 1)/(m + 2) for scores, so that a cell that was always right is not called certain, and
v/m for costs. Cells of few outcomes borrow the pair's overall mean, and with it one common error.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tasks.plan.estimates import LEAST_OUTCOMES, Quantity

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Matrix = NDArray[np.float64]
    Numbers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Cells:
    """Cells of one quantity, (places, pairs) each, with what borrowed cells borrow filled in.

    Attributes:
        mean: μ; NaN where even the pair's overall mean is unknown.
        source: row whose outcomes speak for the cell.
        luck: variance of one question round the mean.
        doubt: variance of the mean itself.
    """

    mean: Matrix
    source: Numbers
    luck: Matrix
    doubt: Matrix


def score_cells(quantity: Quantity) -> Cells:
    """Cells of scores in [0, 1]."""
    mean, source, count, _ = _filled(quantity)
    smooth = (np.nan_to_num(mean) * count + 1) / (count + 2)
    known = np.nan_to_num(mean)
    return Cells(mean, source, known * (1 - known), smooth * (1 - smooth) / count)


def cost_cells(quantity: Quantity) -> Cells:
    """Cells of dollars a question."""
    mean, source, count, cv = _filled(quantity)
    variance = (np.nan_to_num(mean) * cv) ** 2
    return Cells(mean, source, variance, variance / count)


def _filled(quantity: Quantity) -> tuple[Matrix, Numbers, Matrix, Matrix]:
    shape = quantity.mean.shape
    own = (quantity.count >= LEAST_OUTCOMES) & np.isfinite(quantity.mean)
    source = np.where(own, np.arange(shape[0])[:, None], shape[0] - 1)
    column = np.broadcast_to(np.arange(shape[1]), shape)
    count = np.maximum(quantity.count[source, column], 1).astype(np.float64)
    return quantity.mean[source, column], source, count, quantity.cv[source, column]


@dataclass(frozen=True, slots=True)
class Answered:
    """n answered questions.

    Attributes:
        place: (n,) rows of the cells.
        pair: (n,) column of the pair that answered, −1 if the profile does not know it.
        own: (n,) the same, −1 too where other pairs had been tried before it.
        score: (n,) NaN where unscored.
        cost_usd: (n,) NaN where unknown.
    """

    place: Numbers
    pair: Numbers
    own: Numbers
    score: Matrix
    cost_usd: Matrix

    def only(self, keep: NDArray[np.bool_]) -> Answered:
        """Some of them."""
        return Answered(
            self.place[keep], self.pair[keep], self.own[keep], self.score[keep], self.cost_usd[keep]
        )


@dataclass(frozen=True, slots=True)
class Other:
    """What another router would have made of the questions.

    Attributes:
        values: (n,) b_i.
        same: questions it would have given to the same pair, an expected number.
        luck: variance of Σ b_i from single questions.
        leaning: questions that lean on each cell, (places, pairs).
    """

    values: Matrix
    same: float
    luck: float
    leaning: Matrix


def other_router(rows: Answered, values: Matrix, weights: Matrix, cells: Cells) -> Other | None:
    """What W would have made of the rows; None where it leans on a cell nobody knows.

    Args:
        rows: the questions.
        values: (n,) what really happened, scores or dollars.
        weights: (places, pairs) W.
        cells: of the same quantity.
    """
    known = rows.own >= 0
    column = np.where(known, rows.own, 0)
    share = np.where(known, weights[rows.place, column], 0.0)
    leaning = np.bincount(rows.place, minlength=len(weights))[:, None] * weights
    np.subtract.at(leaning, (rows.place, column), share)
    leaning[np.abs(leaning) < 1e-9] = 0.0
    if np.isnan(cells.mean[leaning > 0]).any():
        return None
    mean = np.nan_to_num(cells.mean)
    rest = (weights * mean).sum(axis=1)[rows.place] - share * mean[rows.place, column]
    luck = (weights**2 * cells.luck).sum(axis=1)[rows.place]
    luck = luck - share**2 * cells.luck[rows.place, column]
    # Where nothing is left to the cells, rounding must not leave a trace of them.
    left = share < 1.0
    mixed = share * np.nan_to_num(values) + np.where(left, rest, 0.0)
    return Other(mixed, float(share.sum()), float(np.where(left, luck, 0.0).sum()), leaning)


def own_router(rows: Answered, cells: Cells) -> Other | None:
    """What the profile expects of the pairs that really answered; None if it does not know one."""
    if (rows.pair < 0).any():
        return None
    leaning = np.zeros(cells.mean.shape)
    np.add.at(leaning, (rows.place, rows.pair), 1.0)
    values = cells.mean[rows.place, rows.pair]
    return None if np.isnan(values).any() else Other(values, 0.0, 0.0, leaning)


def doubt_of(leaning: Matrix, cells: Cells) -> float:
    """Variance of a sum that leans on cells so often, from the profile's own error."""
    pooled = np.zeros(leaning.shape)
    doubt = np.zeros(leaning.shape)
    column = np.broadcast_to(np.arange(leaning.shape[1]), leaning.shape)
    np.add.at(pooled, (cells.source, column), leaning)
    doubt[cells.source, column] = cells.doubt
    return float((pooled**2 * doubt).sum())
