"""Two ways of answering the same questions, compared: intervals, tests of harm, Holm's correction.

Everything is paired and drawn by questions; strata (datasets) keep their sizes in every draw. No
question is assumed to be like another one, and no difference to be normally distributed.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]

_BLOCK = 2_000_000
"""Entries of weights or signs that are held in memory at once."""
_TINY = 1e-9
"""Sums that differ by less are equal: they are sums of the same numbers in another order."""


class Estimate(NamedTuple):
    """A mean over questions with its interval; NaN where there is no question."""

    value: float
    low: float
    high: float
    n: int

    def scaled(self, factor: float) -> Estimate:
        """The same in another unit."""
        return Estimate(self.value * factor, self.low * factor, self.high * factor, self.n)


NOTHING = Estimate(float("nan"), float("nan"), float("nan"), 0)
"""Of no question at all."""


class Resampling:
    """A Bayesian bootstrap: questions weighed at random, the same weights for every figure.

    Every question of a stratum of m gets an Exp(1) weight, and the weights are scaled to sum to m
    (Rubin 1981, Annals of Statistics 9:130). A draw of whole questions would have the same first
    two moments; weights leave no question out, and know what is said of `unseen`.

    Args:
        strata: (n,) number of each question's stratum.
        draws: how often they are weighed.
        seed: of the weights.
    """

    def __init__(self, strata: NDArray[np.int64], *, draws: int, seed: int) -> None:
        self._rows = [np.flatnonzero(strata == one) for one in np.unique(strata)]
        self._draws, self._seed = draws, seed
        self.n = len(strata)

    def sums(self, values: Matrix) -> Matrix:
        """(draws, k) weighted sums of (n, k) values."""
        rng = np.random.default_rng((self._seed, 0))
        found = np.zeros((self._draws, values.shape[1]))
        for rows in self._rows:
            own, size = values[rows], len(rows)
            block = max(1, _BLOCK // size)
            for start in range(0, self._draws, block):
                count = min(block, self._draws - start)
                weights = rng.standard_exponential((count, size))
                weights *= size / weights.sum(axis=1, keepdims=True)
                found[start : start + count] += weights @ own
        return found

    def unseen(self) -> Matrix:
        """(draws,) weight of one question that is not among the n.

        A loss so rare that none is among n questions leaves no trace in them, and a bootstrap is
        certain of what it has not seen. So one more question is weighed, lost for the lower end of
        an interval and won for the upper one: the bound of Learned-Miller and Thomas (2019,
        arXiv:1905.06208) for a mean of bounded values. Where differences are 1 and −1,
        "the lower end is above 0" is then the exact sign test.
        """
        rng = np.random.default_rng((self._seed, 1))
        return rng.standard_exponential(self._draws)


def interval(
    sums: Matrix, values: Matrix, confidence: float, unseen: Matrix | None = None
) -> list[Estimate]:
    """Percentile intervals of k means.

    Args:
        sums: (draws, k) see `Resampling.sums`.
        values: (n, k) what was summed.
        confidence: of the two-sided interval.
        unseen: (draws,) or (draws, k) see `Resampling.unseen`, times what an unseen question may
            win or lose; None where that is not bounded.
    """
    n = len(values)
    tail = (1.0 - confidence) / 2
    apart = 0.0 if unseen is None else unseen.reshape(len(sums), -1)
    low = np.quantile((sums - apart) / n, tail, axis=0)
    high = np.quantile((sums + apart) / n, 1.0 - tail, axis=0)
    means = values.mean(axis=0)
    return [
        Estimate(float(mean), float(below), float(above), n)
        for mean, below, above in zip(means, low, high, strict=True)
    ]


def harm_p_value(differences: Matrix, margin: float, *, draws: int, seed: int) -> float:
    """One-sided p-value of "the mean difference is not below −margin", by flipping signs.

    Differences that are as likely to be above −margin as below it keep their distribution when
    their distances from it change sign. The p-value is the share of random sign changes whose sum
    is as low as the observed one, which counts as one of them: it is never 0 and, for differences
    of −1, 0 and 1 at margin 0, that of McNemar's exact test.

    Args:
        differences: (n,) new minus old, n ≥ 1.
        margin: harm that is let pass.
        draws: sign changes.
        seed: of the signs.
    """
    distances = differences + margin
    observed = distances.sum()
    rng = np.random.default_rng(seed)
    block = max(1, _BLOCK // len(distances))
    as_low = 0
    for start in range(0, draws, block):
        count = min(block, draws - start)
        signs = rng.integers(0, 2, (count, len(distances)), dtype=np.int8)
        sums = (2.0 * signs - 1.0) @ distances
        as_low += int((sums <= observed + _TINY).sum())
    return (1 + as_low) / (1 + draws)


def holm(p_values: NDArray[np.float64]) -> NDArray[np.float64]:
    """p-values that may be compared with one level although they are several.

    The i-th smallest of m is multiplied by m − i + 1, made monotone and at most 1 (Holm 1979,
    Scandinavian Journal of Statistics 6:65). Rejecting those at or below α rejects any true
    hypothesis with probability α at most, however the tests depend on each other.
    """
    order = np.argsort(p_values, kind="stable")
    factors = np.arange(len(p_values), 0, -1)
    risen = np.maximum.accumulate(p_values[order] * factors)
    adjusted = np.empty(len(p_values))
    adjusted[order] = np.minimum(risen, 1.0)
    return adjusted
