"""Proximal policy optimisation with generalised advantages (Schulman et al., 2016 and 2017).

The paper's estimator, on sampled episodes of the exact environment. The objective of one minibatch:

    L = −mean(min(ρ·A, clip(ρ, 1 ± ε)·A)) + c_v·L_value − β·H,     ρ = π(a|s) / π_old(a|s),

with normalised advantages, a clipped value loss, masked actions, and a stop of the epoch loop once
the approximate KL divergence from the old policy passes its limit. There is no discount: an
episode is a handful of calls.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import torch

from profiles.policies.network import NetworkSettings, PolicyNetwork, Situation
from tasks.learn.exact_gradient import random_log_prices
from tasks.learn.training import PRICES, Loop, Metrics, split_rows, train

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from torch import Tensor

    from tasks.learn.environment import Environment
    from tasks.learn.training import Look


@dataclass(frozen=True, slots=True)
class PPOTraining:
    """Constants of PPO.

    Attributes:
        episodes: sampled per iteration, all under one policy.
        clip: ε of the ratio; `value_clip` of the value's change.
        gae: λ of the advantages.
        epochs: passes over the episodes of an iteration, in minibatches of `batch` steps.
        entropy: weight β of the entropy bonus, falling to 0.
        value_weight: c_v.
        kl_limit: approximate KL divergence at which an iteration's passes end.
    """

    network: NetworkSettings = field(default_factory=lambda: NetworkSettings(dropout=0.0))
    iterations: int = 150
    episodes: int = 1024
    clip: float = 0.2
    value_clip: float = 0.2
    gae: float = 0.95
    epochs: int = 4
    batch: int = 512
    learning_rate: float = 1e-3
    entropy: float = 0.03
    value_weight: float = 0.5
    gradient_norm: float = 0.5
    kl_limit: float = 0.05
    prices: tuple[float, float] = PRICES
    validation: float = 0.2
    seed: int = 0


def train_ppo(
    environment: Environment,
    training: PPOTraining | None = None,
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
    """
    training = training or PPOTraining()
    loop = Loop(
        network=training.network,
        learning_rate=training.learning_rate,
        schedule="falling",
        validation=training.validation,
        prices=training.prices,
        seed=training.seed,
        checkpoint=checkpoint,
    )
    return train(environment, _PPO(environment, training), loop, report)


class Episodes(NamedTuple):
    """E sampled episodes of at most H steps; every tensor is (H, E) but `rows` and `log_price`."""

    rows: Tensor
    """(E,) questions."""
    log_price: Tensor
    """(E,)."""
    states: Tensor
    actions: Tensor
    log_policy: Tensor
    """Log-probability of the action under the policy that sampled it."""
    values: Tensor
    rewards: Tensor
    live: Tensor
    """Whether the episode had not ended before this step."""


@torch.no_grad()
def sample(
    environment: Environment, network: PolicyNetwork, rows: Tensor, log_price: Tensor
) -> Episodes:
    """Play one episode a row, every action drawn from the policy."""
    network.eval()
    states = torch.zeros(len(rows), dtype=torch.int64)
    live = torch.ones(len(rows), dtype=torch.bool)
    steps = []
    for _ in range(environment.lattice.max_calls + 1):
        scores = network(environment.situation(rows, states, log_price))
        log_policy = scores.log_policy[:, 0]
        actions = torch.multinomial(log_policy.exp(), 1)[:, 0]
        taken = environment.step(rows, states, actions, log_price.exp())
        chosen = log_policy.gather(1, actions[:, None])[:, 0]
        steps.append((states, actions, chosen, scores.value[:, 0], taken.reward, live))
        states = torch.where(live, taken.state, states)
        live = live & ~taken.done
    columns = [torch.stack(column) for column in zip(*steps, strict=True)]
    return Episodes(rows, log_price, *columns)


def advantages(rewards: Tensor, values: Tensor, live: Tensor, gae: float) -> tuple[Tensor, Tensor]:
    """Generalised advantages and returns without discount (Schulman et al., 2016, Eq. 16).

    A_t = δ_t + λ·A_{t+1}, δ_t = r_t + V_{t+1} − V_t, both terms of t + 1 being 0 after the end.

    Args:
        rewards: (H, E).
        values: (H, E).
        live: (H, E) whether the step was taken at all.
        gae: λ.

    Returns:
        (H, E) advantages, 0 where no step was taken, and returns A + V.
    """
    result = torch.zeros_like(rewards)
    running = torch.zeros_like(rewards[0])
    for step in range(len(rewards) - 1, -1, -1):
        on = live[step + 1] if step + 1 < len(rewards) else torch.zeros_like(live[0])
        following = torch.where(on, values[step + 1] if step + 1 < len(values) else 0.0, 0.0)
        delta = rewards[step] + following - values[step]
        running = torch.where(live[step], delta + gae * torch.where(on, running, 0.0), 0.0)
        result[step] = running
    return result, result + values


