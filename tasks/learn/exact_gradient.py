"""The exact policy gradient: every called set and every action, nothing sampled.

With the policy π and the value V of the lattice of called sets,

    V(s) = π(answer|s)·r(s) + Σ_p π(p|s)·[V(s ∪ p) − price·cost_p] + β·H(π(·|s)),

computed from the largest sets down, the gradient of the mean of V(∅) follows by automatic
differentiation. A share of the restarts begins in every other set too, so that sets which the
policy does not reach yet are learnt about as well.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

from profiles.policies.network import NetworkSettings, PolicyNetwork
from tasks.learn.rollout import greedy, play

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray
    from torch import Tensor

    from tasks.learn.environment import Environment

PRICES = (0.002, 0.3)
"""Range of prices that one training serves: points of accuracy for one unit of cost."""


@dataclass(frozen=True, slots=True)
class ExactTraining:
    """Constants of the exact estimator.

    Attributes:
        batch: questions a step.
        entropy: weight of the entropy bonus, falling to 0.
        restart: weight of the mean value over all sets, beside that of the empty set.
        validation: share of the questions held out for early stopping.
        checks: how often validation is looked at.
    """

    network: NetworkSettings = field(default_factory=NetworkSettings)
    epochs: int = 24
    batch: int = 64
    learning_rate: float = 2e-3
    weight_decay: float = 1e-2
    entropy: float = 0.02
    restart: float = 0.3
    gradient_norm: float = 1.0
    prices: tuple[float, float] = PRICES
    validation: float = 0.2
    checks: int = 12
    seed: int = 0


class Progress(NamedTuple):
    """One look at a training."""

    step: int
    steps: int
    value: float
    """Mean value of the empty set in the last batch."""
    entropy: float
    validation_utility: float
    """Mean over ten prices of the greedy policy's utility on the validation questions."""
    seconds: float


def train_exact(
    environment: Environment,
    training: ExactTraining | None = None,
    report: Callable[[Progress], None] = lambda _progress: None,
) -> PolicyNetwork:
    """Train a policy for all prices at once; the best on validation is returned.

    Args:
        environment: over training questions, observed out of fold.
        training: constants.
        report: told at every look at validation.
    """
    training = training or ExactTraining()
    learn, hold = split_rows(len(environment.recorded), training.validation, training.seed)
    with torch.random.fork_rng():
        torch.manual_seed(training.seed)
        network = PolicyNetwork(training.network)
        return _optimise(environment, network, learn, hold, training, report)


def _optimise(
    environment: Environment,
    network: PolicyNetwork,
    learn: NDArray[np.int64],
    hold: NDArray[np.int64],
    training: ExactTraining,
    report: Callable[[Progress], None],
) -> PolicyNetwork:
    began = time.perf_counter()
    steps = training.epochs * max(1, len(learn) // training.batch)
    optimizer = torch.optim.AdamW(
        network.parameters(), training.learning_rate, weight_decay=training.weight_decay
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, training.learning_rate, total_steps=steps
    )
    looks = {round(steps * (look + 1) / training.checks) for look in range(training.checks)}
    best, kept = -np.inf, network.state_dict()
    low, high = np.log(training.prices)
    order = np.random.default_rng(training.seed)
    for step in range(1, steps + 1):
        rows = torch.from_numpy(order.choice(learn, min(training.batch, len(learn)), replace=False))
        log_price = torch.empty(len(rows)).uniform_(float(low), float(high))
        network.train()
        scores = network(environment.everywhere(rows, log_price))
        bonus = training.entropy * (1 - step / steps)
        values, entropy = lattice_values(
            environment, rows, scores.log_policy, log_price.exp(), bonus
        )
        loss = -(values[:, 0].mean() + training.restart * values.mean())
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(network.parameters(), training.gradient_norm)
        optimizer.step()
        schedule.step()
        if step in looks:
            reached = mean_utility(network, environment, hold, training.prices)
            if reached > best:
                best = reached
                kept = {name: tensor.clone() for name, tensor in network.state_dict().items()}
            report(
                Progress(
                    step, steps, float(values[:, 0].detach().mean()),
                    float(entropy.detach().mean()), reached, time.perf_counter() - began,
                )
            )  # fmt: skip
    network.load_state_dict(kept)
    return network.eval()


def lattice_values(
    environment: Environment, rows: Tensor, log_policy: Tensor, price: Tensor, bonus: float
) -> tuple[Tensor, Tensor]:
    """Exact value of every set under the policy, and the policy's entropy there.

    Args:
        environment: says what answers earn and calls cost.
        rows: (B,) questions.
        log_policy: (B, S, P + 1), see `profiles.policies.network.Scores`.
        price: (B,) points of reward for one unit of cost.
        bonus: weight of the entropy.

    Returns:
        (B, S) values and (B, S) entropies.
    """
    lattice = environment.lattice
    policy = log_policy.exp()
    entropy = -(policy * log_policy.clamp(min=-50.0)).sum(dim=2)
    earned = policy[:, :, lattice.pairs] * environment.answer_reward[rows] + bonus * entropy
    paid = price[:, None] * environment.costs[rows]
    following: Tensor | None = None
    levels = []
    for calls in range(lattice.max_calls, -1, -1):
        level = lattice.level(calls)
        value = earned[:, level]
        if following is not None:
            after = environment.successor[level] - lattice.level(calls + 1).start
            then = following[:, after.clamp(min=0).flatten()].view(len(rows), *after.shape)
            value = value + (policy[:, level, : lattice.pairs] * (then - paid[:, None, :])).sum(2)
        levels.append(value)
        following = value
    return torch.cat(levels[::-1], dim=1), entropy


def split_rows(n: int, validation: float, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows to learn from and rows to stop by, drawn by seed."""
    order = np.random.default_rng(seed).permutation(n)
    held = max(1, round(n * validation))
    return np.sort(order[held:]), np.sort(order[:held])


def price_grid(prices: tuple[float, float] = PRICES, count: int = 10) -> NDArray[np.float64]:
    """Prices evenly apart in logarithm, both ends among them."""
    return np.exp(np.linspace(np.log(prices[0]), np.log(prices[1]), count))


def mean_utility(
    network: PolicyNetwork,
    environment: Environment,
    rows: NDArray[np.int64],
    prices: tuple[float, float] = PRICES,
) -> float:
    """Mean over ten prices of the greedy policy's mean utility."""
    reached = [
        play(environment, rows, greedy(network, environment, price)).utility(price)
        for price in price_grid(prices)
    ]
    return float(np.mean(reached))
