"""A toy backlog whose optimal policy is known: what do our two estimators reach of it?

Four pairs, three kinds of question. The kind can be read off the question, the outcome of a call
cannot be foreseen:

    compare    every pair is right three times in four, independently of the others, and wrong
               answers never agree: where two answers differ, a further call pays
    plain      the pairs without a tool are right, those with one never
    hopeless   all pairs give the same answer, which is right half of the time: nothing that a
               second call brings can change it, so the cheapest call is the last one

The optimum is computed by dynamic programming over everything that can be known: the kind, the
pairs called, and which of their answers are equal.

    python -m benchmarks.toy [--seeds 5]
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import replace
from functools import cache
from itertools import product
from typing import NamedTuple

import numpy as np
import torch

from profiles.policies.lattice import build_lattice
from profiles.policies.network import NetworkSettings
from profiles.policies.plurality import Plurality
from tasks.learn.environment import Environment, observe
from tasks.learn.exact_gradient import ExactTraining, train_exact
from tasks.learn.ppo import PPOTraining, train_ppo
from tasks.learn.recorded import RecordedAnswers
from tasks.learn.training import price_grid, utilities

PAIRS = ("small@@none", "small@@calculator", "large@@none", "large@@calculator")
COSTS = (0.1, 0.15, 0.6, 1.0)
KINDS = ("compare", "plain", "hopeless")
MAX_CALLS = 3
PRICES = (0.02, 0.2)
"""Range of prices that one training serves, in points of accuracy for one unit of cost."""
SHARE = 0.99
"""Of the optimal return that has to be reached."""
SECONDS = 60.0

NETWORK = NetworkSettings(dropout=0.0, components=len(KINDS))
EXACT = ExactTraining(network=NETWORK, prices=PRICES, epochs=24, learning_rate=5e-3)
PPO = PPOTraining(network=NETWORK, prices=PRICES, iterations=50, episodes=512, first_episodes=128)


class Vote(Plurality):
    """A plain vote where a trained judge is expected."""

    def eval(self) -> Vote:
        """There is nothing to switch."""
        return self


class Answers(NamedTuple):
    """Of every pair on every question."""

    keys: np.ndarray
    """(n, P) int64; equal numbers are equal answers."""
    scores: np.ndarray
    """(n, P) float64."""
    kinds: np.ndarray
    """(n,) number of the kind in `KINDS`."""


@cache
def answers() -> Answers:
    """Every combination of outcomes as often as its probability says: nothing is left to luck."""
    quarters = np.array(list(product((True, True, True, False), repeat=len(PAIRS))))
    alone = np.arange(1, len(PAIRS) + 1)
    compare = np.where(quarters, 0, alone)
    plain = np.broadcast_to(np.where([True, False, True, False], 0, alone), compare.shape)
    hopeless = np.zeros_like(compare)
    right = np.broadcast_to((np.arange(len(compare)) % 2 == 0)[:, None], compare.shape)
    return Answers(
        np.concatenate([compare, plain, hopeless]).astype(np.int64),
        np.concatenate([compare == 0, plain == 0, right]).astype(np.float64),
        np.repeat(np.arange(len(KINDS)), len(compare)),
    )


def environment() -> Environment:
    """The toy as a policy is trained on it; its judge is a plain vote."""
    keys, scores, kinds = answers()
    accuracy = scores.mean(axis=0)
    recorded = RecordedAnswers(
        keys=keys,
        scores=scores,
        costs=np.broadcast_to(COSTS, scores.shape).copy(),
        priors=np.broadcast_to(accuracy, scores.shape).copy(),
        components=2.0 * np.eye(len(KINDS))[kinds],
        accuracy=accuracy,
        accuracy_sd=np.full(len(PAIRS), 0.02),
        correlation=np.eye(len(PAIRS)),
        cost_unit_usd=1.0,
    )
    lattice = build_lattice(len(PAIRS), MAX_CALLS)
    return Environment(recorded, lattice, observe(recorded, lattice, Vote()))


def optimal_return(price: float) -> float:
    """The best mean of score − price × cost that any policy can reach, by dynamic programming.

    What a policy can know of a question is its kind and which of the answers gathered so far are
    equal. Questions that are alike in that are one state; its value is the larger of answering
    with the most frequent answer so far, the first of them where tied, and the best further call.
    """
    keys, scores, kinds = answers()

    def value(rows: np.ndarray, called: tuple[int, ...]) -> float:
        """Sum over questions that nothing told apart so far."""
        worths = []
        if called:
            votes = (keys[rows][:, called, None] == keys[rows][:, None, called]).sum(axis=2)
            leader = np.array(called)[votes.argmax(axis=1)]
            worths.append(scores[rows, leader].sum())
        for pair in set(range(len(PAIRS))) - set(called) if len(called) < MAX_CALLS else ():
            after = tuple(sorted((*called, pair)))
            worth = -price * COSTS[pair] * len(rows)
            worths.append(worth + sum(value(group, after) for group in told_apart(rows, after)))
        return float(max(worths))

    def told_apart(rows: np.ndarray, called: tuple[int, ...]) -> list[np.ndarray]:
        equal = keys[rows][:, called, None] == keys[rows][:, None, called]
        pattern = np.unique(equal.reshape(len(rows), -1), axis=0, return_inverse=True)[1]
        return [rows[pattern == number] for number in range(pattern.max() + 1)]

    groups = [np.flatnonzero(kinds == number) for number in range(len(KINDS))]
    return sum(value(group, ()) for group in groups) / len(keys)


@cache
def optimum() -> float:
    """The mean of `optimal_return` over ten prices."""
    return float(np.mean([optimal_return(float(price)) for price in price_grid(PRICES)]))


class Reached(NamedTuple):
    """What one training came to."""

    estimator: str
    seed: int
    share: float
    """Of the optimal return, the mean over ten prices."""
    seconds: float
    """Of one processor core: wall time, on a machine that is idle otherwise."""

    @property
    def passed(self) -> bool:
        """Whether that is enough."""
        return self.share >= SHARE and self.seconds < SECONDS


def train(estimator: str, seed: int) -> Reached:
    """Train by `exact` or `ppo` and play the greedy policy on every question."""
    toy = environment()
    started = time.process_time()
    if estimator == "exact":
        network = train_exact(toy, replace(EXACT, seed=seed))
    else:
        network = train_ppo(toy, replace(PPO, seed=seed))
    seconds = time.process_time() - started
    mean = utilities(network, toy, np.arange(len(toy.recorded)), PRICES).mean()
    return Reached(estimator, seed, float(mean) / optimum(), seconds)


def main() -> int:
    """Print a line a training; 1 if any missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.toy")
    parser.add_argument("--seeds", type=int, default=5)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    print(f"optimal return {100 * optimum():.2f}, the mean over ten prices")
    missed = 0
    for estimator in ("exact", "ppo"):
        for seed in range(arguments.seeds):
            one = train(estimator, seed)
            missed += not one.passed
            print(
                f"{'pass' if one.passed else 'MISS'}  {estimator:6} seed {seed}"
                f"  {100 * one.share:6.2f} % of the optimum  {one.seconds:5.1f} s",
                flush=True,
            )
    return int(missed > 0)


if __name__ == "__main__":
    sys.exit(main())
