"""What every router is: embeddings in, decisions out. A router never calls anything."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class RoutingContext:
    """What a router may look at beside the embeddings of n queries.

    Attributes:
        query_ids: n stable ids; random routers seed from them so that a resumed chunk
            decides the same.
        texts: n query texts.
        alpha: weight of cost in [0, 1]; 0 is accuracy only.
        allowed: (n, P) bool mask of pairs that may be chosen, or None for all.
        datasets: n dataset names, None entries where unknown. Told to the `dataset-best`
            baseline only; a router that reads it is not a router.
        scores: (n, P) recorded scores. Told to the `oracle` bound only.
        seed: seed of every random choice.
    """

    query_ids: tuple[str, ...]
    texts: tuple[str, ...]
    alpha: float = 0.0
    allowed: NDArray[np.bool_] | None = None
    datasets: tuple[str | None, ...] | None = None
    scores: NDArray[np.float64] | None = None
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Decisions:
    """Decisions for n queries over P pairs.

    Attributes:
        pair: (n,) int64, index of the chosen pair in pair order.
        ranking: (n, P) int64, all pairs by falling utility; column 0 equals `pair`. On a failed
            call the next column is tried. Pairs that are not allowed are -1, at the end.
        utility: (n, P) float64, utility by pair index; NaN where not estimated.
        expected_score: (n,) float64 in [0, 1], NaN where unknown.
        expected_cost_usd: (n,) float64 dollars, NaN where unknown.
        propensity: (n,) float64, probability with which the chosen pair was drawn.
        chances: (n, P) float64, probability of every pair, rows summing to 1; None where the
            router draws nothing at random: its choice has probability 1, every other pair 0.
        cluster: (n,) int64, -1 for routers without clusters.
        distance: (n,) float64 to the centroid, NaN without clusters.
        out_of_distribution: (n,) bool.
        reason: n short sentences saying why.
    """

    pair: NDArray[np.int64]
    ranking: NDArray[np.int64]
    utility: NDArray[np.float64]
    expected_score: NDArray[np.float64]
    expected_cost_usd: NDArray[np.float64]
    propensity: NDArray[np.float64]
    cluster: NDArray[np.int64]
    distance: NDArray[np.float64]
    out_of_distribution: NDArray[np.bool_]
    reason: tuple[str, ...]
    chances: NDArray[np.float64] | None = None


class Router(Protocol):
    """Maps queries to decisions."""

    name: str
    needs_embeddings: bool

    def decide(self, embeddings: NDArray[np.float32] | None, context: RoutingContext) -> Decisions:
        """Decide for n queries.

        Args:
            embeddings: (n, D) float32, L2-normalised; None when `needs_embeddings` is false.
            context: everything else the router may look at.
        """
        ...
