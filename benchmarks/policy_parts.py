"""The parts of the benchmark of policies: each is measured alone and kept as JSON.

A part is one table in distribution, or one table with one dataset left out. What it measured lies
in a file, with the settings it was measured with, so that a run goes on where it was stopped and
the page is written anew without measuring again.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.policy_trials import PRICES, Questions, Stage, Trial, interval, macro
from profiles.policies.policy import POLICY
from profiles.profile import Profile
from profiles.routers.base import Router
from tasks.embedder import CachedEmbedder
from tasks.evaluate.budget import QueryBudget, cascade_within, hybrid_within, price_within
from tasks.evaluate.fit import Knowledge
from tasks.evaluate.multi_step import recorded_keys
from tasks.evaluate.router_names import read_routers
from tasks.evaluate.table import LEFT_OUT, TRAIN, OutcomeTable, read_table, recorded_pool
from tasks.evaluate.training import leave_out
from tasks.learn.fit_policy import Fitted, PolicySettings, fit_policy, train_networks
from tasks.learn.recorded import comparable
from tasks.learn.rollout import Played

Matrix = NDArray[np.float64]
Say = Callable[[str], None]
Found = dict[str, Any]
"""What a part measured, as JSON has it."""
CLUSTERS = "cluster@16"
SHOWN = 3
"""Number of the price that accuracy, cost and calls are shown at."""
BUDGETS = {"tatqa": 1.9, "routerbench": 0.58}
"""Budgets that are looked for on train: calls a question, or the share of the dearest pair's
dollars. A little below what is wanted on test, for a budget that is met on train is met on test
up to chance."""


@dataclass(frozen=True, slots=True)
class Bench:
    """What is measured, and with what.

    Attributes:
        outcomes: folder of the tables.
        seeds: of everything that multi-step strategies learn.
        cluster_seeds: of the cluster router's KMeans.
        settings: of the fits, whatever estimator and seed.
    """

    outcomes: Path
    seeds: int = 3
    cluster_seeds: int = 10
    settings: PolicySettings = field(default_factory=PolicySettings)

    @property
    def fingerprint(self) -> str:
        """Of everything that changes what a part measures, but the code."""
        words = f"{self.cluster_seeds} {self.settings}"
        return hashlib.sha256(words.encode()).hexdigest()[:12]


def kept(path: Path, bench: Bench, measure: Callable[[], Found], say: Say) -> Found:
    """What a part measured: from its file, or measured now and written there.

    Args:
        path: of the part's JSON file.
        bench: a file that was measured with another one is measured anew.
        measure: takes a while.
        say: told how long it took.
    """
    if path.exists():
        found: Found = json.loads(path.read_text(encoding="utf-8"))
        if found["bench"] == bench.fingerprint:
            return found
    began, clock = time.process_time(), time.monotonic()
    found = {"bench": bench.fingerprint, **measure()}
    found["cpu_s"] = round(time.process_time() - began, 1)
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(".new")
    fresh.write_text(json.dumps(found, indent=1), encoding="utf-8")
    fresh.replace(path)
    say(f"{path.stem}: {found['cpu_s']:.0f} s of one core, {time.monotonic() - clock:.0f} s in all")
    return found


@dataclass(frozen=True, slots=True)
class Ground:
    """A table with its profile and the questions to play."""

    table: OutcomeTable
    profile: Profile
    questions: Questions
    keys: NDArray[np.int64]
    """Of the training questions."""

    @property
    def comparable(self) -> bool:
        """Whether there are answers to compare."""
        assert self.profile.train is not None
        return comparable(self.keys, self.profile.train.scores)

    def fit(self, settings: PolicySettings, say: Say) -> Fitted:
        """A policy on the training questions, as `atlas evaluate` fits it."""
        return fit_policy(self.profile, self.keys, settings, say)


def ground(table: OutcomeTable, split: str, embedder: CachedEmbedder, seed: int = 0) -> Ground:
    """Profile a table's training questions, the way `atlas evaluate` does for `hybrid`."""
    (choice,) = read_routers(["hybrid"], seed=seed)
    profile = Knowledge(table, recorded_pool(table), embedder).profile(choice)
    assert profile.train is not None
    keys = recorded_keys(table, table.outcomes, profile.train.query_ids)
    return Ground(table, profile, Questions(table, split, profile, embedder), keys)


