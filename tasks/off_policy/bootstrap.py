"""Bootstrap intervals of means and of ratios of means, all columns of a log in one pass.

An interval is a symmetric studentised bootstrap (Efron and Tibshirani, 1993, ch. 12; Hall, 1988):
the resamples say how large the error of a mean is in units of its own standard error. Rewards times
importance weights are skewed and their standard error is itself uncertain; percentiles of the
resampled means know nothing of that, and cover less.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

DRAWS = 1000
LEVEL = 0.95
_NOISE = 1e-12
_BLOCK = 4_000_000
"""Counts that are held at once."""

Matrix = NDArray[np.float64]


class Interval(NamedTuple):
    """An estimate between its limits."""

    value: float
    low: float
    high: float

    def covers(self, truth: float) -> bool:
        """Whether the limits hold the truth."""
        return self.low <= truth <= self.high


def resampled_sums(columns: Matrix, *, draws: int = DRAWS, seed: int = 0) -> Matrix:
    """(draws, C) sums of (n, C) columns over n rows drawn with replacement.

    All columns see the same rows, so whatever is made of the sums is paired.
    """
    return np.concatenate([counts @ columns for counts in _counts(len(columns), draws, seed)])


def _counts(n: int, draws: int, seed: int) -> Iterator[Matrix]:
    if n * draws <= _BLOCK:
        yield _few_counts(n, draws, seed)
        return
    rng = np.random.default_rng(seed)
    size = max(1, _BLOCK // max(n, 1))
    for start in range(0, draws, size):
        yield _drawn(n, min(size, draws - start), rng)


@lru_cache(maxsize=2)
def _few_counts(n: int, draws: int, seed: int) -> Matrix:
    """Kept, because every outcome and router of one log asks for the same."""
    return _drawn(n, draws, np.random.default_rng(seed))


def _drawn(n: int, draws: int, rng: np.random.Generator) -> Matrix:
    """(draws, n) how often each resample holds each row."""
    rows = rng.integers(0, n, (draws, n)) + n * np.arange(draws)[:, None]
    counts = np.bincount(rows.ravel(), minlength=draws * n).reshape(draws, n)
    return counts.astype(np.float64)


class Resampled(NamedTuple):
    """A statistic of a log and of its resamples, each with its standard error."""

    value: float
    error: float
    values: Matrix
    """(draws,)."""
    errors: Matrix
    """(draws,)."""


def of_mean(n: int, total: Matrix, resampled: Matrix) -> Resampled:
    """A mean.

    Args:
        n: rows.
        total: (2,) sums of y and y² over the log.
        resampled: (draws, 2) the same over every resample.
    """

    def both(sums: Matrix) -> tuple[Matrix, Matrix]:
        mean = sums[..., 0] / n
        return mean, _root(sums[..., 1] / n - mean**2, sums[..., 1] / n) / math.sqrt(max(n - 1, 1))

    value, error = both(total)
    values, errors = both(resampled)
    return Resampled(float(value), float(error), values, errors)


def of_ratio(total: Matrix, resampled: Matrix) -> Resampled:
    """A ratio Σwr / Σw, its error by linearisation: √(Σ w²(r − ratio)²) / Σw.

    Args:
        total: (5,) sums of w, wr, w², w²r, w²r² over the log.
        resampled: (draws, 5) the same over every resample; one without any weight is left out.
    """

    def both(sums: Matrix) -> tuple[Matrix, Matrix]:
        weight, reward, squares, first, second = np.moveaxis(sums, -1, 0)
        ratio = reward / weight
        spread = second - 2.0 * ratio * first + ratio**2 * squares
        return ratio, _root(spread, second) / weight

    value, error = both(total)
    values, errors = both(resampled[resampled[:, 0] > 0])
    return Resampled(float(value), float(error), values, errors)


def _root(difference: Matrix, part: Matrix) -> Matrix:
    """Root of a difference of sums; what rounding leaves of two equal ones is nought."""
    root: Matrix = np.sqrt(np.where(difference > _NOISE * part, difference, 0.0))
    return root


def studentised(found: Resampled, error: float | None = None, level: float = LEVEL) -> Interval:
    """The value ± its standard error times the resamples' `level` quantile of |error| / its own.

    Resamples in which nothing varies have no studentised error and are left out.

    Args:
        found: a statistic and its resamples.
        error: standard error to multiply with, where more is known of it than the log shows.
        level: of the interval.
    """
    varied = found.errors > 0.0
    reach = 0.0
    if found.error > 0.0 and varied.any():
        t = np.abs(found.values[varied] - found.value) / found.errors[varied]
        reach = float(np.quantile(t, level)) * (found.error if error is None else error)
    return Interval(found.value, found.value - reach, found.value + reach)
