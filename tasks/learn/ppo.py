"""Proximal policy optimisation with generalised advantages (Schulman et al., 2016 and 2017).

The paper's estimator, on sampled episodes of the exact environment. The objective of one minibatch:

    L = −mean(min(ρ·A, clip(ρ, 1 ± ε)·A)) + c_v·L_value − β·H,     ρ = π(a|s) / π_old(a|s),

with normalised advantages, a clipped value loss, masked actions, and a stop of the passes once the
approximate KL divergence from the old policy passes its limit. There is no discount: an episode is
a handful of calls.

A minibatch holds whole episodes. What the network reads of a question's pairs is then computed
once an episode and not once a step, which is half of all arithmetic.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import torch

from profiles.policies.network import NetworkSettings, PolicyNetwork, Situation
from tasks.learn.training import PRICES, Loop, Metrics, learning_rows, random_log_prices, train

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from torch import Tensor

    from tasks.learn.environment import Environment
    from tasks.learn.training import Look


@dataclass(frozen=True, slots=True)
class PPOTraining:
    """Constants of PPO.

    Attributes:
        network: without dropout, or old and new probabilities could not be compared.
        episodes: sampled per iteration, all under one policy.
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
        ValueError: fewer than two questions have a pair that can be called.
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
def sample(
    environment: Environment, network: PolicyNetwork, rows: Tensor, log_price: Tensor
) -> Episodes:
    """Play one episode a row, every action drawn from the policy."""
    network.eval()
    shape = (environment.lattice.max_calls + 1, len(rows))
    whole, actions = torch.zeros(2, *shape, dtype=torch.int64)
    log_policy, values, rewards = torch.zeros(3, *shape)
    live = torch.zeros(shape, dtype=torch.bool)
    on = torch.arange(len(rows))
    states = torch.zeros(len(rows), dtype=torch.int64)
    pairs = network.pair(environment.situation(rows, states, log_price).pairs)
    for step in range(shape[0]):
        situation = environment.situation(rows[on], states, log_price[on])
        scores = network.score(situation, pairs[on])
        shares = scores.log_policy[:, 0]
        action = torch.multinomial(shares.exp(), 1)
        taken = environment.step(rows[on], states, action[:, 0], log_price[on].exp())
        whole[step, on], actions[step, on], live[step, on] = states, action[:, 0], True
        log_policy[step, on] = shares.gather(1, action)[:, 0]
        values[step, on], rewards[step, on] = scores.value[:, 0], taken.reward
        on, states = on[~taken.done], taken.state[~taken.done]
        if not len(on):
            break
    return Episodes(rows, log_price, whole, actions, log_policy, values, rewards, live)


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


class Minibatch(NamedTuple):
    """N sampled steps; every tensor is (N,)."""

    actions: Tensor
    log_policy: Tensor
    values: Tensor
    advantages: Tensor
    returns: Tensor


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

    The divergence is estimated as the mean of (ρ − 1) − log ρ, which is never negative.

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
    apart = ratio.detach() - 1
    return Losses(
        policy=-surrogate.mean(),
        value=0.5 * error.mean(),
        entropy=entropy_of(log_policy).mean(),
        approximate_kl=(apart - log_ratio.detach()).mean(),
        clipped_share=(apart.abs() > clip).float().mean(),
    )


def normalised(values: Tensor) -> Tensor:
    """Mean 0 and deviation 1; only centred where all are alike or there is one."""
    centred = values - values.mean()
    return centred / (centred.std(unbiased=False) + 1e-8)


def entropy_of(log_policy: Tensor) -> Tensor:
    """−Σ π·log π over the last dimension; an action that is not allowed adds nothing."""
    # exp(−inf) · −inf would be undefined; at −50 the product is 0, and so is its gradient.
    return -(log_policy.exp() * log_policy.clamp(min=-50.0)).sum(dim=-1)


class _Steps(NamedTuple):
    """The N steps of sampled episodes, those of an episode side by side."""

    batch: Minibatch
    situation: Situation
    """Of every step, but its `pairs` are (E, …), of every episode."""
    place: Tensor
    """(E, H) number of each step of each episode; -1 where it was not taken."""