def cluster_routers(at: Ground, embedder: CachedEmbedder, seeds: int) -> list[Router]:
    """The cluster router from each seed of its KMeans."""
    routers = []
    for seed in range(seeds):
        (choice,) = read_routers([CLUSTERS], seed=seed)
        own = Knowledge(at.table, recorded_pool(at.table), embedder).profile(choice)
        routers.append(choice.build(own))
    return routers


def one_step(at: Ground, clusters: Sequence[Router]) -> dict[str, Trial]:
    """Every router that calls one pair; clusters are the mean over their seeds."""
    questions, profile = at.questions, at.profile
    found = {"random": questions.random()}
    for name in ("best-single", "knn", "predictor", "auto"):
        (choice,) = read_routers([name])
        found[name] = questions.over_prices(choice.build(profile))
    found["cluster"] = Trial.mean([questions.over_prices(router) for router in clusters])
    found["dataset look-up"] = questions.dataset_best(profile)
    found["oracle"] = questions.oracle()
    return found


class Grounds:
    """Tables in distribution; the last one asked for is kept, for its profile takes a while."""

    def __init__(self, bench: Bench, embedder: CachedEmbedder) -> None:
        self._bench = bench
        self._embedder = embedder
        self._held: tuple[str, Ground] | None = None

    def __getitem__(self, name: str) -> Ground:
        """A table by its name."""
        if self._held is None or self._held[0] != name:
            table = read_table(self._bench.outcomes / name)
            self._held = name, ground(table, "test", self._embedder)
        return self._held[1]


def measure_one_step(bench: Bench, name: str, grounds: Grounds, embedder: CachedEmbedder) -> Found:
    """What does not depend on the seed of a policy: routers that call one pair, and majority."""
    at = grounds[name]
    clusters = cluster_routers(at, embedder, bench.cluster_seeds)
    trials = one_step(at, clusters)
    if at.comparable:
        trials["majority"] = at.questions.majority(at.profile)
    found = {
        "table": name,
        "comparable": at.comparable,
        "unit_usd": at.questions.unit_usd,
        "datasets": at.questions.datasets,
        "trials": {key: trial.plain() for key, trial in trials.items()},
    }
    if name in BUDGETS:
        train = Questions(at.table, TRAIN, at.profile, embedder)
        runs = [_cluster_within(at, router, train, BUDGETS[name]) for router in clusters]
        found["cluster_within"] = np.mean(runs, axis=0).tolist()
    return found


def measure_seed(bench: Bench, name: str, seed: int, grounds: Grounds) -> Found:
    """Everything that is learnt of answers, from one seed; nothing where there are none."""
    at = grounds[name]
    if not at.comparable:
        return {"trials": {}}
    settings = replace(bench.settings, seed=seed)
    fitted = at.fit(settings, lambda _text: None)
    stage = Stage(at.questions, at.profile, fitted)
    trials = stage.strategies()
    ppo, seconds = _ppo(fitted, settings)
    trials["policy-ppo"] = Stage(at.questions, at.profile, ppo).learnt()
    found = {
        "trials": {key: trial.plain() for key, trial in trials.items()},
        "ppo_s": seconds,
        "took": [point.strategy for point in fitted.policy.points],
    }
    if name in BUDGETS:
        found["within"] = {
            key: [one.score.tolist(), one.cost.tolist(), one.calls.tolist()]
            for key, one in _within(name, fitted, stage).items()
        }
    return found


def summary_of_table(name: str, alone: Found, seeds: Sequence[Found]) -> Found:
    """One table in distribution, over all seeds."""
    trials = {key: [Trial.of(plain)] for key, plain in alone["trials"].items()}
    for one in seeds:
        for key, plain in one["trials"].items():
            trials.setdefault(key, []).append(Trial.of(plain))
    if not alone["comparable"]:
        trials["hybrid"] = trials["auto"]
    datasets = tuple(alone["datasets"])
    found = {
        "table": name,
        "comparable": alone["comparable"],
        "seconds": [one["ppo_s"] for one in seeds if "ppo_s" in one],
        "took": [one["took"] for one in seeds if "took" in one],
        "cpu_s": alone["cpu_s"] + sum(one["cpu_s"] for one in seeds),
        **summary(datasets, alone["unit_usd"], trials),
    }
    if seeds and "within" in seeds[0]:
        clusters = np.array(alone["cluster_within"])
        budget = _budget_summary(datasets, clusters, [one["within"] for one in seeds])
        words = str(_budget(name, alone["unit_usd"]))
        found["budget"] = {"words": words, "rows": budget}
    return found