class Losses(NamedTuple):
    """Of one minibatch, every one a scalar."""

    policy: Tensor
    value: Tensor
    entropy: Tensor
    approximate_kl: Tensor
    clipped_share: Tensor


def clipped_losses(
    log_policy: Tensor,
    value: Tensor,
    batch: Minibatch,
    *,
    clip: float,
    value_clip: float,
) -> Losses:
    """The clipped surrogate and its companions (Schulman et al., 2017, Eq. 7 and 9).

    Args:
        log_policy: (N, P + 1) under the policy being improved.
        value: (N,) of its critic.
        batch: what was sampled.
        clip: ε of the ratio.
        value_clip: largest change of the value that earns.
    """
    chosen = log_policy.gather(1, batch.actions[:, None])[:, 0]
    log_ratio = chosen - batch.log_policy
    ratio = log_ratio.exp()
    surrogate = torch.min(
        ratio * batch.advantages, ratio.clamp(1 - clip, 1 + clip) * batch.advantages
    )
    moved = batch.values + (value - batch.values).clamp(-value_clip, value_clip)
    error = torch.max((value - batch.returns) ** 2, (moved - batch.returns) ** 2)
    entropy = -(log_policy.exp() * log_policy.clamp(min=-50.0)).sum(dim=1)
    return Losses(
        policy=-surrogate.mean(),
        value=0.5 * error.mean(),
        entropy=entropy.mean(),
        approximate_kl=((ratio - 1) - log_ratio).mean().detach(),
        clipped_share=((ratio - 1).abs() > clip).float().mean().detach(),
    )


class Minibatch(NamedTuple):
    """N sampled steps; every tensor is (N,)."""

    actions: Tensor
    log_policy: Tensor
    values: Tensor
    advantages: Tensor
    returns: Tensor


class _PPO:
    def __init__(self, environment: Environment, training: PPOTraining) -> None:
        self._environment = environment
        self._training = training
        learn, _ = split_rows(len(environment.recorded), training.validation, training.seed)
        self._rows = torch.from_numpy(learn)

    @property
    def iterations(self) -> int:
        return self._training.iterations

    def iterate(
        self, network: PolicyNetwork, optimizer: torch.optim.Optimizer, iteration: int
    ) -> Metrics:
        training = self._training
        rows = self._rows[torch.randint(len(self._rows), (training.episodes,))]
        log_price = random_log_prices(len(rows), training.prices)
        episodes = sample(self._environment, network, rows, log_price)
        gained, returns = advantages(episodes.rewards, episodes.values, episodes.live, training.gae)
        on = episodes.live.flatten()
        horizon = len(episodes.states)
        whole = Minibatch(
            *(
                tensor.flatten()[on]
                for tensor in (
                    episodes.actions, episodes.log_policy, episodes.values, gained, returns
                )
            )
        )  # fmt: skip
        where = (
            episodes.rows.repeat(horizon)[on],
            episodes.states.flatten()[on],
            episodes.log_price.repeat(horizon)[on],
        )
        bonus = training.entropy * (1 - (iteration - 1) / training.iterations)
        network.train()
        losses = self._passes(network, optimizer, whole, where, bonus)
        total = (episodes.rewards * episodes.live).sum(0).mean()
        return {
            "mean_return": float(total),
            "calls": float((episodes.live.sum(0) - 1).float().mean()),
            "policy_loss": float(losses.policy.detach()),
            "value_loss": float(losses.value.detach()),
            "entropy": float(losses.entropy.detach()),
            "approximate_kl": float(losses.approximate_kl),
            "clipped_share": float(losses.clipped_share),
        }

    def _passes(
        self,
        network: PolicyNetwork,
        optimizer: torch.optim.Optimizer,
        whole: Minibatch,
        where: tuple[Tensor, Tensor, Tensor],
        bonus: float,
    ) -> Losses:
        training = self._training
        steps = len(whole.actions)
        situation = self._environment.situation(*where)
        losses: Losses | None = None
        for _ in range(training.epochs):
            order = torch.randperm(steps)
            for start in range(0, steps, training.batch):
                chosen = order[start : start + training.batch]
                scores = network(Situation(*(tensor[chosen] for tensor in situation)))
                batch = Minibatch(*(tensor[chosen] for tensor in whole))
                batch = batch._replace(advantages=normalised(batch.advantages))
                losses = clipped_losses(
                    scores.log_policy[:, 0], scores.value[:, 0], batch,
                    clip=training.clip, value_clip=training.value_clip,
                )  # fmt: skip
                loss = losses.policy + training.value_weight * losses.value
                loss = loss - bonus * losses.entropy
                optimizer.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                torch.nn.utils.clip_grad_norm_(network.parameters(), training.gradient_norm)
                optimizer.step()
            if losses is not None and float(losses.approximate_kl) > training.kl_limit:
                break
        assert losses is not None
        return losses


def normalised(values: Tensor) -> Tensor:
    """Mean 0 and deviation 1; only centred where all are alike or there is one."""
    centred = values - values.mean()
    return centred / (centred.std(unbiased=False) + 1e-8)
