"""Which unlabelled questions would teach a profile most, were they labelled."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from profiles.allocation.separation import separated
from profiles.statistics import Statistics

FAR, OPEN, CLOSE = "out of distribution", "winner not separated", "uncertain"
FAR_WORTH = 2.0
"""Worth of a question beyond the profile's radius; one inside it is worth between 0 and 1."""
_SPREAD = 4.0
"""How steeply worth counts against novelty when questions are spread out."""


@dataclass(frozen=True, slots=True)
class Suggestion:
    """One question to label: its place in what was asked about, its worth, and why."""

    row: int
    cluster: int
    worth: float
    why: str


def suggest(
    embeddings: NDArray[np.float32],
    labels: NDArray[np.int64],
    out_of_distribution: NDArray[np.bool_],
    statistics: Statistics,
    *,
    count: int,
    uncertainty: NDArray[np.float64] | None = None,
    known: NDArray[np.float32] | None = None,
) -> list[Suggestion]:
    """The `count` most informative of n distinct questions, in the order to label them.

    A question's worth is `FAR_WORTH` beyond the profile's radius; inside, the probability that its
    cluster's winner is not the best pair there, mixed in equal parts with the question's own
    uncertainty where a predictor gives one. Questions are then taken one by one, each time the
    one of the largest worth × distance to what was already taken or labelled: farthest-first,
    so that ten wordings of one question are not labelled ten times. Ties go to the earlier row.

    Args:
        embeddings: (n, D), L2-normalised.
        labels: (n,) nearest clusters.
        out_of_distribution: (n,) whether a question lies beyond the profile's radius.
        statistics: of the profile.
        count: how many to take.
        uncertainty: (n,) in [0, 1], of the predicted best pair; None without a predictor.
        known: (m, D) questions that are labelled already.
    """
    n = len(labels)
    if n == 0 or count <= 0:
        return []
    doubt = cluster_doubt(statistics)
    inside = doubt[labels]
    if uncertainty is not None:
        inside = 0.5 * inside + 0.5 * np.clip(uncertainty, 0.0, 1.0)
    worth = np.where(out_of_distribution, FAR_WORTH, inside)
    order = _farthest_first(embeddings, worth, min(count, n), known)
    far_apart = [fact.separated for fact in separated(statistics)]
    return [
        Suggestion(
            row,
            int(labels[row]),
            float(worth[row]),
            _why(bool(out_of_distribution[row]), far_apart[int(labels[row])]),
        )
        for row in order
    ]


def cluster_doubt(statistics: Statistics) -> NDArray[np.float64]:
    """(K,) probability that the leading pair of a cluster is not the best one there.

    A cluster whose winner was never measured is all doubt; one pair alone leaves none.
    """
    doubt = np.zeros(statistics.k)
    for fact in separated(statistics)[:-1]:
        if fact.winner < 0:
            doubt[fact.row] = 1.0
        elif fact.runner_up >= 0:
            best = fact.probability_best
            doubt[fact.row] = 1.0 - best if np.isfinite(best) else (0.1 if fact.separated else 0.5)
    return doubt


def _farthest_first(
    embeddings: NDArray[np.float32],
    worth: NDArray[np.float64],
    count: int,
    known: NDArray[np.float32] | None,
) -> list[int]:
    rows = embeddings.astype(np.float64)
    distance = np.full(len(rows), np.sqrt(2.0))
    for start in range(0, 0 if known is None else len(known), 1024):
        assert known is not None
        near = rows @ known[start : start + 1024].astype(np.float64).T
        distance = np.minimum(distance, _chord(near.max(axis=1)))
    weight = (0.01 + worth) ** _SPREAD
    taken: list[int] = []
    open_ = np.ones(len(rows), np.bool_)
    for _ in range(count):
        gain = np.where(open_, weight * distance, -1.0)
        row = int(gain.argmax())
        taken.append(row)
        open_[row] = False
        distance = np.minimum(distance, _chord(rows @ rows[row]))
    return taken


def _chord(cosine: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.sqrt(np.maximum(2.0 - 2.0 * cosine, 0.0))


def _why(far: bool, separated_: bool) -> str:
    if far:
        return FAR
    return CLOSE if separated_ else OPEN
