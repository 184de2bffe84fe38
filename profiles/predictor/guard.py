"""When to leave the best single pair: a margin for every question, a gate for the whole."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]

_PRIOR_ROWS = 10.0


class Gate(NamedTuple):
    """Whether routing is worth it at all, by questions the estimates were not fitted on."""

    open: bool
    gain: float
    """Mean utility gained over the best single pair, per question."""
    needed: float
    """What the gain had to exceed."""
    switched: float
    """Share of questions routed to another pair."""


def advantage_sd(estimates: Matrix, scores: Matrix) -> Matrix:
    """(P, P) standard error, at leverage 1, of the estimated advantage of pair p over pair b.

    The out-of-fold errors of both on the same questions, as one standard deviation; drawn to the
    mean over all couples as if 10 questions had shown it, and widened by sqrt(n / n_pb) where only
    n_pb of the n scored questions have a score of the rarer of the two. NaN for a pair without any.

    Args:
        estimates: (n, P) out-of-fold estimates.
        scores: (n, P) observed; NaN unknown.
    """
    known = np.isfinite(scores) & np.isfinite(estimates)
    error = np.where(known, estimates - np.where(known, scores, 0.0), 0.0)
    seen = known.astype(np.float64)
    both = seen.T @ seen
    squares = error**2
    # Σ (e_p − e_b)² over the questions where both are known.
    sums = squares.T @ seen + seen.T @ squares - 2.0 * error.T @ error
    off = ~np.eye(len(both), dtype=np.bool_)
    total = both[off].sum()
    common = sums[off].sum() / total if total > 0 else 0.25
    variance = (np.maximum(sums, 0.0) + _PRIOR_ROWS * common) / (both + _PRIOR_ROWS)
    each = seen.sum(axis=0)
    rarer = np.minimum(each[:, None], each[None, :])
    widening = np.divide(
        float(known.any(axis=1).sum()), rarer, out=np.full(rarer.shape, np.nan), where=rarer > 0
    )
    sd: Matrix = np.sqrt(variance * widening)
    np.fill_diagonal(sd, 0.0)
    return sd


def guarded(utility: Matrix, base: int, errors: Matrix) -> Matrix:
    """(n, P) utilities less what they could be wrong by, against the base pair's.

    The highest is the base itself unless another pair's advantage exceeds its margin.

    Args:
        utility: (n, P) estimates, NaN unknown.
        base: column of the pair that is kept unless another is clearly better.
        errors: (n, P) z standard errors of each pair's advantage over the base.
    """
    lowered = utility - errors
    lowered[:, base] = utility[:, base]
    return lowered


def judge_gate(
    chosen: NDArray[np.int64], base: int, realised: Matrix, needed_points: float
) -> Gate:
    """Open the gate only if the gain exceeds its standard error and `needed_points` points.

    The standard error of a mean is what a bootstrap of the questions would show. Questions kept at
    the base gain nothing, for certain. A switched question where either utility is unknown counts
    as the mean of the known ones switched to the same pair; where none is known, as no gain.

    Args:
        chosen: (n,) pairs chosen out of fold.
        base: the best single pair.
        realised: (n, P) utilities of the observed outcomes; NaN unknown.
        needed_points: smallest gain, in points (hundredths) of utility.
    """
    n = len(chosen)
    least = needed_points / 100.0
    if not n:
        return Gate(open=False, gain=0.0, needed=least, switched=0.0)
    moved = chosen != base
    gains = np.where(moved, realised[np.arange(n), chosen] - realised[:, base], 0.0)
    known = np.isfinite(gains)
    mean, variance = 0.0, 0.0
    for pair in np.unique(chosen[moved]):
        rows = moved & (chosen == pair)
        seen = gains[rows & known]
        share = rows.mean()
        if len(seen):
            mean += share * seen.mean()
            variance += share**2 * float((seen**2).sum()) / len(seen) ** 2
    sd = float(np.sqrt(max(variance - mean**2 / n, 0.0)))
    needed = max(sd, least)
    return Gate(open=mean > needed, gain=float(mean), needed=needed, switched=float(moved.mean()))
