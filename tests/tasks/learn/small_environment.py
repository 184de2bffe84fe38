"""Environments small enough to check by hand, and trainings of a second."""

from __future__ import annotations

import numpy as np
import torch

from profiles.policies.aggregator import Aggregator
from profiles.policies.lattice import build_lattice
from profiles.policies.network import NetworkSettings
from tasks.learn.environment import Environment, observe
from tasks.learn.exact_gradient import ExactTraining
from tasks.learn.ppo import PPOTraining
from tasks.learn.recorded import RecordedAnswers

SMALL = NetworkSettings(hidden=8, dropout=0.0)
EXACT = ExactTraining(network=NetworkSettings(hidden=8), epochs=3, batch=8)
PPO = PPOTraining(network=SMALL, iterations=6, episodes=16, batch=16, epochs=2)


def small_answers(n: int = 20, pairs: int = 3, seed: int = 0) -> RecordedAnswers:
    """A right answer is key 0; wrong ones are drawn from two others, some calls fail."""
    random = np.random.default_rng(seed)
    skill = np.linspace(0.4, 0.8, pairs)
    scores = (random.random((n, pairs)) < skill).astype(float)
    keys = np.where(scores > 0, 0, random.integers(1, 3, (n, pairs)))
    keys[random.random((n, pairs)) < 0.1] = -1
    scores[keys < 0] = 0.0
    return RecordedAnswers(
        keys.astype(np.int64), scores, random.uniform(0.1, 1.0, (n, pairs)),
        np.clip(skill + random.normal(0, 0.1, (n, pairs)), 0.05, 0.95),
        random.normal(size=(n, 8)), skill, np.full(pairs, 0.05), np.eye(pairs), 0.01,
    )  # fmt: skip


def small_environment(
    n: int = 20, pairs: int = 3, calls: int = 2, seed: int = 0, *, without: tuple[int, int] = ()
) -> Environment:
    """Optionally one (question, pair) without an outcome."""
    recorded = small_answers(n, pairs, seed)
    if without:
        recorded.scores[without] = np.nan
    lattice = build_lattice(pairs, calls)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        aggregator = Aggregator()
    return Environment(recorded, lattice, observe(recorded, lattice, aggregator))
