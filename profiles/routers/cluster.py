"""The cluster router: Algorithm 1 of ATLAS, and what the paper leaves open."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from profiles.errors import RouterError
from profiles.profile import Profile
from profiles.routers.base import Decisions, RoutingContext
from profiles.routers.ranking import (
    check_context,
    chosen,
    distinct_rows,
    one_step,
    rank_pairs,
    sentences,
    tie_order,
)
from profiles.routers.utility import COST_SCALES, utilities
from profiles.statistics import Statistics

Matrix = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class ClusterRouterSettings:
    """What is added to the paper's print; every addition can be switched alone.

    Attributes:
        shrinkage: use posterior means (`profiles.posterior`) instead of raw ones.
        n_min: cells with fewer scored outcomes use the pair's overall cost, and without shrinkage
            its overall score too (a posterior mean already says what few outcomes are worth);
            0 is off.
        out_of_distribution: queries farther from their centroid than 99 % of the training
            questions are routed by overall statistics.
        cost_scale: `global`, `raw` or `per_cluster`, see `profiles.routers.utility`.
        neighbours: clusters that a query belongs to; above 1 it is routed by their mean utility,
            weighted by exp(−distance² / temperature), see docs/profiling.md.
        temperature: of that weight, in squared distance of embeddings.
    """

    shrinkage: bool = True
    n_min: int = 5
    out_of_distribution: bool = True
    cost_scale: str = "global"
    neighbours: int = 1
    temperature: float = 0.05


PLAIN = ClusterRouterSettings(shrinkage=False, n_min=0, out_of_distribution=False)
"""The paper's print: raw cluster means, no fallback."""


