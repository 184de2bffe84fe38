"""Whether a cluster's winner is known to win."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from profiles.statistics import Statistics


class Separation(NamedTuple):
    """The two leading pairs of one row of the statistics.

    Pairs are column numbers, -1 where there is none; accuracies are posterior means.
    """

    row: int
    """Number of the cluster; K is overall."""
    winner: int
    runner_up: int
    score: float
    low: float
    high: float
    runner_up_score: float
    runner_up_low: float
    runner_up_high: float
    probability_best: float
    """Posterior probability that the winner is the most accurate pair; NaN where not known."""
    n: int
    """Scored outcomes of the winner here."""
    runner_up_n: int
    separated: bool
    """The winner's interval lies wholly above the runner-up's. A lone pair has no rival: True."""


def separated(statistics: Statistics) -> tuple[Separation, ...]:
    """The facts per cluster, and last overall, that a report or a comparison of versions shows.

    Profiles stored before posteriors existed are judged by their Wilson intervals.
    """
    return tuple(_row(statistics, row) for row in range(statistics.k + 1))


def _row(statistics: Statistics, row: int) -> Separation:
    means = statistics.score_shrunk[row]
    low, high = statistics.score_posterior_low[row], statistics.score_posterior_high[row]
    if not np.isfinite(low).any():
        low, high = statistics.score_low[row], statistics.score_high[row]
    known = np.flatnonzero(np.isfinite(means))
    order = [int(pair) for pair in known[np.argsort(-means[known], kind="stable")]]
    first, second = (*order, -1, -1)[:2]

    def fact(values: NDArray[np.float64], pair: int) -> float:
        return float(values[pair]) if pair >= 0 else float("nan")

    rivals_high = max((float(high[pair]) for pair in order[1:2]), default=-1.0)
    return Separation(
        row=row,
        winner=first,
        runner_up=second,
        score=fact(means, first),
        low=fact(low, first),
        high=fact(high, first),
        runner_up_score=fact(means, second),
        runner_up_low=fact(low, second),
        runner_up_high=fact(high, second),
        probability_best=fact(statistics.best_probability[row], first),
        n=int(statistics.n_scored[row, first]) if first >= 0 else 0,
        runner_up_n=int(statistics.n_scored[row, second]) if second >= 0 else 0,
        separated=first >= 0 and fact(low, first) > rivals_high,
    )
