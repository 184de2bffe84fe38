"""Our two estimators against Stable-Baselines3's PPO: steps a second, and time to a good policy.

Same questions, network, masks, horizon, minibatch, passes and constants, one thread, in one run by
turns. Only in the race to a good policy do we use what theirs has not, first iterations of few
episodes. Seconds are processor seconds of that one thread: on an idle machine that is wall time, on
a busy one it is what wall time would have been.

How many environments Stable-Baselines3 steps, and how, is the user's choice. Three are measured:

    8 environments     the setup of its documentation: single environments, one after the other
    512 environments   the same, as many as make one step of each an episode step of ours
    our environment    all episodes stepped at once by our own batched environment

    pip install 'atlas-routing[bench]'
    python -m benchmarks.ppo_throughput [--quick] [--seeds 5]

The table is routerbench, from `../shared/data` beside the repository or under the folder that
`ATLAS_SHARED` names; a generated one where there is none, and with `--quick`.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from benchmarks import toy
from benchmarks.acceptance import Line
from profiles.policies.lattice import build_lattice
from profiles.policies.network import PolicyNetwork
from tasks.learn.environment import Environment, observe
from tasks.learn.exact_gradient import ExactGradient, ExactTraining
from tasks.learn.ppo import PPO, PPOTraining
from tasks.learn.recorded import RecordedAnswers
from tasks.learn.training import Estimator, Loop, Metrics, learning_rows, train, utilities

REPOSITORY = Path(__file__).resolve().parents[1]
TABLE = "routerbench"
THEIRS = {"8 environments": 8, "512 environments": 512, "our environment": 0}
FASTER, SOONER = 2.0, 5.0

Good = Callable[[PolicyNetwork], bool]


class Reached(Exception):  # noqa: N818 - the end of a race, not an error
    """A policy is good enough."""


class Watched:
    """An estimator with a stopwatch, which stops while its network is judged.

    Args:
        inner: the estimator.
        good: whether a network is good enough.
        every: iterations between two judgements.
    """

    def __init__(self, inner: Estimator, good: Good, every: int) -> None:
        self._inner, self._good, self._every = inner, good, every
        self.seconds = 0.0

    @property
    def settings(self) -> object:
        return self._inner.settings

    @property
    def iterations(self) -> int:
        return self._inner.iterations

    def weights(self, network: PolicyNetwork) -> list[torch.nn.Parameter]:
        return self._inner.weights(network)

    def iterate(
        self, network: PolicyNetwork, optimizer: torch.optim.Optimizer, iteration: int
    ) -> Metrics:
        started = time.process_time()
        metrics = self._inner.iterate(network, optimizer, iteration)
        self.seconds += time.process_time() - started
        if iteration % self._every == 0 and self._good(network):
            raise Reached
        return metrics


class Time(NamedTuple):
    """How long a training took to a good policy; all of it where it found none."""

    seconds: float
    reached: bool


def our_time(environment: Environment, settings: ExactTraining | PPOTraining, good: Good) -> Time:
    """Of one of our estimators."""
    inner: Estimator
    if isinstance(settings, ExactTraining):
        inner, every, schedule = ExactGradient(environment, settings), 5, "one_cycle"
        decay = settings.weight_decay
    else:
        inner, every, schedule, decay = PPO(environment, settings), 1, "falling", 0.0
    watched = Watched(inner, good, every)
    loop = Loop(
        settings.network, settings.learning_rate, decay, schedule,
        validation=settings.validation, looks=1, prices=settings.prices, seed=settings.seed,
    )  # fmt: skip
    try:
        train(environment, watched, loop)
    except Reached:
        return Time(watched.seconds, reached=True)
    return Time(watched.seconds, reached=False)


def their_time(environment: Environment, settings: PPOTraining, good: Good, singly: int) -> Time:
    """Of Stable-Baselines3's PPO."""
    from benchmarks.sb3_router import Between, baseline

    model, steps = baseline(environment, settings, singly=singly)
    judging, found = 0.0, False

    def between(network: PolicyNetwork, _done: int) -> bool:
        nonlocal judging, found
        started = time.process_time()
        found = good(network)
        judging += time.process_time() - started
        return not found

    started = time.process_time()
    model.learn(steps * settings.iterations, callback=Between(settings, between))
    return Time(time.process_time() - started - judging, reached=found)


