"""From a profile to sums over a backlog: means, their spread, and 90 % intervals.

A cell is a (statistics row, pair): a cluster, or the pair overall for questions that are out of
distribution, have no cluster, or fall where fewer than `LEAST_OUTCOMES` outcomes are known.

Expected sum over the cells c of n_c planned questions each:  T = Σ n_c·μ_c, with μ_c the profiled
mean, never shrunk: shrinking costs biases sums. Its variance, of the planned questions and of the
profile's own m_c together:

    V = Σ (n_c·μ_c·CV_c)²·(1/n_c + 1/m_c)

(a cell is one term however many clusters borrow it, because they borrow one error). The interval
is T·exp(±z·√V/T), z = 1.645: on the log scale, because sums of token prices are positive and
skewed to the right; for small √V/T it is T ± z·√V.

CV is pooled over a pair's clusters, √(Σ (m_c−1)·s_c²/μ_c² / Σ (m_c−1)): a cluster's own spread,
from some dozen skewed costs, is too often too small. Where the profile keeps no training rows,
s_c/μ_c is read off the 90th percentile, (p90/mean − 1)/1.2816, as a normal law has it (a gamma
law with CV up to 1 agrees to 2 %), and taken as at least `LEAST_CV`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from profiles.profile import Profile
    from profiles.statistics import Statistics

    Matrix = NDArray[np.float64]

Z90 = 1.6448536269514722
"""Two-sided 90 %, one-sided 95 %."""
Z_P90 = 1.2815515655446004
LEAST_OUTCOMES = 5
"""Cells with fewer outcomes of known value use the pair's overall figures."""
LEAST_CV = 0.25
"""The smallest spread seen on recorded tables of real models; for spreads read off a p90."""


class Term(NamedTuple):
    """`n` questions of one cell: mean, coefficient of variation, and the `m` outcomes behind."""

    n: int
    mean: float
    cv: float
    m: int


class Sum(NamedTuple):
    """A sum with the ends of its 90 % interval."""

    low: float
    expected: float
    high: float


def sum_of(terms: Iterable[Term]) -> Sum:
    """The expected sum over the terms with its 90 % interval, see the module's formulas."""
    expected = variance = 0.0
    for n, mean, cv, m in terms:
        expected += n * mean
        variance += (n * mean * cv) ** 2 * (1 / n + 1 / m)
    if expected <= 0:
        return Sum(expected, expected, expected)
    factor = math.exp(Z90 * math.sqrt(variance) / expected)
    return Sum(expected / factor, expected, expected * factor)


def upper_share(share: float, n: int) -> float:
    """One-sided 95 % upper end of Wilson's interval for a share seen in `n` outcomes; 1 if n is 0.

    (p + z²/2n + z·√(p(1−p)/n + z²/4n²)) / (1 + z²/n), z = 1.645 (Wilson, 1927).
    """
    if n == 0:
        return 1.0
    z2 = Z90 * Z90
    spread = Z90 * math.sqrt(share * (1 - share) / n + z2 / (4 * n * n))
    return min(1.0, (share + z2 / (2 * n) + spread) / (1 + z2 / n))


@dataclass(frozen=True, slots=True)
class Quantity:
    """What a profile knows of one quantity per question; arrays are (K + 1, P), the last overall.

    Attributes:
        mean: per question; NaN is unknown.
        count: outcomes of known value behind it.
        cv: coefficient of variation, pooled over a pair's clusters; the last row has its own.
    """

    mean: Matrix
    count: NDArray[np.int64]
    cv: Matrix

    def row(self, row: int, pair: int) -> int | None:
        """The statistics row that speaks for a cell: its own or the overall; None without any."""
        overall = len(self.mean) - 1
        if self.count[row, pair] >= LEAST_OUTCOMES and np.isfinite(self.mean[row, pair]):
            return row
        return overall if np.isfinite(self.mean[overall, pair]) else None

    def term(self, row: int, pair: int, n: int) -> Term:
        """The term of `n` questions of a cell that `row` found."""
        return Term(
            n,
            float(self.mean[row, pair]),
            float(self.cv[row, pair]),
            max(1, int(self.count[row, pair])),
        )


