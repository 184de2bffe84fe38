"""What every strategy does on questions of one recorded table, at every price.

Everything is fitted and chosen on split `train`, by the functions that `atlas evaluate` fits with;
one-step routers are the real ones, asked at the alpha that stands for a price. Episodes are played
on matrices of recorded answers, without a ledger.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from profiles.outcomes import outcome_matrices
from profiles.policies.guide import strategy_guide
from profiles.policies.policy import CASCADE, POLICY, Policy
from profiles.policies.step_down import StepDown, step_down, whereabouts
from profiles.policies.strategies import Cascade, Strategy
from profiles.profile import Profile
from profiles.routers.base import Router, RoutingContext
from tasks.embedder import CachedEmbedder
from tasks.evaluate.multi_step import VOTERS, recorded_keys
from tasks.evaluate.table import OutcomeTable
from tasks.learn.environment import Environment, observe
from tasks.learn.fit_policy import Fitted
from tasks.learn.live import play_strategy
from tasks.learn.rollout import Played
from tasks.learn.training import price_grid

Matrix = NDArray[np.float64]
PRICES = tuple(float(price) for price in price_grid(count=10))
SURE = 0.8
"""Confidence at which the second fixed cascade stops."""


class Trial(NamedTuple):
    """One strategy on n questions at each of the prices; arrays are (prices, n)."""

    score: Matrix
    cost: Matrix
    """In units."""
    calls: Matrix

    def utility(self) -> Matrix:
        """(n,) mean over prices of score − price × cost."""
        price = np.array(PRICES)[:, None]
        mean: Matrix = (self.score - price * self.cost).mean(axis=0)
        return mean

    @classmethod
    def over_prices(cls, played: list[Played]) -> Trial:
        """One episode a question and price."""
        return cls(
            np.stack([one.score for one in played]),
            np.stack([one.cost for one in played]),
            np.stack([one.calls for one in played]),
        )

    def plain(self) -> list[list[list[float]]]:
        """As JSON has it; scores and costs to six digits."""
        return [np.round(part, 6).tolist() for part in self]

    @classmethod
    def of(cls, plain: list[list[list[float]]]) -> Trial:
        """What `plain` gave."""
        return cls(*(np.array(part) for part in plain))

    @classmethod
    def mean(cls, trials: list[Trial]) -> Trial:
        """The mean over seeds, question by question."""
        return cls(*(np.mean(np.stack(part), axis=0) for part in zip(*trials, strict=True)))


class Questions:
    """The questions of one split, with the outcomes of all P pairs of the table.

    Args:
        table: recorded outcomes.
        split: that is played.
        profile: its training rows say what a call costs on average.
        embedder: of the questions.

    Attributes:
        unit_usd: dollars of a unit of cost, the dearest pair's mean call; NaN without costs.
        means: (P,) mean training cost of a call, in units.
        scores: (n, P); an unscored outcome counts 0.
        costs: (n, P) in units.
        keys: (n, P) answer keys.
    """

    def __init__(
        self, table: OutcomeTable, split: str, profile: Profile, embedder: CachedEmbedder
    ) -> None:
        rows = table.rows(split)
        self.ids = tuple(rows.get_column("query_id").to_list())
        self.texts = tuple(rows.get_column("text").to_list())
        self.datasets = tuple(rows.get_column("dataset").to_list())
        self.embeddings = embedder(list(self.texts))
        self.keys = recorded_keys(table, table.outcomes, self.ids)
        matrices = outcome_matrices(self.ids, table.outcomes, table.pairs)
        self.scores = np.nan_to_num(matrices.scores)
        mean_usd = profile.statistics.cost_mean_usd[-1]
        self.priced = bool(np.isfinite(mean_usd).all())
        if self.priced:
            self.unit_usd = float(mean_usd.max())
            self.means = mean_usd / self.unit_usd
            known = np.isfinite(matrices.costs_usd)
            self.costs = np.where(known, matrices.costs_usd / self.unit_usd, self.means)
        else:
            self.unit_usd = float("nan")
            self.means, self.costs = np.ones(len(table.pairs)), np.ones(self.scores.shape)

    def __len__(self) -> int:
        """The number of questions, n."""
        return len(self.ids)

    def routed(self, router: Router, price: float) -> Played:
        """A one-step router at a price.

        Args:
            router: decides.
            price: p of a unit of cost; score − p × cost ranks as (1 − α) × score − α × cost
                does at α = p / (1 + p), which is what routers take.
        """
        alpha = price / (1 + price) if self.priced else 0.0
        context = RoutingContext(self.ids, self.texts, alpha=alpha, datasets=self.datasets)
        embeddings = self.embeddings if router.needs_embeddings else None
        return self.called(router.decide(embeddings, context).pair)

    def over_prices(self, router: Router) -> Trial:
        """A one-step router at every price; without costs there is but one decision."""
        if not self.priced:
            return Trial.over_prices([self.routed(router, PRICES[0])] * len(PRICES))
        return Trial.over_prices([self.routed(router, price) for price in PRICES])

    def called(self, pair: NDArray[np.int64]) -> Played:
        """One call a question, to the pair of each."""
        at = np.arange(len(pair))
        return Played(self.scores[at, pair], self.costs[at, pair], np.ones(len(at)), pair)

    def random(self) -> Trial:
        """The expectation of a uniform draw."""
        n = len(self)
        mean = Played(
            self.scores.mean(axis=1), self.costs.mean(axis=1), np.ones(n), np.full(n, -1, np.int64)
        )
        return Trial.over_prices([mean] * len(PRICES))

    def oracle(self) -> Trial:
        """The best single call, told the scores and costs."""
        return Trial.over_prices(
            [self.called((self.scores - p * self.costs).argmax(axis=1)) for p in PRICES]
        )

    def dataset_best(self, profile: Profile) -> Trial:
        """The pair of best training utility in the question's dataset, which is told."""
        known = {name: row for row, name in enumerate(profile.datasets.names)}
        table = np.nan_to_num(np.vstack([profile.datasets.scores, profile.train_micro]))
        worth = table[[known.get(name, -1) for name in self.datasets]]
        return Trial.over_prices(
            [self.called((worth - price * self.means).argmax(axis=1)) for price in PRICES]
        )

    def majority(self, profile: Profile) -> Trial:
        """Plain vote of the three best pairs; ties to the better pair's answer."""
        best = np.argsort(-np.nan_to_num(profile.train_micro), kind="stable")[:VOTERS]
        keys = self.keys[:, best]
        votes = ((keys[:, :, None] == keys[:, None, :]) & (keys >= 0)[:, :, None]).sum(axis=2)
        leader = best[votes.argmax(axis=1)]
        at = np.arange(len(leader))
        calls = np.full(len(at), float(len(best)))
        one = Played(self.scores[at, leader], self.costs[:, best].sum(axis=1), calls, leader)
        return Trial.over_prices([one] * len(PRICES))