def throughput(environment: Environment, settings: PPOTraining, rounds: int) -> dict[str, float]:
    """Median environment steps a second in training, everybody once a round.

    Ours begins with as many episodes as it goes on with: minibatches are then as long as theirs.
    """
    from benchmarks.sb3_router import baseline

    settings = replace(settings, first_episodes=settings.episodes)
    estimator = PPO(environment, settings)
    torch.manual_seed(settings.seed)
    network = PolicyNetwork(settings.network)
    optimizer = torch.optim.AdamW(
        estimator.weights(network), settings.learning_rate, weight_decay=0.0, fused=True
    )
    models = {name: baseline(environment, settings, singly=n) for name, n in THEIRS.items()}
    found: dict[str, list[float]] = {name: [] for name in ("ours", *models)}
    for turn in range(rounds + 1):
        started = time.process_time()
        steps = estimator.iterate(network, optimizer, turn + 1)["steps"]
        found["ours"].append(steps / (time.process_time() - started))
        for name, (model, taken) in models.items():
            started = time.process_time()
            model.learn(taken, reset_num_timesteps=False)
            found[name].append(taken / (time.process_time() - started))
    # The first round warms up.
    return {name: float(np.median(values[1:])) for name, values in found.items()}


def generated() -> Environment:
    """Six pairs, four calls: of rising skill and price, wrong answers agree now and then."""
    random = np.random.default_rng(0)
    n, pairs = 1500, 6
    skill = np.linspace(0.4, 0.8, pairs)
    scores = (random.random((n, pairs)) < skill).astype(float)
    keys = np.where(scores > 0, 0, random.integers(1, 4, (n, pairs)))
    costs = np.broadcast_to(np.linspace(0.1, 1.0, pairs), (n, pairs)).copy()
    recorded = RecordedAnswers(
        keys.astype(np.int64), scores, costs, np.broadcast_to(skill, (n, pairs)).copy(),
        random.normal(size=(n, 8)), skill, np.full(pairs, 0.02), np.eye(pairs), 1.0,
    )  # fmt: skip
    lattice = build_lattice(pairs, 4)
    return Environment(recorded, lattice, observe(recorded, lattice, toy.Vote()))


def routerbench(folder: Path) -> Environment:
    """The table's training questions as `atlas evaluate` learns from them."""
    from tasks.embedder import cached_embedder
    from tasks.evaluate.fit import Knowledge
    from tasks.evaluate.multi_step import recorded_keys
    from tasks.evaluate.router_names import read_routers
    from tasks.evaluate.table import read_table, recorded_pool
    from tasks.learn.fit_policy import PolicySettings, fit_policy

    table = read_table(folder)
    embed = cached_embedder(REPOSITORY / "warehouse" / "data", "minilm", dtype="float32")
    profile = Knowledge(table, recorded_pool(table), embed).profile(read_routers(["auto"])[0])
    assert profile.train is not None
    keys = recorded_keys(table, table.outcomes, profile.train.query_ids)
    # The environment alone is wanted: one epoch, and no cross-fitting.
    settings = PolicySettings(folds=0, exact=ExactTraining(epochs=1))
    return fit_policy(profile, keys, settings).environment


class Race(NamedTuple):
    """Seconds to a good policy on one problem, a list over seeds each."""

    what: str
    times: dict[str, list[Time]]

    def median(self, name: str) -> float:
        """Seconds; a training that never got there counts with all of its time."""
        return float(np.median([one.seconds for one in self.times[name]]))


def race_on_toy(seeds: int, theirs: dict[str, int]) -> Race:
    """To 99 % of the optimal return."""
    environment = toy.environment()
    every = np.arange(len(environment.recorded))

    def good(network: PolicyNetwork) -> bool:
        mean = float(utilities(network, environment, every, toy.PRICES).mean())
        return mean >= toy.SHARE * toy.optimum()

    times: dict[str, list[Time]] = {}
    for seed in range(seeds):
        _race(environment, toy.EXACT, toy.PPO, seed, good, theirs, times)
    return Race("99 % of the toy's optimal return", times)


