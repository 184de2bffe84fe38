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
    macro_gain: float
    """Mean over datasets of the mean gain in each."""
    macro_needed: float
    """What the mean over datasets had to exceed."""
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
    chosen: NDArray[np.int64],
    base: int,
    realised: Matrix,
    groups: NDArray[np.int64],
    needed_points: float,
    needed_errors: float,
) -> Gate:
    """Open the gate only if two means of the gain are clearly above 0 and above a floor.

    The means are over questions (micro) and over datasets (macro); the standard error of a mean is
    what a bootstrap of the questions, inside datasets for macro, would show. Questions kept at the
    base gain nothing, for certain. A switched question where either utility is unknown counts as
    the mean of the known ones of its dataset switched to the same pair, or of all datasets; where
    none is known, as no gain.

    Args:
        chosen: (n,) pairs chosen out of fold.
        base: the best single pair.
        realised: (n, P) utilities of the observed outcomes; NaN unknown.
        groups: (n,) dataset numbers.
        needed_points: smallest gain, in points (hundredths) of utility.
        needed_errors: smallest gain, in standard errors of the mean.
    """
    n = len(chosen)
    moved = chosen != base
    gains = np.where(moved, realised[np.arange(n), chosen] - realised[:, base], 0.0)
    seen = moved & np.isfinite(gains)
    if not seen.any():
        least = needed_points / 100
        return Gate(False, 0.0, least, 0.0, least, float(moved.sum() / max(n, 1)))
    squares = np.where(seen, gains, 0.0) ** 2
    gains = _completed(gains, chosen, groups)
    # Where only some of the switched questions tell, every mean is that much less certain.
    widening = moved.sum() / seen.sum()
    sizes = np.bincount(groups).astype(np.float64)
    sizes_kept = sizes[sizes > 0]
    means = np.bincount(groups, gains)[sizes > 0] / sizes_kept
    seconds = np.bincount(groups, squares)[sizes > 0] / sizes_kept * widening
    spread = np.maximum(seconds - means**2, 0.0) / sizes_kept * widening
    micro = float(gains.mean())
    micro_sd = float(np.sqrt(max(squares.mean() * widening - micro**2, 0.0) / n * widening))
    macro = float(means.mean())
    macro_sd = float(np.sqrt(spread.sum()) / len(means))
    needed = max(needed_errors * micro_sd, needed_points / 100)
    macro_needed = max(needed_errors * macro_sd, needed_points / 100)
    return Gate(
        open=micro > needed and macro > macro_needed,
        gain=micro,
        needed=needed,
        macro_gain=macro,
        macro_needed=macro_needed,
        switched=float(moved.mean()),
    )


def _completed(gains: Matrix, chosen: NDArray[np.int64], groups: NDArray[np.int64]) -> Matrix:
    """Unknown gains replaced by the mean of the known ones of their kind."""
    unknown = ~np.isfinite(gains)
    if not unknown.any():
        return gains
    filled = gains.copy()
    for pair in np.unique(chosen[unknown]):
        same = chosen == pair
        known = gains[same & ~unknown]
        filled[same & unknown] = known.mean() if len(known) else 0.0
        for group in np.unique(groups[same & unknown]):
            here = same & (groups == group)
            known = gains[here & ~unknown]
            if len(known):
                filled[here & unknown] = known.mean()
    return filled
