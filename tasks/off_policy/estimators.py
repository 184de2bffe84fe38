"""The value of a policy that did not make the choices: IPS, SNIPS, DR and switch-DR.

A log has, for every question x, the pair a that was drawn with the known chance p(a|x), and the
reward r that came back. The target would have drawn with chances π(a|x). With w = π(a|x)/p(a|x) and
q(x, a) a model of the reward,

    IPS        mean of w·r                                     (Horvitz and Thompson, 1952)
    SNIPS      Σ w·r / Σ w                                     (Swaminathan and Joachims, 2015)
    DR         mean of Σ_a π(a|x)·q(x, a) + w·(r − q(x, a))    (Dudík, Langford and Li, 2011)
    switch-DR  the same, its second term only where w ≤ τ      (Wang, Agarwal and Dudík, 2017)

IPS and DR are unbiased whatever the model says; SNIPS is so in the limit. Switch-DR leaves to the
model what the log can hardly tell: its bias is at most R times the mass that π puts where w > τ,
R the range of the reward. τ is the candidate of the smallest estimated variance plus that bound
squared (the paper's section on tuning). Pairs that the log could not draw have w = ∞.

No weight is clipped. Intervals are studentised bootstraps. Where heavy weights were drawn less
often than the chances lead to expect, the standard error is as if they had been drawn as often;
the interval of switch-DR is widened to hold the truth whatever the bias within its bound.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tasks.off_policy.bootstrap import (
    DRAWS,
    LEVEL,
    Interval,
    of_mean,
    of_ratio,
    resampled_sums,
    studentised,
)
from tasks.off_policy.support import Support, support_of

ESTIMATORS = ("ips", "snips", "dr", "switch-dr")
CANDIDATES = 21
"""Thresholds τ that are compared."""
MOST_MODELLED = 0.05
"""Mass of the target that switch-DR may leave to the model."""
_ONE_TAIL = 8.0
"""A normal law shifted so far has only one of its tails beyond zero."""

Matrix = NDArray[np.float64]


class Sample(NamedTuple):
    """A log of n questions over P pairs, and what a target would have drawn."""

    pair: NDArray[np.int64]
    """(n,) pair that was drawn."""
    chances: Matrix
    """(n, P) chances p it was drawn with, rows summing to 1."""
    target: Matrix
    """(n, P) chances π of the target, rows summing to 1."""

    @property
    def weights(self) -> Matrix:
        """(n,) importance weights of the pairs that were drawn."""
        rows = np.arange(len(self.pair))
        weights: Matrix = self.target[rows, self.pair] / self.chances[rows, self.pair]
        return weights


class Outcome(NamedTuple):
    """One kind of reward of the same n questions."""

    reward: Matrix
    """(n,) of the pair that was drawn."""
    model: Matrix
    """(n, P) q, what each pair is expected to come to, not fitted on the row itself."""
    spread: float
    """R: no reward lies farther than this from its expectation under the model."""


class Estimate(NamedTuple):
    """What one estimator says.

    Attributes:
        name: one of `ESTIMATORS`.
        interval: the value and its 95 % interval; None where the estimator refuses.
        refused: why, in a sentence; empty where it does not.
        threshold: τ of switch-DR, None elsewhere and where nothing was left to the model.
        modelled: share of the target's mass that was left to the model.
    """

    name: str
    interval: Interval | None
    refused: str = ""
    threshold: float | None = None
    modelled: float = 0.0


class Valuation(NamedTuple):
    """A target's value by every estimator, and how much the log says of it."""

    support: Support
    estimates: tuple[Estimate, ...]
    logged: Interval

    def by(self, name: str) -> Estimate:
        """The estimate of that name."""
        return next(estimate for estimate in self.estimates if estimate.name == name)


def evaluate(
    sample: Sample, outcome: Outcome, *, draws: int = DRAWS, seed: int = 0, level: float = LEVEL
) -> Valuation:
    """Value a target on a log by every estimator.

    Args:
        sample: what was drawn, and what the target would have drawn.
        outcome: what came of it.
        draws: resamples behind every interval.
        seed: of the resamples.
        level: of the intervals.
    """
    support = support_of(sample.chances, sample.target, sample.weights)
    w, r = sample.weights, outcome.reward
    rows = np.arange(len(w))
    expected = (sample.target * outcome.model).sum(axis=1)
    correction = w * (r - outcome.model[rows, sample.pair])
    switch = _switch(sample, outcome, expected, correction)
    kept = correction if switch is None else np.where(w <= switch.threshold, correction, 0.0)
    direct, mixed = expected + correction, expected + kept
    columns = np.column_stack(
        (w, w * r, w**2, w**2 * r, (w * r) ** 2, direct, direct**2, mixed, mixed**2, r, r**2)
    )
    sums = _Sums(columns.sum(axis=0), resampled_sums(columns, draws=draws, seed=seed), level)
    spread, ess = outcome.spread, support.ess
    found = [Estimate(name, None, support.problem) for name in ESTIMATORS[:3]]
    if not support.problem:
        short = support.shortfall
        intervals = (
            sums.mean(1, 4, len(w), short * columns[:, 4].sum()),
            sums.ratio(short),
            sums.mean(5, 6, len(w), short * (correction**2).sum()),
        )
        found = [
            Estimate(name, unless_unvaried(interval, spread, ess, level))
            for name, interval in zip(ESTIMATORS, intervals, strict=False)
        ]
    if switch is None:
        found.append(Estimate("switch-dr", None, _nothing_left(support)))
    else:
        missing = switch.shortfall * (kept**2).sum()
        found.append(_switched(sums.mean(7, 8, len(w), missing), switch, outcome, ess, level))
    logged = unless_unvaried(sums.mean(9, 10, len(w), 0.0), spread, float(len(w)), level)
    return Valuation(support, tuple(found), logged)


