"""Proximal policy optimisation with generalised advantages (Schulman et al., 2016 and 2017).

The paper's estimator, on sampled episodes of the exact environment: the clipped loss of
`tasks.learn.ppo_loss` with normalised advantages, a clipped value loss, masked actions, and a stop
of the passes once the approximate KL divergence from the old policy passes its limit. There is no
discount: an episode is a handful of calls.

Nearly all time goes into the gradient, so three things are done about it. A minibatch holds whole
episodes: what the network reads of a question's pairs is computed once an episode and not once a
step. Calls that may not be made are not scored (`tasks.learn.packed_steps`). And the gradient is
worked out by hand (`tasks.learn.network_gradient`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

from profiles.policies.network import NetworkSettings, PolicyNetwork, Situation
from tasks.learn.network_gradient import ByHand, flatten
from tasks.learn.packed_steps import groups, pack
from tasks.learn.ppo_loss import Losses, Minibatch, clipped_losses, normalised
from tasks.learn.training import PRICES, Loop, Metrics, learning_rows, random_log_prices, train

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray
    from torch import Tensor

    from tasks.learn.environment import Environment
    from tasks.learn.packed_steps import Packed
    from tasks.learn.training import Look


@dataclass(frozen=True, slots=True)
class PPOTraining:
    """Constants of PPO.

    Attributes:
        network: without dropout, or old and new probabilities could not be compared.
        iterations: of sampling and improving; learning rate and entropy bonus fall to 0 over them.
        episodes: sampled per iteration, all under one policy.
        first_episodes: sampled in the first iteration; every further one samples twice as many as
            the one before, up to `episodes`: a network that knows nothing learns as much from a
            few. Minibatches are shorter then, by the square root of the share of episodes.
        clip: ε of the ratio; `value_clip` of the value's change.
        gae: λ of the advantages.
        epochs: passes over the episodes of an iteration, in minibatches of about `batch` steps.
        entropy: weight β of the entropy bonus, falling to 0.
        value_weight: c_v.
        kl_limit: approximate KL divergence of a minibatch at which an iteration's passes end.
    """

    network: NetworkSettings = field(default_factory=lambda: NetworkSettings(dropout=0.0))
    iterations: int = 80
    episodes: int = 1024
    first_episodes: int = 256
    clip: float = 0.2
    value_clip: float = 0.2
    gae: float = 0.95
    epochs: int = 4
    batch: int = 512
    learning_rate: float = 3e-3
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

    Raises:
        CheckpointError: the checkpoint is damaged or belongs to another training.
        ValueError: fewer than two questions have a pair that can be called, or the network has
            dropout.
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
    return train(environment, PPO(environment, training), loop, report)


class Episodes(NamedTuple):
    """E sampled episodes of at most H steps; every tensor is (H, E) but `rows` and `log_price`.

    Where an episode had ended before a step, everything but the state is 0.
    """

    rows: Tensor
    """(E,) questions."""
    log_price: Tensor
    """(E,)."""
    states: Tensor
    """Set of pairs called before the step."""
    actions: Tensor
    log_policy: Tensor
    """Log-probability of the action under the policy that sampled it."""
    values: Tensor
    rewards: Tensor
    live: Tensor
    """Whether the episode had not ended before this step."""


@torch.no_grad()
def sample(environment: Environment, hand: ByHand, rows: Tensor, log_price: Tensor) -> Episodes:
    """Play one episode a row, every action drawn from the policy."""
    shape = (environment.lattice.max_calls + 1, len(rows))
    whole, actions = torch.zeros(2, *shape, dtype=torch.int64)
    log_policy, values, rewards = torch.zeros(3, *shape)
    live = torch.zeros(shape, dtype=torch.bool)
    on = torch.arange(len(rows))
    states = torch.zeros(len(rows), dtype=torch.int64)
    pairs = environment.situation(rows, states, log_price).pairs
    read = hand.read(pairs).pairs
    for step in range(shape[0]):
        situation = environment.situation(rows[on], states, log_price[on])
        scored = hand.score(pack(situation, pairs, on), read)
        action = drawn(scored.log_policy.exp())
        taken = environment.step(rows[on], states, action, log_price[on].exp())
        whole[step, on], actions[step, on], live[step, on] = states, action, True
        log_policy[step, on] = scored.log_policy.gather(1, action[:, None])[:, 0]
        values[step, on], rewards[step, on] = scored.value, taken.reward
        on, states = on[~taken.done], taken.state[~taken.done]
        if not len(on):
            break
    return Episodes(rows, log_price, whole, actions, log_policy, values, rewards, live)


def drawn(shares: Tensor) -> Tensor:
    """(N,) an action for each of (N, A) probabilities, never one whose probability is 0."""
    reached = shares.cumsum(dim=1)
    # Rounding may not lift a point to the end of the last action's stretch.
    point = torch.rand(len(shares), 1, dtype=shares.dtype) * (1 - 1e-6) * reached[:, -1:]
    return (reached <= point).sum(dim=1)


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
    running, following = torch.zeros(2, *rewards.shape[1:], dtype=rewards.dtype)
    for step in range(len(rewards) - 1, -1, -1):
        delta = rewards[step] + following - values[step]
        running = torch.where(live[step], delta + gae * running, 0.0)
        following = torch.where(live[step], values[step], 0.0)
        result[step] = running
    return result, result + values


class _Steps(NamedTuple):
    """The N steps of E sampled episodes, those of an episode side by side."""

    batch: Minibatch
    situation: Situation
    """Of every step."""
    place: Tensor
    """(E, H) number of each step of each episode; -1 where it was not taken."""


def episodes_of(training: PPOTraining, iteration: int) -> int:
    """How many episodes an iteration samples, counted from 1."""
    doubled: int = training.first_episodes << min(iteration - 1, 30)
    return min(training.episodes, doubled)


class PPO:
    """The estimator: samples episodes, then improves the network on them in several passes.

    Args:
        environment: of training questions.
        training: constants.

    Raises:
        ValueError: the network has dropout, or fewer than two questions can be learnt from.
    """

    def __init__(self, environment: Environment, training: PPOTraining) -> None:
        if training.network.dropout:
            msg = (
                "PPO compares probabilities before and after a step, which dropout would change at"
                f" random: its network needs a dropout of 0, not {training.network.dropout}"
            )
            raise ValueError(msg)
        self.settings = training
        self._environment = environment
        learn, _ = learning_rows(environment, training.validation, training.seed)
        self._rows = torch.from_numpy(learn)

    @property
    def iterations(self) -> int:
        """How many there are."""
        return self.settings.iterations

    def weights(self, network: PolicyNetwork) -> list[torch.nn.Parameter]:
        """All of the network's, laid in one vector."""
        return [flatten(network)]

    def iterate(
        self, network: PolicyNetwork, optimizer: torch.optim.Optimizer, iteration: int
    ) -> Metrics:
        """Sample episodes under the network, and improve it on them."""
        training = self.settings
        count = episodes_of(training, iteration)
        rows = self._rows[torch.randint(len(self._rows), (count,))]
        log_price = random_log_prices(len(rows), training.prices)
        hand = ByHand(network)
        episodes = sample(self._environment, hand, rows, log_price)
        gained, returns = advantages(episodes.rewards, episodes.values, episodes.live, training.gae)
        steps = self._steps(episodes, gained, returns)
        bonus = training.entropy * (1 - (iteration - 1) / training.iterations)
        losses = self._passes(hand, optimizer, steps, bonus)
        returned, values = steps.batch.returns, steps.batch.values
        unexplained = (returned - values).var() / max(returned.var(), 1e-12)
        return {
            "mean_return": float(episodes.rewards.sum(0).mean()),
            "calls": float((episodes.live.sum(0) - 1).float().mean()),
            "steps": float(len(returned)),
            "policy_loss": losses.policy,
            "value_loss": losses.value,
            "entropy": losses.entropy,
            "approximate_kl": losses.approximate_kl,
            "clipped_share": losses.clipped_share,
            "explained_variance": float(1 - unexplained),
        }

    def _steps(self, episodes: Episodes, gained: Tensor, returns: Tensor) -> _Steps:
        live = episodes.live.T
        number, step = live.nonzero(as_tuple=True)
        place = torch.full(live.shape, -1, dtype=torch.int64)
        place[live] = torch.arange(len(number))
        columns = (episodes.log_policy, episodes.values, gained, returns)
        batch = Minibatch(
            episodes.actions[step, number].numpy(),
            *(column[step, number].numpy() for column in columns),
        )
        situation = self._environment.situation(
            episodes.rows[number], episodes.states[step, number], episodes.log_price[number]
        )
        return _Steps(batch, situation, place)

    @torch.no_grad()
    def _passes(
        self,
        hand: ByHand,
        optimizer: torch.optim.Optimizer,
        steps: _Steps,
        bonus: float,
    ) -> Losses:
        """Several passes over the episodes; the mean losses of their minibatches."""
        training = self.settings
        (flat,) = optimizer.param_groups[0]["params"]
        seen: list[Losses] = []
        for batch, packed in self._minibatches(steps):
            read = hand.read(packed.pairs)
            scored = hand.score(packed, read.pairs)
            batch = batch._replace(advantages=normalised(batch.advantages))
            losses, slopes = clipped_losses(
                scored.log_policy.numpy(), scored.value.numpy(), batch,
                clip=training.clip, value_clip=training.value_clip,
                value_weight=training.value_weight, bonus=bonus,
            )  # fmt: skip
            seen.append(losses)
            if losses.approximate_kl > training.kl_limit:
                break
            logits, value = torch.from_numpy(slopes.logits), torch.from_numpy(slopes.value)
            hand.gradient(packed, read, scored, logits, value)
            norm = float(torch.linalg.vector_norm(flat.grad))
            flat.grad.mul_(min(1.0, training.gradient_norm / (norm + 1e-6)))
            optimizer.step()
        return Losses(*(float(np.mean(column)) for column in zip(*seen, strict=True)))

    def _minibatches(self, steps: _Steps) -> Iterator[tuple[Minibatch, Packed]]:
        """Whole episodes in random order."""
        training = self.settings
        episodes = len(steps.place)
        batch_steps = training.batch * math.sqrt(episodes / training.episodes)
        count = min(episodes, max(1, round(len(steps.batch.actions) / batch_steps)))
        for _ in range(training.epochs):
            place = steps.place[torch.randperm(len(steps.place))]
            owner, step = (place >= 0).nonzero(as_tuple=True)
            chosen = place[owner, step]
            batch = _some(steps.batch, chosen.numpy())
            situation = Situation(*(tensor.index_select(0, chosen) for tensor in steps.situation))
            first = steps.situation.pairs.index_select(0, place[:, 0])
            for own, packed in groups(pack(situation, first, owner), owner, count):
                yield _some(batch, own), packed


def _some(batch: Minibatch, chosen: slice | NDArray[np.int64]) -> Minibatch:
    actions, *columns = batch
    return Minibatch(actions[chosen], *(column[chosen] for column in columns))
