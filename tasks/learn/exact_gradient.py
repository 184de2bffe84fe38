"""The exact policy gradient: every called set and every action, nothing sampled.

With the policy π and the value V of the lattice of called sets,

    V(s) = π(answer|s)·r(s) + Σ_p π(p|s)·[V(s ∪ p) − price·cost_p] + β·H(π(·|s)),

computed from the largest sets down, the gradient of the mean of V(∅) follows by automatic
differentiation. The mean over all sets that calls can lead to is added with a weight, as if a share
of the episodes began there, so that those which the policy does not reach yet are learnt about as
well.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch

from profiles.policies.network import NetworkSettings, PolicyNetwork
from tasks.learn.training import PRICES, Loop, Metrics, learning_rows, random_log_prices, train

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from torch import Tensor

    from tasks.learn.environment import Environment
    from tasks.learn.training import Look


_SMALLEST_BATCH = 8


@dataclass(frozen=True, slots=True)
class ExactTraining:
    """Constants of the exact estimator.

    Attributes:
        batch: questions a step, fewer where the questions are so few that `least_steps` would not
            be reached: after 160 steps on 270 questions a policy still calls all it may.
        entropy: weight β of the entropy bonus, falling to 0.
        restart: weight of the mean value over all reachable sets, beside that of the empty set.
    """

    network: NetworkSettings = field(default_factory=NetworkSettings)
    epochs: int = 24
    batch: int = 64
    least_steps: int = 400
    learning_rate: float = 2e-3
    weight_decay: float = 1e-2
    entropy: float = 0.02
    restart: float = 0.3
    gradient_norm: float = 1.0
    prices: tuple[float, float] = PRICES
    validation: float = 0.2
    seed: int = 0


def train_exact(
    environment: Environment,
    training: ExactTraining | None = None,
    *,
    checkpoint: Path | None = None,
    report: Callable[[Look], None] = lambda _look: None,
) -> PolicyNetwork:
    """Train a policy for all prices at once; see `tasks.learn.training.train` for which is kept.

    Args:
        environment: of training questions, observed out of fold.
        training: constants.
        checkpoint: file to go on from and to write; None keeps none.
        report: told at every look at validation.

    Raises:
        CheckpointError: the checkpoint is damaged or belongs to another training.
        ValueError: fewer than two questions have a pair that can be called.
    """
    training = training or ExactTraining()
    loop = Loop(
        network=training.network,
        learning_rate=training.learning_rate,
        weight_decay=training.weight_decay,
        validation=training.validation,
        prices=training.prices,
        seed=training.seed,
        checkpoint=checkpoint,
    )
    return train(environment, ExactGradient(environment, training), loop, report)


class ExactGradient:
    """The estimator: one step of gradient a minibatch of questions, nothing sampled but them."""

    def __init__(self, environment: Environment, training: ExactTraining) -> None:
        self.settings = training
        self._environment = environment
        learn, _ = learning_rows(environment, training.validation, training.seed)
        self._rows = torch.from_numpy(learn)
        enough = len(learn) // -(-training.least_steps // training.epochs)
        self._batch = min(training.batch, max(_SMALLEST_BATCH, enough), len(learn))

    @property
    def iterations(self) -> int:
        """How many there are."""
        return self.settings.epochs * max(1, len(self._rows) // self._batch)

    def weights(self, network: PolicyNetwork) -> list[torch.nn.Parameter]:
        """All of the network's, one by one."""
        return list(network.parameters())

    def iterate(
        self, network: PolicyNetwork, optimizer: torch.optim.Optimizer, iteration: int
    ) -> Metrics:
        """One minibatch of questions, in every called set."""
        training = self.settings
        rows = self._rows[torch.randperm(len(self._rows))[: self._batch]]
        log_price = random_log_prices(len(rows), training.prices)
        network.train()
        scores = network(self._environment.everywhere(rows, log_price))
        bonus = training.entropy * (1 - iteration / self.iterations)
        values, entropy = lattice_values(
            self._environment, rows, scores.log_policy, log_price.exp(), bonus
        )
        everywhere = values[reachable(self._environment, rows)].mean()
        loss = -(values[:, 0].mean() + training.restart * everywhere)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        norm = torch.nn.utils.clip_grad_norm_(network.parameters(), training.gradient_norm)
        optimizer.step()
        return {
            "mean_return": float(values[:, 0].detach().mean()),
            "entropy": float(entropy.detach().mean()),
            "gradient_norm": float(norm),
        }


def reachable(environment: Environment, rows: Tensor) -> Tensor:
    """(B, S) whether each set holds only pairs that can be called on the question."""
    members = torch.from_numpy(environment.lattice.members)
    return ~(members & ~environment.available[rows][:, None, :]).any(dim=2)


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
