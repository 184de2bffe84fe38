"""The baselines every router is measured against, behind the same interface."""

from __future__ import annotations

import hashlib
from dataclasses import replace

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
from profiles.routers.utility import utilities

Matrix = NDArray[np.float64]


class _Baseline:
    """What baselines share: the profile's overall figures and the tie rule. No embeddings."""

    needs_embeddings = False

    def __init__(self, profile: Profile, name: str) -> None:
        self.name = name
        self._profile = profile
        self._pairs = len(profile.pairs)
        self._ties = tie_order(profile.train_micro)
        self._mean_costs: Matrix = profile.statistics.cost_mean_usd[-1]

    def _by_table(
        self,
        table: Matrix,
        scores: Matrix,
        rows: NDArray[np.int64],
        context: RoutingContext,
        sentence: str,
    ) -> Decisions:
        """Decide by a small (R, P) table of utilities; `rows` says which row serves a query.

        `sentence` may name {pair}, the chosen pair's id.
        """
        kinds, masks, kind = distinct_rows(rows, context.allowed)
        ranking = rank_pairs(table[kinds], masks, self._ties)[kind]
        pair = ranking[:, 0]
        return one_step(
            ranking=ranking,
            utility=table[rows],
            expected_score=scores[rows, pair],
            expected_cost_usd=self._mean_costs[pair],
            reason=self._reasons(pair, sentence),
        )

    def _reasons(self, pair: NDArray[np.int64], sentence: str) -> tuple[str, ...]:
        names = [p.pair_id for p in self._profile.pairs]
        return sentences(pair, lambda row: sentence.format(pair=names[pair[row]]))


class RandomRouter(_Baseline):
    """A uniform draw among the allowed pairs, the same for the same seed and query id."""

    def __init__(self, profile: Profile, *, name: str = "random") -> None:
        super().__init__(profile, name)

    def decide(self, embeddings: NDArray[np.float32] | None, context: RoutingContext) -> Decisions:
        """Draw; the order of the other pairs is drawn too."""
        n = check_context(context, self._pairs, embeddings)
        draws = _uniform(context.query_ids, context.seed, self._pairs)
        ranking = rank_pairs(draws, context.allowed, self._ties)
        allowed = np.ones((n, self._pairs)) if context.allowed is None else context.allowed
        chances = allowed / allowed.sum(axis=1, keepdims=True)
        pair = ranking[:, 0]
        decisions = one_step(
            ranking=ranking,
            utility=np.full((n, self._pairs), np.nan),
            expected_score=self._profile.train_micro[pair],
            expected_cost_usd=self._mean_costs[pair],
            propensity=chosen(chances, pair),
            reason=("drawn at random among the allowed pairs",) * n,
        )
        return replace(decisions, chances=chances)


class FixedRouter(_Baseline):
    """One pair for every query; where it is not allowed, the best allowed one by training."""

    def __init__(self, profile: Profile, pair_id: str, *, name: str = "") -> None:
        super().__init__(profile, name or f"fixed:{pair_id}")
        if pair_id not in profile.index():
            known = ", ".join(list(profile.index())[:6])
            msg = f"the profile has no pair {pair_id!r}; its pairs are {known} …"
            raise RouterError(msg)
        self._pair_id = pair_id
        micro = np.where(np.isfinite(profile.train_micro), profile.train_micro, 0.0)
        micro[profile.index()[pair_id]] = 2.0  # above any score: first where it is allowed
        self._table = micro[None, :]

    def decide(self, embeddings: NDArray[np.float32] | None, context: RoutingContext) -> Decisions:
        """Choose the fixed pair."""
        n = check_context(context, self._pairs, embeddings)
        rows = np.zeros(n, np.int64)
        sentence = f"fixed to {self._pair_id}; chosen: {{pair}}"
        scores = self._profile.train_micro[None, :]
        decisions = self._by_table(self._table, scores, rows, context, sentence)
        return replace(decisions, utility=np.full((n, self._pairs), np.nan))


class BestSingleRouter(_Baseline):
    """The pair of the highest training macro mean; ties by training micro, then pair order."""

    def __init__(self, profile: Profile, *, name: str = "best-single") -> None:
        super().__init__(profile, name)

    def decide(self, embeddings: NDArray[np.float32] | None, context: RoutingContext) -> Decisions:
        """Choose the best single pair that is allowed."""
        n = check_context(context, self._pairs, embeddings)
        table = self._profile.train_macro[None, :]
        sentence = "{pair} has the highest training mean over datasets"
        return self._by_table(table, table, np.zeros(n, np.int64), context, sentence)