class PPO:
    """The estimator: samples episodes, then improves the network on them in several passes."""

    def __init__(self, environment: Environment, training: PPOTraining) -> None:
        self.settings = training
        self._environment = environment
        learn, _ = learning_rows(environment, training.validation, training.seed)
        self._rows = torch.from_numpy(learn)

    @property
    def iterations(self) -> int:
        """How many there are."""
        return self.settings.iterations

    def iterate(
        self, network: PolicyNetwork, optimizer: torch.optim.Optimizer, iteration: int
    ) -> Metrics:
        """Sample episodes under the network, and improve it on them."""
        training = self.settings
        rows = self._rows[torch.randint(len(self._rows), (training.episodes,))]
        log_price = random_log_prices(len(rows), training.prices)
        episodes = sample(self._environment, network, rows, log_price)
        gained, returns = advantages(episodes.rewards, episodes.values, episodes.live, training.gae)
        steps = self._steps(episodes, gained, returns)
        bonus = training.entropy * (1 - (iteration - 1) / training.iterations)
        network.train()
        losses = self._passes(network, optimizer, steps, bonus)
        spread = steps.batch.returns.var(unbiased=False).clamp(min=1e-12)
        left = (steps.batch.returns - steps.batch.values).var(unbiased=False)
        return {
            "mean_return": float(episodes.rewards.sum(0).mean()),
            "calls": float((episodes.live.sum(0) - 1).float().mean()),
            "steps": float(len(steps.batch.actions)),
            "policy_loss": float(losses.policy),
            "value_loss": float(losses.value),
            "entropy": float(losses.entropy),
            "approximate_kl": float(losses.approximate_kl),
            "clipped_share": float(losses.clipped_share),
            "explained_variance": float(1 - left / spread),
        }

    def _steps(self, episodes: Episodes, gained: Tensor, returns: Tensor) -> _Steps:
        live = episodes.live.T
        number, step = live.nonzero(as_tuple=True)
        place = torch.full(live.shape, -1, dtype=torch.int64)
        place[live] = torch.arange(len(number))
        batch = Minibatch(
            *(
                tensor[step, number]
                for tensor in (
                    episodes.actions, episodes.log_policy, episodes.values, gained, returns
                )
            )
        )  # fmt: skip
        situation = self._environment.situation(
            episodes.rows[number], episodes.states[step, number], episodes.log_price[number]
        )
        return _Steps(batch, situation._replace(pairs=situation.pairs[place[:, 0]]), place)

    def _passes(
        self,
        network: PolicyNetwork,
        optimizer: torch.optim.Optimizer,
        steps: _Steps,
        bonus: float,
    ) -> Losses:
        """Several passes over the episodes; the mean losses of their minibatches."""
        training = self.settings
        parameters = list(network.parameters())
        seen: list[Losses] = []
        for batch, situation, pairs in self._minibatches(network, steps):
            scores = network.score(situation, pairs)
            batch = batch._replace(advantages=normalised(batch.advantages))
            losses = clipped_losses(
                scores.log_policy[:, 0], scores.value[:, 0], batch,
                clip=training.clip, value_clip=training.value_clip,
            )  # fmt: skip
            seen.append(Losses(*(tensor.detach() for tensor in losses)))
            if float(losses.approximate_kl) > training.kl_limit:
                break
            loss = losses.policy + training.value_weight * losses.value - bonus * losses.entropy
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(parameters, training.gradient_norm)
            optimizer.step()
        return Losses(*(torch.stack(column).mean() for column in zip(*seen, strict=True)))

    def _minibatches(
        self, network: PolicyNetwork, steps: _Steps
    ) -> Iterator[tuple[Minibatch, Situation, Tensor]]:
        """Whole episodes in random order, with what the network reads of their pairs."""
        training = self.settings
        count = max(1, round(len(steps.batch.actions) / training.batch))
        for _ in range(training.epochs):
            for group in torch.randperm(len(steps.place)).tensor_split(count):
                place = steps.place[group]
                owner, step = (place >= 0).nonzero(as_tuple=True)
                chosen = place[owner, step]
                read = network.pair(steps.situation.pairs.index_select(0, group))
                yield (
                    Minibatch(*(tensor[chosen] for tensor in steps.batch)),
                    _some(steps.situation, chosen),
                    read.index_select(0, owner),
                )


def _some(situation: Situation, chosen: Tensor) -> Situation:
    """Some steps of a situation, whose `pairs` are left as they are."""
    parts = {
        name: tensor.index_select(0, chosen)
        for name, tensor in situation._asdict().items()
        if name != "pairs"
    }
    return situation._replace(**parts)