class ClusterRouter:
    """Routes a query by the statistics of its nearest cluster."""

    needs_embeddings = True

    def __init__(
        self,
        profile: Profile,
        settings: ClusterRouterSettings | None = None,
        *,
        name: str = "cluster",
    ) -> None:
        self.name = name
        self.settings = settings or ClusterRouterSettings()
        if self.settings.cost_scale not in COST_SCALES:
            known = ", ".join(COST_SCALES)
            msg = f"cost_scale must be one of {known}, not {self.settings.cost_scale!r}"
            raise RouterError(msg)
        if self.settings.n_min < 0:
            msg = f"n_min must be 0 or more, not {self.settings.n_min}"
            raise RouterError(msg)
        if self.settings.neighbours < 1 or not self.settings.temperature > 0:
            msg = (
                "neighbours must be at least 1 and temperature above 0, not"
                f" {self.settings.neighbours} and {self.settings.temperature}"
            )
            raise RouterError(msg)
        self._profile = profile
        self._ties = tie_order(profile.train_micro)
        self._scores, self._costs, self._borrowed = routing_tables(
            profile.statistics, self.settings
        )
        overall = profile.statistics.cost_mean_usd[-1]
        known = overall[np.isfinite(overall)]
        self._largest_cost = float(known.max()) if len(known) else float("nan")

    def decide(self, embeddings: NDArray[np.float32] | None, context: RoutingContext) -> Decisions:
        """Decide for n queries by nearest centroid and utility.

        Raises:
            RouterError: without embeddings, or where no pair can be chosen.
            ProfileError: if the embeddings are of another width or not finite.
        """
        n = check_context(context, len(self._profile.pairs), embeddings)
        if embeddings is None:
            msg = f"router {self.name!r} needs the embeddings of the queries"
            raise RouterError(msg)
        labels, distances = self._profile.clusters.assign(embeddings)
        beyond = np.zeros(n, np.bool_)
        if self.settings.out_of_distribution:
            beyond = self._profile.clusters.is_out_of_distribution(distances)
        rows = np.where(beyond, self._profile.k, labels)
        table = self.utility_table(context.alpha)
        if self.settings.neighbours > 1:
            return self._decide_softly(embeddings, context, rows, table, labels, distances)
        kinds, masks, kind = distinct_rows(rows, context.allowed)
        ranking = rank_pairs(table[kinds], masks, self._ties)[kind]
        pair = ranking[:, 0]
        return one_step(
            ranking=ranking,
            utility=table[rows],
            expected_score=self._scores[rows, pair],
            expected_cost_usd=self._costs[rows, pair],
            cluster=labels,
            distance=distances,
            out_of_distribution=beyond,
            reason=self._reasons(rows, pair, table, context),
        )

    def _decide_softly(
        self,
        embeddings: NDArray[np.float32],
        context: RoutingContext,
        rows: NDArray[np.int64],
        table: Matrix,
        labels: NDArray[np.int64],
        distances: Matrix,
    ) -> Decisions:
        """Decide by the mean over the nearest clusters; far queries by overall figures as ever."""
        k = self._profile.k
        share = np.zeros((len(rows), k + 1))
        share[:, :k] = self._profile.clusters.memberships(
            embeddings, self.settings.neighbours, self.settings.temperature
        )
        beyond = rows == k
        share[beyond] = 0.0
        share[beyond, k] = 1.0
        utility = _mixed(share, table)
        ranking = rank_pairs(utility, context.allowed, self._ties)
        pair = ranking[:, 0]
        score = chosen(_mixed(share, self._scores), pair)
        best = chosen(utility, pair)
        overall = self._reasons(rows, pair, table, context)
        near = (
            f"mean over the {min(self.settings.neighbours, k)} nearest clusters: highest utility"
            " {:.3f} at alpha {:g} (score {:.3f})"
        )
        return one_step(
            ranking=ranking,
            utility=utility,
            expected_score=score,
            expected_cost_usd=chosen(_mixed(share, self._costs), pair),
            cluster=labels,
            distance=distances,
            out_of_distribution=beyond,
            reason=tuple(
                overall[row] if beyond[row] else near.format(best[row], context.alpha, score[row])
                for row in range(len(rows))
            ),
        )

    def utility_table(self, alpha: float) -> Matrix:
        """(K + 1, P) utilities at this alpha; the last row serves out-of-distribution queries."""
        return utilities(
            self._scores, self._costs, alpha, self.settings.cost_scale, self._largest_cost
        )

    def _reasons(
        self,
        rows: NDArray[np.int64],
        pair: NDArray[np.int64],
        table: Matrix,
        context: RoutingContext,
    ) -> tuple[str, ...]:
        pairs = len(self._profile.pairs)
        keys = (rows * pairs + pair) * 2
        if context.allowed is not None:
            keys += ~context.allowed.all(axis=1)

        def describe(first: int) -> str:
            restricted = bool(keys[first] % 2)
            return self._sentence(int(rows[first]), int(pair[first]), table, context, restricted)

        return sentences(keys, describe)

    def _sentence(
        self, row: int, pair: int, table: Matrix, context: RoutingContext, restricted: bool
    ) -> str:
        statistics = self._profile.statistics
        place = f"cluster {row}"
        if row == self._profile.k:
            place = "farther from its cluster than 99 % of the training questions, so by the whole"
        parts = []
        if np.isfinite(table[row, pair]):
            score, cost = self._scores[row, pair], self._costs[row, pair]
            money = f", ${cost:.6f} a question" if np.isfinite(cost) else ""
            parts.append(
                f"{place}: highest utility {table[row, pair]:.3f} at alpha {context.alpha:g}"
                f" (score {score:.3f} from {statistics.n_scored[row, pair]} outcomes{money})"
            )
        else:
            parts.append(f"{place}: no allowed pair has a known score and cost; best by training")
        if self._borrowed[row, pair]:
            by = "the pair's overall figures"
            if self.settings.shrinkage:
                by = "what the pair does elsewhere and other pairs do here"
            parts.append(f"fewer than {self.settings.n_min} outcomes here, so by {by}")
        if restricted:
            parts.append("among the pairs allowed for it")
        unpriced = int(np.isnan(self._costs[row]).sum())
        if context.alpha > 0 and unpriced:
            parts.append(f"{unpriced} pairs of unknown cost left out")
        return "; ".join(parts)


def _mixed(share: Matrix, table: Matrix) -> Matrix:
    """(n, P) means of table rows; unknown where a row that takes part is unknown."""
    known = np.isfinite(table)
    mixed: Matrix = share @ np.where(known, table, 0.0)
    mixed[(share > 0).astype(np.float64) @ (~known).astype(np.float64) > 0] = np.nan
    return mixed


def routing_tables(
    statistics: Statistics, settings: ClusterRouterSettings
) -> tuple[Matrix, Matrix, NDArray[np.bool_]]:
    """Scores and costs (K + 1, P) to decide by, and which cells use overall statistics."""
    scores = (statistics.score_shrunk if settings.shrinkage else statistics.score_mean).copy()
    costs = statistics.cost_mean_usd.copy()
    borrowed = statistics.n_scored < settings.n_min
    # The overall row has nothing above it to borrow from.
    borrowed[-1] = False
    # "Overall" is the shrunk overall mean whether or not cells are shrunk: it is the fallback.
    overall_scores = np.broadcast_to(statistics.score_shrunk[-1], scores.shape)
    overall_costs = np.broadcast_to(statistics.cost_mean_usd[-1], costs.shape)
    if not settings.shrinkage:
        scores[borrowed] = overall_scores[borrowed]
    priceless = borrowed | np.isnan(costs)
    costs[priceless] = overall_costs[priceless]
    if settings.out_of_distribution:
        scores[-1] = statistics.score_shrunk[-1]
    return scores, costs, borrowed
