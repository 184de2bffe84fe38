"""Exploration: now and then another pair than the best one, drawn with a known probability.

A log of one router's choices says nothing about another router's, unless every pair that the other
one would take had a chance. Exploration gives it one, where it costs little: only pairs whose
utility lies within a band of the best one's are drawn, and only on a share ε of the questions.

With C the pairs in the band and π their chances when exploring,

    p(pair) = (1 − ε)·[pair is the router's own choice] + ε·π(pair)

`epsilon`   π is uniform over C.
`thompson`  π(pair) = (1 − f)·P(θ_pair is the highest of C) + f/|C|, with f = `FLOOR`: posterior
            sampling (Thompson, 1933) with a floor, so that no pair of the band is out of reach.
            θ_pair is normal and independent between pairs: its mean is the utility that the router
            gives the pair, its spread that of the profile's posterior of the pair's accuracy in the
            question's cluster, times (1 − alpha).

The draw is made from the very numbers that are logged: propensities are exact, whatever the error
of the integral behind them. It is a hash of seed and query id, and a query id is the hash of a
question's content: a resumed run, or a row decided again, draws the same.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from profiles.chance_of_best import chance_of_best
from profiles.errors import RouterError
from profiles.routers.cluster import ClusterRouterSettings, routing_tables
from profiles.routers.ranking import chosen
from profiles.statistics import Z95

if TYPE_CHECKING:
    from profiles.profile import Profile
    from profiles.routers.base import Decisions, Router, RoutingContext

EXPLORERS = ("epsilon", "thompson")
FLOOR = 0.1
"""Share of Thompson's draws that is uniform over the band: bounds importance weights."""
LEAST_SPREAD = 1e-6
"""Standard deviation of an accuracy that the profile says is known exactly."""

Matrix = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Exploration:
    """How much is explored, and how.

    Attributes:
        rate: ε, share of questions that are explored, in (0, 1].
        explorer: one of `EXPLORERS`.
        band: utility below the best one's at which a pair is still drawn, in the unit of
            utilities: 0.02 is two points. 1 takes every pair in that the router has a utility for.
    """

    rate: float
    explorer: str = "epsilon"
    band: float = 0.02

    def __post_init__(self) -> None:
        if not 0.0 < self.rate <= 1.0:
            raise RouterError(
                f"the share to explore must be above 0 and at most 1, not {self.rate}"
            )
        if self.explorer not in EXPLORERS:
            known = " or ".join(EXPLORERS)
            raise RouterError(f"there is no explorer {self.explorer!r}; it is {known}")
        if not self.band >= 0.0:
            raise RouterError(f"the band of utility to explore must be 0 or more, not {self.band}")


