"""What every pair is expected to come to on every logged question, from the profile and the log.

q(x, a) = f(x, a) + d(c, a). f is what the profile says: the posterior mean accuracy of the pair in
the question's cluster c, averaged with the predictor's probability for the question where the
profile has one, or the cluster's mean cost. d is how the log deviates from it,

    d(c, a) = Σ (r − f) / (rows + m)    over the log's rows of cluster c and pair a in other folds,

so that a row is never predicted from itself, and m = `STRENGTH` rows of the profile's own figures
weigh against it. Estimates that use q stay unbiased however wrong it is; a good q makes them
narrow.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from profiles.folds import FOLDS
from profiles.routers.cluster import ClusterRouterSettings, routing_tables

if TYPE_CHECKING:
    from profiles.profile import Profile

    Matrix = NDArray[np.float64]

STRENGTH = 10.0
"""Rows of a cluster and pair that weigh as much as the profile's own figure."""


class Expected(NamedTuple):
    """(n, P) accuracies and dollars that the profile expects, and (n,) row of its tables."""

    score: Matrix
    cost_usd: Matrix
    place: NDArray[np.int64]


def expected_of(
    profile: Profile, texts: Sequence[str], embeddings: NDArray[np.float32]
) -> Expected:
    """What the profile expects of every pair; pairs it knows nothing of as of an average one."""
    labels, distances = profile.clusters.assign(embeddings)
    beyond = profile.clusters.is_out_of_distribution(distances)
    place = np.where(beyond, profile.k, labels)
    scores, costs, _ = routing_tables(profile.statistics, ClusterRouterSettings())
    score = _filled(scores)[place]
    if profile.predictor is not None:
        own = profile.predictor.predict(texts, embeddings).probability
        score = np.where(np.isfinite(own), (score + own) / 2.0, score)
    return Expected(score, _filled(costs)[place], place)


def cross_fitted(
    prior: Matrix,
    reward: Matrix,
    pair: NDArray[np.int64],
    place: NDArray[np.int64],
    folds: NDArray[np.uint8],
) -> Matrix:
    """(n, P) q: the prior, moved by what the other folds of the log came to.

    Args:
        prior: (n, P) f.
        reward: (n,) of the pair that was drawn.
        pair: (n,) that pair.
        place: (n,) cluster of the question.
        folds: (n,) fold of each question, from 0 to `FOLDS` − 1.
    """
    pairs = prior.shape[1]
    cell = place * pairs + pair
    cells = int(place.max() + 1) * pairs
    gap = reward - prior[np.arange(len(pair)), pair]
    fitted = prior.copy()
    for fold in range(FOLDS):
        own = folds == fold
        if not own.any():
            continue
        others = ~own
        sums = np.bincount(cell[others], weights=gap[others], minlength=cells)
        count = np.bincount(cell[others], minlength=cells)
        moved = (sums / (count + STRENGTH)).reshape(-1, pairs)
        fitted[own] += moved[place[own]]
    return fitted


def _filled(table: Matrix) -> Matrix:
    """The table, unknown entries as the mean of the known ones of their row, or of all, or 0."""
    known = np.isfinite(table)
    count = known.sum(axis=1)
    sums = np.where(known, table, 0.0).sum(axis=1)
    overall = table[known].mean() if known.any() else 0.0
    mean = np.divide(sums, count, out=np.full(len(table), overall), where=count > 0)
    return np.where(known, table, mean[:, None])