def race_on_table(environment: Environment, name: str, seeds: int, theirs: dict[str, int]) -> Race:
    """To 95 % of the validation utility at which the exact gradient ends."""
    times: dict[str, list[Time]] = {}
    for seed in range(seeds):
        exact = ExactTraining(epochs=40, seed=seed)
        _, hold = learning_rows(environment, exact.validation, seed)
        loop = Loop(
            exact.network, exact.learning_rate, exact.weight_decay, looks=1, seed=seed
        )  # fmt: skip
        final = train(environment, ExactGradient(environment, exact), loop)
        wanted = 0.95 * float(utilities(final, environment, hold).mean())

        def good(network: PolicyNetwork, rows: np.ndarray = hold, at: float = wanted) -> bool:
            return float(utilities(network, environment, rows).mean()) >= at

        _race(environment, exact, PPOTraining(), seed, good, theirs, times)
    return Race(f"95 % of the final validation utility on {name}", times)


def _race(
    environment: Environment,
    exact: ExactTraining,
    ppo: PPOTraining,
    seed: int,
    good: Good,
    theirs: dict[str, int],
    times: dict[str, list[Time]],
) -> None:
    exact, ppo = replace(exact, seed=seed), replace(ppo, seed=seed)
    runs: dict[str, Callable[[], Time]] = {
        "exact": lambda: our_time(environment, exact, good),
        "ppo": lambda: our_time(environment, ppo, good),
    }
    for name, singly in theirs.items():
        runs[name] = lambda singly=singly: their_time(environment, ppo, good, singly)  # type: ignore[misc]
    for name, run in runs.items():
        one = run()
        times.setdefault(name, []).append(one)
        end = "" if one.reached else ", not reached"
        print(f"  seed {seed}  {name:18} {one.seconds:7.2f} s{end}", flush=True)


def speed_lines(found: dict[str, float]) -> list[Line]:
    """Against single environments it counts; our environment given to them is a stretch."""
    return [
        Line(
            f"steps a second against Stable-Baselines3, {name}",
            f"{found['ours']:,.0f} and {found[name]:,.0f}: {found['ours'] / found[name]:.2f} ×",
            f"≥ {FASTER:.1f} ×",
            found["ours"] >= FASTER * found[name],
            stretch=name == "our environment",
        )
        for name in THEIRS
    ]


def race_lines(race: Race) -> list[Line]:
    """The better of our two estimators; our environment given to them is a stretch."""
    best = min(("exact", "ppo"), key=race.median)
    return [
        Line(
            f"seconds to {race.what}, {best} against Stable-Baselines3, {name}",
            f"{race.median(best):.2f} and {race.median(name):.2f}:"
            f" {race.median(name) / race.median(best):.1f} ×",
            f"≥ {SOONER:.1f} ×",
            race.median(name) >= SOONER * race.median(best)
            and all(one.reached for one in race.times[best]),
            stretch=name == "our environment",
        )
        for name in race.times
        if name in THEIRS
    ]


def main() -> int:
    """Print every figure and a verdict a line; 1 if any was missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ppo_throughput")
    parser.add_argument("--quick", action="store_true", help="one seed, a generated table")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=6)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    seeds = 1 if arguments.quick else arguments.seeds
    shared = Path(os.environ.get("ATLAS_SHARED") or REPOSITORY.parent / "shared") / "data"
    folder = shared / "outcomes" / TABLE
    recorded = folder.exists() and not arguments.quick
    environment = routerbench(folder) if recorded else generated()
    name = TABLE if recorded else "a generated table"
    print(f"{name}: {len(environment.recorded):,} questions, {environment.lattice.pairs} pairs")
    speed = throughput(environment, PPOTraining(), arguments.rounds)
    for who, rate in speed.items():
        print(f"  {who:18} {rate:8,.0f} steps a second", flush=True)
    theirs = {who: n for who, n in THEIRS.items() if who != "512 environments"}
    print("toy, seconds to 99 % of the optimal return")
    lines = speed_lines(speed) + race_lines(race_on_toy(seeds, theirs))
    print(f"{name}, seconds to 95 % of the final validation utility")
    lines += race_lines(race_on_table(environment, name, seeds, theirs))
    for line in lines:
        print(f"{line.verdict:12} {line.what}: {line.found}, wanted {line.wanted}")
    return int(any(line.verdict == "MISS" for line in lines))


if __name__ == "__main__":
    sys.exit(main())