class ExploringRouter:
    """A router whose choice is at times replaced by another pair of nearly its utility.

    It keeps the name of the router it wraps, of which it is a variant; the reason of a replaced
    choice begins with "explored", and every decision carries the chances of all pairs.
    """

    def __init__(self, router: Router, exploration: Exploration, profile: Profile) -> None:
        self.name = router.name
        self.needs_embeddings = router.needs_embeddings
        self.exploration = exploration
        self._router = router
        self._profile = profile
        self._scores, self._costs, _ = routing_tables(profile.statistics, ClusterRouterSettings())
        self._spread = _spread(profile) if exploration.explorer == "thompson" else None

    def decide(self, embeddings: NDArray[np.float32] | None, context: RoutingContext) -> Decisions:
        """Decide as the wrapped router does, then draw.

        Raises:
            RouterError: as the wrapped router does, or where it has no utilities to draw by.
        """
        decisions = self._router.decide(embeddings, context)
        band = in_band(decisions, self.exploration.band)
        if not np.isfinite(decisions.utility).any() and len(band):
            msg = (
                f"router {self.name!r} gives pairs no utility, so there is no band to explore;"
                " explore with cluster, predictor, auto or best-single"
            )
            raise RouterError(msg)
        chances = self.chances(decisions, band, context.alpha)
        pair = draw(chances, hashed_uniform(context.query_ids, context.seed))
        return self._replaced(decisions, pair, chances)

    def chances(self, decisions: Decisions, band: NDArray[np.bool_], alpha: float) -> Matrix:
        """(n, P) probability of every pair; rows sum to 1, and every pair of the band has some."""
        share = band / band.sum(axis=1, keepdims=True)
        if self._spread is not None:
            spread = (1.0 - alpha) * self._spread[self._places(decisions)]
            best = chance_of_best(decisions.utility, np.maximum(spread, LEAST_SPREAD), band)
            share = (1.0 - FLOOR) * best + FLOOR * share
        rate = self.exploration.rate
        probability: Matrix = rate * share
        rows = np.arange(len(band))
        probability[rows, decisions.pair] += 1.0 - rate
        # Where the band holds one pair nothing is random, and rounding must not say otherwise.
        probability[band.sum(axis=1) == 1] = band[band.sum(axis=1) == 1]
        return probability

    def _places(self, decisions: Decisions) -> NDArray[np.int64]:
        """(n,) row of the profile's tables: the cluster, or the whole where it is none or far."""
        known = (decisions.cluster >= 0) & ~decisions.out_of_distribution
        places: NDArray[np.int64] = np.where(known, decisions.cluster, self._profile.k)
        return places

    def _replaced(
        self, decisions: Decisions, pair: NDArray[np.int64], chances: Matrix
    ) -> Decisions:
        """The decisions with the drawn pairs first; what is expected of those is the profile's."""
        moved = pair != decisions.pair
        places = self._places(decisions)
        names = [one.pair_id for one in self._profile.pairs]
        how = self.exploration
        spoken = f"explored ({how.explorer}, {how.rate:g} of the questions, band {how.band:g})"
        reason = list(decisions.reason)
        ranking = decisions.ranking.copy()
        for row in np.flatnonzero(moved):
            drawn, best = int(pair[row]), int(decisions.pair[row])
            reason[row] = f"{spoken}: {names[drawn]} in place of {names[best]}"
            ranking[row] = [drawn, *(other for other in ranking[row] if other != drawn)]
        return replace(
            decisions,
            pair=pair,
            ranking=ranking,
            expected_score=np.where(moved, self._scores[places, pair], decisions.expected_score),
            expected_cost_usd=np.where(
                moved, self._costs[places, pair], decisions.expected_cost_usd
            ),
            propensity=chosen(chances, pair),
            chances=chances,
            reason=tuple(reason),
        )


def in_band(decisions: Decisions, band: float) -> NDArray[np.bool_]:
    """(n, P) pairs whose utility is at most `band` below the chosen pair's; the chosen one always.

    Pairs that a router gives no utility, or may not choose, are outside.
    """
    rows = np.arange(len(decisions.pair))
    allowed = np.zeros(decisions.utility.shape, np.bool_)
    listed = decisions.ranking >= 0
    allowed[np.broadcast_to(rows[:, None], listed.shape)[listed], decisions.ranking[listed]] = True
    best = chosen(decisions.utility, decisions.pair)
    with np.errstate(invalid="ignore"):
        near = allowed & (decisions.utility >= best[:, None] - band)
    near[rows, decisions.pair] = True
    return near


def draw(chances: Matrix, uniform: Matrix) -> NDArray[np.int64]:
    """(n,) pair drawn from each row of chances by inverting its cumulative sum.

    Args:
        chances: (n, P), rows sum to 1.
        uniform: (n,) in [0, 1).
    """
    cumulative = np.cumsum(chances, axis=1)
    drawn = (uniform[:, None] * cumulative[:, -1:] >= cumulative).sum(axis=1)
    # The last pair of any chance, where rounding leaves the sum below the draw.
    last = chances.shape[1] - 1 - np.argmax(chances[:, ::-1] > 0, axis=1)
    pair: NDArray[np.int64] = np.minimum(drawn, last).astype(np.int64)
    return pair


def hashed_uniform(query_ids: tuple[str, ...], seed: int) -> Matrix:
    """(n,) numbers in [0, 1) that depend on the seed and the query's id alone."""
    start = f"explore\x1f{seed}\x1f".encode()
    whole = [
        int.from_bytes(
            hashlib.blake2b(start + one.encode("utf-8", "surrogatepass"), digest_size=8).digest()
        )
        for one in query_ids
    ]
    return np.array([number >> 11 for number in whole], dtype=np.float64) / 2.0**53


def _spread(profile: Profile) -> Matrix:
    """(K + 1, P) standard deviation of every accuracy, read from its 95 % credible interval."""
    statistics = profile.statistics
    width = statistics.score_posterior_high - statistics.score_posterior_low
    if not np.isfinite(width).any():
        msg = (
            f"{profile.profile_id} was made before profiles had posterior intervals, which"
            " Thompson sampling draws from; profile again, or explore with epsilon"
        )
        raise RouterError(msg)
    # A pair without outcomes has no utility either, and is in no band.
    return np.where(np.isfinite(width), width / (2.0 * Z95), 1.0)