def _ppo(fitted: Fitted, settings: PolicySettings) -> tuple[Fitted, float]:
    """The same policy with networks that PPO trained, and the seconds of one network."""
    began = time.process_time()
    network = train_networks(fitted.environment, replace(settings, estimator="ppo"), settings.seed)
    policy = replace(fitted.policy, networks=(network,))
    return replace(fitted, policy=policy), time.process_time() - began


def summary(datasets: tuple[str, ...], unit_usd: float, trials: Mapping[str, list[Trial]]) -> Found:
    """Figures of every strategy, in points; gains are paired by question."""
    means = {name: Trial.mean(list(found)) for name, found in trials.items()}
    rows = {}
    for name, trial in means.items():
        utility = trial.utility()
        rows[name] = {
            "macro": [macro(score, datasets) for score in trial.score],
            "micro": [interval(score) for score in trial.score],
            "cost": trial.cost.mean(axis=1).tolist(),
            "calls": trial.calls.mean(axis=1).tolist(),
            "utility": interval(utility),
            "by_price": (100 * (trial.score - np.array(PRICES)[:, None] * trial.cost))
            .mean(axis=1)
            .tolist(),
            "seeds": [100 * float(one.utility().mean()) for one in trials[name]],
            "gains": {
                other: interval(utility - means[other].utility())
                for other in ("best-single", "cluster", "cascade", "policy")
                if other in means and other != name
            },
        }
    return {"n": len(datasets), "unit_usd": unit_usd, "rows": rows}


def _budget(name: str, unit_usd: float) -> QueryBudget:
    limit = BUDGETS[name]
    if np.isnan(unit_usd):
        return QueryBudget(max_calls=limit)
    return QueryBudget(max_cost_usd=Decimal(f"{limit * unit_usd:.9f}"))


def _within(name: str, fitted: Fitted, stage: Stage) -> dict[str, Played]:
    """Strategies at the budget, fitted to it on train."""
    budget = _budget(name, fitted.recorded.cost_unit_usd)
    longest = PolicySettings().cascade_pairs
    strategy, price, _ = hybrid_within(fitted, budget, longest)
    own, _ = price_within(fitted, POLICY, budget)
    return {
        "cascade": stage.play(cascade_within(fitted, budget, longest)[0]),
        "policy": stage.play(fitted.policy.strategy(POLICY, own)),
        "hybrid": stage.guarded(strategy, price),
    }


def _budget_summary(datasets: tuple[str, ...], clusters: Matrix, found: Sequence[Found]) -> Found:
    """Against the cluster router at the same budget, the mean of its seeds."""
    rows = {}
    for key in found[0]:
        runs = np.array([one[key] for one in found])
        score, cost, calls = runs.mean(axis=0)
        rows[key] = {
            "micro": interval(score),
            "macro": macro(score, datasets),
            "cost": float(cost.mean()),
            "calls": float(calls.mean()),
            "seeds": runs.mean(axis=2).tolist(),
            "gain": interval(score - clusters[0]),
        }
    rows["cluster"] = {
        "micro": interval(clusters[0]),
        "macro": macro(clusters[0], datasets),
        "cost": float(clusters[1].mean()),
        "calls": 1.0,
    }
    return rows


def _cluster_within(
    at: Ground, router: Router, train: Questions, share: float
) -> tuple[Matrix, Matrix]:
    """(n,) scores and costs of a cluster router at the smallest price that fits on train.

    Without costs it takes one call, whatever the price.
    """
    grid = (PRICES[0] / 1e3, *np.geomspace(PRICES[0], PRICES[-1], 40).tolist())
    price = grid[0]
    if train.priced:
        fits = (one for one in grid if train.routed(router, one).cost.mean() <= share)
        price = next(fits, grid[-1])
    played = at.questions.routed(router, price)
    return played.score, played.cost


def measure_left_out(bench: Bench, name: str, dataset: str, embedder: CachedEmbedder) -> Found:
    """One dataset left out of everything that is learnt, then played whole; one seed."""
    table = leave_out(read_table(bench.outcomes / name), dataset)
    at = ground(table, LEFT_OUT, embedder)
    trials = {key: [trial] for key, trial in one_step(at, cluster_routers(at, embedder, 3)).items()}
    if at.comparable:
        fitted = at.fit(bench.settings, lambda _text: None)
        stage = Stage(at.questions, at.profile, fitted)
        trials |= {key: [trial] for key, trial in stage.strategies().items()}
    else:
        trials["hybrid"] = trials["auto"]
    found = summary(at.questions.datasets, at.questions.unit_usd, trials)
    return found | {"table": name, "dataset": dataset, "comparable": at.comparable}