class _Sums(NamedTuple):
    """Sums over a log's rows and over every resample of them."""

    total: Matrix
    again: Matrix
    level: float

    def mean(self, first: int, second: int, n: int, missing: float) -> Interval:
        """Of the column `first`, its squares in `second`.

        `missing` is what the sum of squares lacks of what the design leads to expect.
        """
        part = [first, second]
        found = of_mean(n, self.total[part], self.again[:, part])
        return studentised(found, math.hypot(found.error, math.sqrt(missing) / n), self.level)

    def ratio(self, short: float) -> Interval:
        """Of the first five columns; `short` is the shortfall of squared weights."""
        found = of_ratio(self.total[:5], self.again[:, :5])
        return studentised(found, found.error * math.sqrt(1.0 + short), self.level)


def _switched(
    interval: Interval, switch: _Switch, outcome: Outcome, ess: float, level: float
) -> Estimate:
    """The estimate of switch-DR, its interval widened by what may be wrong with the model."""
    interval = unless_unvaried(interval, outcome.spread, ess, level)
    error = (interval.high - interval.value) / _critical(0.0, level)
    widened = with_bias(interval, error, outcome.spread * switch.modelled, level)
    tau = switch.threshold if switch.modelled > 0.0 else None
    return Estimate("switch-dr", widened, threshold=tau, modelled=switch.modelled)


class _Switch(NamedTuple):
    threshold: float
    modelled: float
    shortfall: float


def _switch(
    sample: Sample, outcome: Outcome, expected: Matrix, correction: Matrix
) -> _Switch | None:
    """The best threshold of those that the log can carry; None where there is none.

    A threshold is carried if the weights up to it pass the checks of `tasks.off_policy.support`,
    and at most `MOST_MODELLED` of the target's mass lies above it.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        every = np.where(sample.target > 0, sample.target / sample.chances, 0.0)
    finite = np.unique(every[np.isfinite(every) & (every > 0)])
    if not len(finite):
        return None
    places = np.unique(np.linspace(0, len(finite) - 1, CANDIDATES).round().astype(np.int64))
    n, weights = len(expected), sample.weights
    best, least = None, np.inf
    for threshold in finite[places][::-1]:
        above = np.where(every > threshold, sample.target, 0.0)
        modelled = float(above.sum() / n)
        if modelled > MOST_MODELLED or (outcome.spread * modelled) ** 2 >= least:
            break  # it only grows from here on
        kept = np.where(every > threshold, 0.0, sample.target)
        found = support_of(sample.chances, kept, np.where(weights <= threshold, weights, 0.0))
        if found.scarcity:
            continue
        terms = expected + np.where(weights <= threshold, correction, 0.0)
        error = float(terms.var() / n) + (outcome.spread * modelled) ** 2
        if error < least:
            best, least = _Switch(float(threshold), modelled, found.shortfall), error
    return best


def _nothing_left(support: Support) -> str:
    return (
        f"{support.problem}; leaving what the log cannot tell to the model would leave it more"
        f" than {MOST_MODELLED:.0%} of the choices"
    )


def unless_unvaried(
    interval: Interval, spread: float, draws: float, level: float = LEVEL
) -> Interval:
    """The interval, or where nothing varied the rule of three's: nothing seen is not nothing.

    With no deviation in m draws, one of a probability above 1 − (1 − level)/2 ^ (1/m) would have
    shown (Hanley and Lippman-Hand, 1983).

    Args:
        interval: as it was estimated.
        spread: how far a deviation can go.
        draws: m.
        level: of the interval.
    """
    if interval.low < interval.high:
        return interval
    reach = spread * (1.0 - ((1.0 - level) / 2.0) ** (1.0 / max(draws, 1.0)))
    return Interval(interval.value, interval.value - reach, interval.value + reach)


def with_bias(interval: Interval, error: float, bound: float, level: float = LEVEL) -> Interval:
    """The interval, widened to hold its level for every bias up to a bound.

    The critical value of |N(bias/error, 1)| replaces that of |N(0, 1)| (Armstrong and Kolesár,
    2018), and what it is larger by is added on both sides.

    Args:
        interval: of an estimate, its bias not counted.
        error: its standard error.
        bound: largest absolute bias.
        level: of the interval.
    """
    if bound <= 0.0:
        return interval
    more = bound
    if error > 0.0:
        more = (_critical(bound / error, level) - _critical(0.0, level)) * error
    return Interval(interval.value, interval.low - more, interval.high + more)


def _critical(shift: float, level: float) -> float:
    """Quantile of |N(shift, 1)|."""
    from scipy.special import chndtrix, ndtri

    if shift > _ONE_TAIL:
        return shift + float(ndtri(level))
    return math.sqrt(float(chndtrix(level, 1.0, shift**2)))
