"""The k-nearest-neighbours router: the mean of what was seen on the most similar questions."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from profiles.errors import RouterError
from profiles.profile import Profile
from profiles.routers.base import Decisions, RoutingContext
from profiles.routers.ranking import (
    check_context,
    chosen,
    one_step,
    rank_pairs,
    sentences,
    tie_order,
)
from profiles.routers.utility import utilities

_CHUNK = 1024
_SAME = 1e-6
"""Cosines of float32 embeddings this close are equal: duplicates must not depend on the batch."""

Matrix = NDArray[np.float64]


class KnnRouter:
    """Routes by the mean score, and mean cost, over the k training questions of highest cosine.

    Training questions as similar as the k-th enter in the order of their rows. A pair without a
    score among the k has no estimate. Cost is scaled by the profile's largest mean pair cost.
    """

    needs_embeddings = True

    def __init__(self, profile: Profile, k: int = 40, *, name: str = "") -> None:
        if profile.train is None:
            msg = (
                f"{profile.profile_id} keeps no training rows, which router 'knn' looks at;"
                " profile again with keep_train"
            )
            raise RouterError(msg)
        if k < 1:
            msg = f"knn needs at least 1 neighbour, not {k}"
            raise RouterError(msg)
        self.name = name or f"knn:{k}"
        self._k = min(k, len(profile.train.query_ids))
        self._profile = profile
        self._train = np.asarray(profile.train.embeddings, np.float32)
        self._ties = tie_order(profile.train_micro)
        self._overall_costs: Matrix = profile.statistics.cost_mean_usd[-1]
        known = self._overall_costs[np.isfinite(self._overall_costs)]
        self._largest_cost = float(known.max()) if len(known) else float("nan")

    def decide(self, embeddings: NDArray[np.float32] | None, context: RoutingContext) -> Decisions:
        """Decide for n queries by their neighbours.

        Raises:
            RouterError: without embeddings, or with embeddings of another width.
        """
        check_context(context, len(self._profile.pairs), embeddings)
        if embeddings is None or embeddings.ndim != 2:
            msg = f"router {self.name!r} needs the embeddings of the queries"
            raise RouterError(msg)
        if embeddings.shape[1] != self._train.shape[1]:
            msg = (
                f"the embeddings have {embeddings.shape[1]} dimensions, the profile's"
                f" {self._train.shape[1]}; embed with the encoder the profile was made with"
            )
            raise RouterError(msg)
        scores, costs = self._estimates(np.asarray(embeddings, np.float32))
        utility = utilities(scores, costs, context.alpha, "global", self._largest_cost)
        ranking = rank_pairs(utility, context.allowed, self._ties)
        pair = ranking[:, 0]
        expected = chosen(scores, pair)
        return one_step(
            ranking=ranking,
            utility=utility,
            expected_score=expected,
            expected_cost_usd=chosen(costs, pair),
            reason=self._reasons(pair, expected, context.alpha),
        )

    def _estimates(self, embeddings: NDArray[np.float32]) -> tuple[Matrix, Matrix]:
        assert self._profile.train is not None
        scores, costs = self._profile.train.scores, self._profile.train.costs_usd
        blocks = [
            self._neighbours(embeddings[start : start + _CHUNK])
            for start in range(0, len(embeddings), _CHUNK)
        ]
        empty = np.empty((0, scores.shape[1]))
        found = [(_neighbour_means(b, scores), _neighbour_means(b, costs)) for b in blocks]
        mean_scores = np.concatenate([pair[0] for pair in found] or [empty])
        mean_costs = np.concatenate([pair[1] for pair in found] or [empty])
        return mean_scores, np.where(np.isnan(mean_costs), self._overall_costs, mean_costs)

    def _neighbours(self, embeddings: NDArray[np.float32]) -> Matrix:
        """(n, train rows) 1.0 for the k nearest training rows."""
        cosines = embeddings @ self._train.T
        place = cosines.shape[1] - self._k
        border = np.partition(cosines, place, axis=1)[:, place, None]
        above = cosines > border + _SAME
        level = ~above & (cosines >= border - _SAME)
        room = self._k - above.sum(axis=1, keepdims=True)
        nearest: NDArray[np.bool_] = above | (level & (np.cumsum(level, axis=1) <= room))
        return nearest.astype(np.float64)

    def _reasons(self, pair: NDArray[np.int64], expected: Matrix, alpha: float) -> tuple[str, ...]:
        percent = np.where(np.isfinite(expected), np.rint(100 * expected), -1).astype(np.int64)
        names = [p.pair_id for p in self._profile.pairs]

        def describe(row: int) -> str:
            shown = f"mean score {expected[row]:.2f}" if percent[row] >= 0 else "no score known"
            return (
                f"highest utility at alpha {alpha:g} over the {self._k} most similar training"
                f" questions: {names[pair[row]]}, {shown}"
            )

        return sentences(pair * 128 + percent, describe)


def _neighbour_means(neighbours: Matrix, values: Matrix) -> Matrix:
    known = np.isfinite(values)
    count = neighbours @ known.astype(np.float64)
    total = neighbours @ np.where(known, values, 0.0)
    means: Matrix = np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0.5)
    return means