class Stage:
    """Questions as a fitted policy sees them.

    Args:
        questions: to play.
        profile: the policy's own.
        fitted: the policy with what it was trained on.
    """

    def __init__(self, questions: Questions, profile: Profile, fitted: Fitted) -> None:
        policy = fitted.policy
        index = profile.index()
        columns = np.array([index[pair] for pair in policy.pairs])
        recorded = replace(
            fitted.recorded,
            keys=questions.keys[:, columns],
            scores=questions.scores[:, columns],
            costs=questions.costs[:, columns],
            priors=policy.priors(profile, questions.texts, questions.embeddings),
            components=policy.components.of(questions.embeddings),
        )
        lattice = fitted.environment.lattice
        self.environment = Environment(
            recorded, lattice, observe(recorded, lattice, policy.aggregator)
        )
        self._profile, self._policy = profile, policy
        self._away = whereabouts(profile, questions.embeddings).away

    def play(self, strategy: Strategy) -> Played:
        """Every question by a strategy."""
        rows = np.arange(len(self.environment.recorded))
        return play_strategy(self.environment, rows, strategy)

    def guarded(self, strategy: Strategy, price: float | None) -> Played:
        """By a strategy, and where a question is unlike training by a more cautious one."""
        near = self.play(strategy)
        guide = strategy_guide(self._policy, self._profile, strategy, "hybrid", price)
        stepped = step_down(guide, self._policy, self._profile).strategy
        if not isinstance(stepped, StepDown) or not self._away.any():
            return near
        far = self.play(stepped.far)
        return Played(*(np.where(self._away, b, a) for a, b in zip(near, far, strict=True)))

    def learnt(self) -> Trial:
        """The policy's networks at every price."""
        return Trial.over_prices([self.play(self._policy.strategy(POLICY, p)) for p in PRICES])

    def strategies(self) -> dict[str, Trial]:
        """`cascade`, `policy` and `hybrid` at every price, and the two fixed cascades."""
        policy = self._policy
        cascades = [self.play(policy.strategy(CASCADE, price)) for price in PRICES]
        found = {CASCADE: Trial.over_prices(cascades), POLICY: self.learnt()}
        found["hybrid"] = Trial.over_prices(
            [self.guarded(policy.strategy("hybrid", price), price) for price in PRICES]
        )
        for name, cascade in fixed_cascades(policy).items():
            found[name] = Trial.over_prices([self.play(cascade)] * len(PRICES))
        return found


def fixed_cascades(policy: Policy) -> Mapping[str, Cascade]:
    """Two cascades that nothing is chosen for: by rule from training accuracy and cost."""
    best = np.argsort(-policy.accuracy, kind="stable")[:VOTERS]
    order = tuple(int(pair) for pair in best[np.argsort(policy.costs[best], kind="stable")])
    cheapest = int(np.lexsort((-policy.accuracy, policy.costs))[0])
    strongest = tuple(dict.fromkeys((cheapest, *(int(pair) for pair in best))))
    return {
        "cascade: best three until two agree": Cascade(order, 2, 2.0),
        f"cascade: cheapest, then the best until {SURE:g} sure": Cascade(strongest[:3], 0, SURE),
    }


class Interval(NamedTuple):
    """A mean and its 95 % bootstrap interval over questions, in points."""

    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        """Such as `+1.2 [+0.3, +2.1]`."""
        return f"{self.mean:+.1f} [{self.low:+.1f}, {self.high:+.1f}]"


def interval(values: Matrix) -> Interval:
    """Of (n,) values in [−1, 1], by bootstrap over the n questions."""
    means = _resamples(len(values)) @ values.astype(np.float32)
    low, high = np.quantile(means, [0.025, 0.975])
    return Interval(*(100 * float(value) for value in (values.mean(), low, high)))


@lru_cache(maxsize=2)
def _resamples(n: int, draws: int = 2000, seed: int = 0) -> NDArray[np.float32]:
    """(draws, n) share of each question in a sample of n with replacement.

    The same for every interval over n questions, so that it is drawn once.
    """
    random = np.random.default_rng(seed)
    shares = np.empty((draws, n), np.float32)
    for draw in range(draws):
        shares[draw] = np.bincount(random.integers(0, n, n), minlength=n) / n
    return shares


def macro(score: Matrix, datasets: tuple[str, ...]) -> float:
    """Mean over datasets of the mean in each, in points."""
    of = np.array(datasets)
    return 100 * float(np.mean([score[of == name].mean() for name in sorted(set(datasets))]))
