"""How far the aggregator's confidence can be trusted: out of fold, over sets of called pairs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from tasks.learn.environment import Environment

BINS = 10


class Bin(NamedTuple):
    """Answers whose confidence lies in one tenth; means over them."""

    n: int
    confidence: float
    accuracy: float


class Reliability(NamedTuple):
    """Bins by rising confidence, empty ones left out.

    Attributes:
        error: expected calibration error, the mean of |confidence − accuracy| over bins, weighted
            by n (Naeini et al. 2015).
    """

    bins: tuple[Bin, ...]
    error: float

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return {"error": self.error, "bins": [one._asdict() for one in self.bins]}


def reliability(environment: Environment) -> Reliability:
    """Of the leading answer in every called set of every training question, out of fold.

    Every set counts alike, whatever a policy would do; sets without an answer, and those with a
    call that was never recorded, do not count.
    """
    confidence = environment.observations.confidence.double().numpy()
    right = environment.answer_reward.double().numpy()
    members = environment.lattice.members
    recorded = np.isfinite(environment.recorded.scores)
    whole = (recorded.astype(np.float64) @ members.T) == members.sum(axis=1)
    counted = whole & (confidence > 0)
    told, true = confidence[counted], right[counted]
    place = np.minimum((told * BINS).astype(np.int64), BINS - 1)
    bins = []
    for number in range(BINS):
        here = place == number
        if here.any():
            bins.append(Bin(int(here.sum()), float(told[here].mean()), float(true[here].mean())))
    total = max(sum(one.n for one in bins), 1)
    error = sum(one.n * abs(one.confidence - one.accuracy) for one in bins) / total
    return Reliability(tuple(bins), error)
