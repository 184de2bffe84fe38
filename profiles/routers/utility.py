"""Utility of a pair: U = (1 − alpha)·Acc − alpha·Cost (ATLAS, Eq. 4), with cost on a scale."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from profiles.errors import RouterError

COST_SCALES = ("global", "raw", "per_cluster")

Matrix = NDArray[np.float64]


def utilities(
    scores: Matrix, costs_usd: Matrix, alpha: float, cost_scale: str, largest_cost: float
) -> Matrix:
    """Utilities of (rows, P) estimates.

    `global`: Cost is divided by the profile's largest mean pair cost, so that alpha means the
    same in every cluster. `raw`: Cost in dollars, as the paper prints it. `per_cluster`
    (Avengers-Pro): Acc is min-max scaled over the pairs of the row (1 where the range is 0) and
    Cost divided by the row's largest.

    At alpha 0 costs are not looked at. Above, a pair of unknown cost has no utility (NaN): a
    router asked to save money does not choose a pair it cannot price.

    Args:
        scores: (rows, P) Acc, NaN unknown.
        costs_usd: (rows, P) Cost, dollars per question, NaN unknown.
        alpha: in [0, 1].
        cost_scale: one of `COST_SCALES`.
        largest_cost: largest mean pair cost of the profile, dollars; NaN when none is known.

    Raises:
        RouterError: if alpha is above 0 and no pair has a known cost.
    """
    if alpha > 0 and not np.isfinite(costs_usd).any():
        msg = (
            f"alpha is {alpha:g}, but the profile knows no pair's cost; give prices in the pool"
            " and profile again, or route with alpha 0"
        )
        raise RouterError(msg)
    usable = np.isfinite(scores)
    if alpha > 0:
        usable &= np.isfinite(costs_usd)
    accuracy = np.where(usable, scores, np.nan)
    if cost_scale == "per_cluster":
        accuracy = _min_max(accuracy)
    if alpha == 0:
        return accuracy
    cost = np.where(usable, costs_usd, np.nan)
    if cost_scale == "global":
        cost = cost / largest_cost if largest_cost > 0 else np.zeros_like(cost) * cost
    elif cost_scale == "per_cluster":
        most = _row_extreme(cost, np.fmax)
        cost = np.divide(cost, most, out=np.zeros_like(cost) * cost, where=most > 0)
    return (1.0 - alpha) * accuracy - alpha * cost


def _min_max(values: Matrix) -> Matrix:
    low, high = _row_extreme(values, np.fmin), _row_extreme(values, np.fmax)
    span = high - low
    flat = np.where(np.isfinite(values), 1.0, np.nan)
    return np.divide(values - low, span, out=flat, where=np.isfinite(values) & (span > 0))


def _row_extreme(values: Matrix, better: np.ufunc) -> Matrix:
    extreme: Matrix = better.reduce(values, axis=1, keepdims=True)
    return np.broadcast_to(extreme, values.shape)
