"""What every strategy does on the test questions of one recorded table, at every price.

Played on matrices of recorded answers, without a ledger: `atlas evaluate` routes the same
strategies as backlogs. Everything is fitted and chosen on split `train`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from profiles.outcomes import outcome_matrices
from profiles.policies.strategies import Strategy
from profiles.profile import Profile
from profiles.routers.cluster import ClusterRouterSettings, routing_tables
from tasks.embedder import CachedEmbedder
from tasks.evaluate.fit import Knowledge
from tasks.evaluate.multi_step import VOTERS, QueryBudget, hybrid_within, recorded_keys
from tasks.evaluate.router_names import read_routers
from tasks.evaluate.table import OutcomeTable, read_table, recorded_pool
from tasks.learn.environment import Environment, observe
from tasks.learn.fit_policy import Fitted, PolicySettings, fit_policy
from tasks.learn.live import play_strategy
from tasks.learn.rollout import Played
from tasks.learn.training import price_grid

Matrix = NDArray[np.float64]
PRICES = tuple(float(price) for price in price_grid(count=10))
POLICIES = ("cascade", "policy", "policy-ppo", "hybrid")


class Trial(NamedTuple):
    """One strategy on n test questions at each of the prices; arrays are (prices, n)."""

    score: Matrix
    cost: Matrix
    """In units."""
    calls: Matrix

    def utility(self) -> Matrix:
        """(n,) mean over prices of score − price × cost."""
        price = np.array(PRICES)[:, None]
        mean: Matrix = (self.score - price * self.cost).mean(axis=0)
        return mean


class Trials(NamedTuple):
    """Every strategy on one table.

    Attributes:
        datasets: (n,) of the test questions.
        unit_usd: dollars of a unit of cost; NaN where a unit is a call.
        by_name: strategies at every price of the grid.
        budgeted: `hybrid` at the price that keeps a budget on train, by the budget's words.
    """

    table: str
    datasets: tuple[str, ...]
    unit_usd: float
    by_name: dict[str, Trial]
    budgeted: dict[str, Played]


def run_trials(
    folder: Path,
    embedder: CachedEmbedder,
    budgets: Callable[[float], tuple[QueryBudget, ...]],
    settings: PolicySettings,
    say: Callable[[str], None],
) -> Trials:
    """Fit everything on train, play everything on test.

    Args:
        folder: of the table.
        embedder: of its questions.
        budgets: from the dollars of a unit of cost to the budgets of `hybrid`.
        settings: of the fits, whatever the estimator.
        say: told in a sentence what is being done.
    """
    table = read_table(folder)
    (choice,) = read_routers(["auto"])
    knowledge = Knowledge(table, recorded_pool(table), embedder)
    profile = knowledge.profile(choice)
    assert profile.train is not None
    keys = recorded_keys(table, table.outcomes, profile.train.query_ids)
    say(f"{table.name}: exact gradient")
    exact = fit_policy(profile, keys, replace(settings, estimator="exact"))
    say(f"{table.name}: PPO")
    ppo = fit_policy(profile, keys, replace(settings, estimator="ppo", folds=0))
    test = _Test(table, profile, embedder, exact)
    by_name = {name: _over_prices(found) for name, found in test.one_step().items()}
    by_name["majority"] = _over_prices([test.majority()] * len(PRICES))
    for name in POLICIES:
        fitted = ppo if name == "policy-ppo" else exact
        environment = test.environment(fitted)
        kind = "policy" if name == "policy-ppo" else name
        by_name[name] = _over_prices(
            [test.play(environment, fitted.policy.strategy(kind, price)) for price in PRICES]
        )
    budgeted = {}
    for budget in budgets(exact.recorded.cost_unit_usd):
        strategy, _, _ = hybrid_within(exact, budget, settings.cascade_pairs)
        budgeted[str(budget)] = test.play(test.environment(exact), strategy)
    datasets = tuple(table.rows("test").get_column("dataset").to_list())
    return Trials(table.name, datasets, exact.recorded.cost_unit_usd, by_name, budgeted)


class _Test:
    """The test questions of a table, over all its pairs."""

    def __init__(
        self, table: OutcomeTable, profile: Profile, embedder: CachedEmbedder, fitted: Fitted
    ) -> None:
        rows = table.rows("test")
        ids = rows.get_column("query_id").to_list()
        self.texts = rows.get_column("text").to_list()
        self.embeddings = embedder(self.texts)
        self.profile = profile
        self.keys = recorded_keys(table, table.outcomes, ids)
        matrices = outcome_matrices(ids, table.outcomes, table.pairs)
        # An unscored outcome counts 0 when it is given as the answer.
        self.scores = np.nan_to_num(matrices.scores)
        unit = fitted.recorded.cost_unit_usd
        train = profile.train
        assert train is not None
        if np.isnan(unit):
            self.costs, self.means = np.ones(self.scores.shape), np.ones(len(table.pairs))
        else:
            self.means = np.nanmean(train.costs_usd, axis=0) / unit
            known = np.isfinite(matrices.costs_usd)
            self.costs = np.where(known, matrices.costs_usd / unit, self.means)

    def one_step(self) -> dict[str, list[Played]]:
        """Routers that call one pair, per price."""
        profile, n = self.profile, len(self.scores)
        places, distances = profile.clusters.assign(self.embeddings)
        beyond = profile.clusters.is_out_of_distribution(distances)
        table, _, _ = routing_tables(profile.statistics, ClusterRouterSettings())
        clusters = table[np.where(beyond, profile.k, places)]
        single = np.broadcast_to(np.nan_to_num(profile.train_micro), self.scores.shape)
        known = {"best-single": single, "cluster": clusters}
        if profile.predictor is not None:
            prediction = profile.predictor.predict(self.texts, self.embeddings)
            known["predictor (unguarded)"] = prediction.probability
        found = {
            name: [self._one((worth - price * self.means).argmax(axis=1)) for price in PRICES]
            for name, worth in known.items()
        }
        ones = np.ones(n)
        mean = Played(self.scores.mean(axis=1), self.costs.mean(axis=1), ones, -ones.astype(int))
        found["random"] = [mean] * len(PRICES)
        found["oracle"] = [
            self._one((self.scores - price * self.costs).argmax(axis=1)) for price in PRICES
        ]
        return found

    def majority(self) -> Played:
        """Plain vote of the three best pairs; ties to the better pair's answer."""
        best = np.argsort(-np.nan_to_num(self.profile.train_micro), kind="stable")[:VOTERS]
        keys = self.keys[:, best]
        votes = ((keys[:, :, None] == keys[:, None, :]) & (keys >= 0)[:, :, None]).sum(axis=2)
        leader = best[votes.argmax(axis=1)]
        at = np.arange(len(leader))
        calls = np.full(len(at), float(len(best)))
        return Played(self.scores[at, leader], self.costs[:, best].sum(axis=1), calls, leader)

    def environment(self, fitted: Fitted) -> Environment:
        """The test questions as a fitted policy sees them."""
        policy = fitted.policy
        index = self.profile.index()
        columns = np.array([index[pair] for pair in policy.pairs])
        priors = policy.priors(self.profile, self.texts, self.embeddings)
        recorded = replace(
            fitted.recorded,
            keys=self.keys[:, columns],
            scores=self.scores[:, columns],
            costs=self.costs[:, columns],
            priors=priors,
            components=policy.components.of(self.embeddings),
        )
        lattice = fitted.environment.lattice
        return Environment(recorded, lattice, observe(recorded, lattice, policy.aggregator))

    def play(self, environment: Environment, strategy: Strategy) -> Played:
        """Every test question by a strategy."""
        return play_strategy(environment, np.arange(len(self.scores)), strategy)

    def _one(self, column: NDArray[np.int64]) -> Played:
        at = np.arange(len(column))
        return Played(self.scores[at, column], self.costs[at, column], np.ones(len(at)), column)


def _over_prices(found: list[Played]) -> Trial:
    return Trial(
        np.stack([one.score for one in found]),
        np.stack([one.cost for one in found]),
        np.stack([one.calls for one in found]),
    )


def interval(values: Matrix, draws: int = 5000, seed: int = 0) -> tuple[float, float, float]:
    """Mean of (n,) values and its 95 % bootstrap interval."""
    means = np.sort([part.mean() for part in _resampled(values, draws, seed)])
    low, high = np.quantile(means, [0.025, 0.975])
    return float(values.mean()), float(low), float(high)


def _resampled(values: Matrix, draws: int, seed: int) -> Iterator[Matrix]:
    random = np.random.default_rng(seed)
    for _ in range(draws):
        yield values[random.integers(0, len(values), len(values))]
