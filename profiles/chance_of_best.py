"""How probable it is that each of several independent normal quantities is the highest."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_GRID = 256
_LEAST = 16
"""Quantiles of every quantity that the integral's grid is made of: all together, and at least."""
_ROWS = 64
"""Rows worked together, which bounds the memory."""

Matrix = NDArray[np.float64]


def chance_of_best(mean: Matrix, spread: Matrix, taking_part: NDArray[np.bool_]) -> Matrix:
    """(n, P) probability that each quantity of a row is the highest of those that take part.

    One is certain. Two are Φ((μ₁ − μ₂) / √(σ₁² + σ₂²)), exactly. Of more,

        P(j) = ∫ Π_{i≠j} F_i(x) dF_j(x)

    is summed over a grid of all their quantiles, the product by the mean of its values at the ends
    of every step. The integral lies between the sums of the lower and of the higher ends, which
    differ by at most the largest step of a distribution function: no probability is off by more
    than `error_bound(quantities)`; measured, by less than 0.001 up to ten. Rows sum to 1.

    Args:
        mean: (n, P) μ; not looked at where a quantity takes no part.
        spread: (n, P) σ > 0.
        taking_part: (n, P), at least one a row.
    """
    from scipy.special import ndtr

    result = np.zeros(mean.shape)
    count = taking_part.sum(axis=1)
    result[count == 1] = taking_part[count == 1]
    pairs = np.flatnonzero(count == 2)
    if len(pairs):
        both = np.nonzero(taking_part[pairs])[1].reshape(-1, 2)
        first, second = both.T
        scale = np.hypot(spread[pairs, first], spread[pairs, second])
        ahead = ndtr((mean[pairs, first] - mean[pairs, second]) / scale)
        result[pairs, first], result[pairs, second] = ahead, 1.0 - ahead
    for size in np.unique(count[count > 2]):
        rows = np.flatnonzero(count == size)
        columns = np.nonzero(taking_part[rows])[1].reshape(-1, size)
        for start in range(0, len(rows), _ROWS):
            part, where = rows[start : start + _ROWS, None], columns[start : start + _ROWS]
            result[part, where] = _integrated(mean[part, where], spread[part, where])
    return result


def error_bound(quantities: int) -> float:
    """How far a probability of so many quantities can be from the exact one; 0 up to two."""
    return 0.5 / _points(quantities) if quantities > 2 else 0.0


def _points(quantities: int) -> int:
    return max(_LEAST, _GRID // quantities)


def _integrated(mean: Matrix, spread: Matrix) -> Matrix:
    """(n, C) chances of C quantities each."""
    from scipy.special import ndtr, ndtri

    points = _points(mean.shape[1])
    inner = ndtri(np.arange(1, points) / points)
    grid = np.sort((mean[:, :, None] + spread[:, :, None] * inner).reshape(len(mean), -1), axis=1)
    below = ndtr((grid[:, None, :] - mean[:, :, None]) / spread[:, :, None])
    ends = np.zeros((*below.shape[:2], 1))
    below = np.concatenate([ends, below, ends + 1.0], axis=2)
    # The product of all others, without dividing by a distribution function that may be 0.
    one = np.ones_like(below[:, :1])
    before = np.cumprod(np.concatenate([one, below[:, :-1]], axis=1), axis=1)
    after = np.cumprod(np.concatenate([one, below[:, :0:-1]], axis=1), axis=1)[:, ::-1]
    others = before * after
    steps = np.diff(below, axis=2)
    chances = (steps * (others[:, :, 1:] + others[:, :, :-1]) / 2.0).sum(axis=2)
    normalised: Matrix = chances / chances.sum(axis=1, keepdims=True)
    return normalised