@dataclass(frozen=True, slots=True)
class Estimates:
    """Cost, tokens and time per question by cell, and how often calls fail.

    Attributes:
        duration_s: (3, K + 1, P) median, mean and 95th percentile; NaN is unknown. The mean is
            that of the lognormal law with this median and 95th percentile, at most the latter.
        error_rate: (P,) share of failed outcomes, over all clusters; NaN is unknown.
        outcomes: (P,) outcomes behind it.
    """

    k: int
    cost: Quantity
    input_tokens: Quantity
    output_tokens: Quantity
    duration_s: Matrix
    error_rate: Matrix
    outcomes: NDArray[np.int64]


def estimates(profile: Profile) -> Estimates:
    """What a profile says of the next question in every cell."""
    known = profile.statistics
    return Estimates(
        k=known.k,
        cost=cost_quantity(profile),
        input_tokens=_by_p90(known.input_tokens_mean, known.input_tokens_p90, known.n),
        output_tokens=_by_p90(known.output_tokens_mean, known.output_tokens_p90, known.n),
        duration_s=_durations(known),
        error_rate=known.error_rate[-1],
        outcomes=known.n[-1],
    )


def _durations(known: Statistics) -> Matrix:
    few = (known.n < LEAST_OUTCOMES) | np.isnan(known.duration_p50_s)
    p50 = np.where(few, known.duration_p50_s[-1], known.duration_p50_s)
    p95 = np.where(few, known.duration_p95_s[-1], known.duration_p95_s)
    with np.errstate(divide="ignore", invalid="ignore"):
        sigma = np.where(p50 > 0, np.log(np.maximum(p95, p50) / p50), 0.0) / Z90
    # The law of a very wide spread has its mean beyond what was seen.
    mean = np.minimum(p50 * np.exp(sigma**2 / 2), p95)
    return np.stack([p50, mean, p95])


def measured(values: Matrix, labels: NDArray[np.int64], k: int) -> Quantity:
    """A quantity with its true spread, from (n, P) values of n questions; NaN is unknown.

    Args:
        values: per question and pair, 0 or more.
        labels: (n,) cluster of each question.
        k: number of clusters.
    """
    shape = (k + 1, values.shape[1])
    mean, count, variance = np.full(shape, np.nan), np.zeros(shape, np.int64), np.zeros(shape)
    for row in range(k + 1):
        inside = values if row == k else values[labels == row]
        known = np.isfinite(inside)
        count[row] = known.sum(axis=0)
        total = np.where(known, inside, 0.0).sum(axis=0)
        mean[row] = np.where(count[row] > 0, total / np.maximum(count[row], 1), np.nan)
        squares = np.where(known, (inside - np.nan_to_num(mean[row])) ** 2, 0.0).sum(axis=0)
        variance[row] = squares / np.maximum(count[row] - 1, 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        squared = np.where(mean > 0, variance / mean**2, 0.0)
    return Quantity(mean, count, _pooled(squared, np.where(mean > 0, count - 1, 0)))


def cost_quantity(profile: Profile) -> Quantity:
    """Dollars per question: by the training rows where they are kept, else by their quantiles."""
    known = profile.statistics
    if profile.train is None:
        return _by_p90(known.cost_mean_usd, known.cost_p90_usd, known.n)
    labels = profile.clusters.assign(profile.train.embeddings).labels
    return measured(profile.train.costs_usd, labels, profile.k)


def _by_p90(mean: Matrix, p90: Matrix, n: NDArray[np.int64]) -> Quantity:
    count = np.where(np.isfinite(mean), n, 0).astype(np.int64)
    with np.errstate(divide="ignore", invalid="ignore"):
        cv = np.where(mean > 0, (p90 / mean - 1) / Z_P90, 0.0)
    cv = np.where(mean > 0, np.maximum(np.nan_to_num(cv), LEAST_CV), 0.0)
    return Quantity(mean, count, _pooled(cv**2, np.where(mean > 0, count - 1, 0)))


def _pooled(squared_cv: Matrix, freedom: NDArray[np.int64]) -> Matrix:
    """(K + 1, P) CV: clusters share their pair's pooled one, the overall row keeps its own."""
    weight = np.maximum(freedom, 0).astype(np.float64)
    inside = weight[:-1].sum(axis=0)
    pooled = (weight[:-1] * squared_cv[:-1]).sum(axis=0)
    # No cluster shows a spread: the pair as a whole is the best that is known.
    within = np.where(inside > 0, pooled / np.maximum(inside, 1.0), squared_cv[-1])
    shared = np.broadcast_to(within, squared_cv[:-1].shape)
    cv: Matrix = np.sqrt(np.vstack([shared, squared_cv[-1:]]))
    return cv