class BestUtilityRouter(_Baseline):
    """The best single pair at an alpha: highest utility of training macro mean and mean cost.

    At alpha 0 it is `BestSingleRouter`. Costs are scaled as in `profiles.routers.utility`.
    """

    def __init__(self, profile: Profile, *, name: str = "best-single") -> None:
        super().__init__(profile, name)
        known = self._mean_costs[np.isfinite(self._mean_costs)]
        self._largest_cost = float(known.max()) if len(known) else float("nan")

    def decide(self, embeddings: NDArray[np.float32] | None, context: RoutingContext) -> Decisions:
        """Choose the best single pair at this alpha that is allowed.

        Raises:
            RouterError: alpha is above 0 and no pair has a known cost.
        """
        n = check_context(context, self._pairs, embeddings)
        scores = self._profile.train_macro[None, :]
        costs = self._mean_costs[None, :]
        table = utilities(scores, costs, context.alpha, "global", self._largest_cost)
        sentence = (
            f"{{pair}} has the highest utility over all training data at alpha {context.alpha:g}"
        )
        expected = self._profile.train_micro[None, :]
        return self._by_table(table, expected, np.zeros(n, np.int64), context, sentence)


class CheapestRouter(_Baseline):
    """The pair of the lowest mean training cost; pairs of unknown cost are left out."""

    def __init__(self, profile: Profile, *, name: str = "cheapest") -> None:
        super().__init__(profile, name)
        if not np.isfinite(self._mean_costs).any():
            msg = (
                "the profile knows no pair's cost, so none is cheapest; give prices in the pool"
                " and profile again"
            )
            raise RouterError(msg)

    def decide(self, embeddings: NDArray[np.float32] | None, context: RoutingContext) -> Decisions:
        """Choose the cheapest allowed pair of known cost."""
        n = check_context(context, self._pairs, embeddings)
        scores = self._profile.train_micro[None, :]
        sentence = "{pair} has the lowest known mean cost"
        return self._by_table(
            -self._mean_costs[None, :], scores, np.zeros(n, np.int64), context, sentence
        )


class DatasetBestRouter(_Baseline):
    """Per dataset the pair of the highest training mean there; best single for an unseen one.

    It is told the name of the query's dataset, which a router is not.
    """

    def __init__(self, profile: Profile, *, name: str = "dataset-best") -> None:
        super().__init__(profile, name)
        names = profile.datasets.names
        self._rows: dict[str | None, int] = {name: row for row, name in enumerate(names)}
        self._table = np.vstack([profile.datasets.scores, profile.train_macro])
        self._table[np.isnan(self._table).all(axis=1)] = profile.train_macro

    def decide(self, embeddings: NDArray[np.float32] | None, context: RoutingContext) -> Decisions:
        """Look the query's dataset up.

        Raises:
            RouterError: if the context tells no datasets.
        """
        check_context(context, self._pairs, embeddings)
        if context.datasets is None:
            msg = (
                "router 'dataset-best' must be told the queries' datasets; they are not known here"
            )
            raise RouterError(msg)
        unseen = len(self._rows)
        rows = np.array([self._rows.get(d, unseen) for d in context.datasets], np.int64)
        sentence = "{pair} has the highest training mean on this dataset (or over all, if unseen)"
        return self._by_table(self._table, self._table, rows, context, sentence)


class OracleRouter(_Baseline):
    """Per query the pair of the highest recorded score: a bound, not a router."""

    def __init__(self, profile: Profile, *, name: str = "oracle") -> None:
        super().__init__(profile, name)

    def decide(self, embeddings: NDArray[np.float32] | None, context: RoutingContext) -> Decisions:
        """Look the scores up.

        Raises:
            RouterError: if the context tells no scores.
        """
        check_context(context, self._pairs, embeddings)
        if context.scores is None:
            msg = "router 'oracle' must be told the recorded scores; they are not known here"
            raise RouterError(msg)
        scores = np.asarray(context.scores, dtype=np.float64)
        ranking = rank_pairs(scores, context.allowed, self._ties)
        pair = ranking[:, 0]
        return one_step(
            ranking=ranking,
            utility=scores,
            expected_score=chosen(scores, pair),
            expected_cost_usd=self._mean_costs[pair],
            reason=self._reasons(pair, "{pair} has the highest recorded score on this query"),
        )


def _uniform(query_ids: tuple[str, ...], seed: int, pairs: int) -> Matrix:
    """(n, P) draws in [0, 1) that depend on the seed, the query id and the pair's place alone."""
    start = f"{seed}\x1f".encode()
    seeds = np.array(
        [
            int.from_bytes(
                hashlib.blake2b(start + i.encode("utf-8", "surrogatepass"), digest_size=8).digest()
            )
            for i in query_ids
        ],
        dtype=np.uint64,
    )
    with np.errstate(over="ignore"):
        # SplitMix64 (Steele, Lea and Flood, 2014): one counter-based stream per query.
        steps = np.arange(1, pairs + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        z = seeds[:, None] + steps[None, :]
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z ^= z >> np.uint64(31)
    draws: Matrix = (z >> np.uint64(11)).astype(np.float64) / float(2**53)
    return draws
