"""PPO against references in plain numpy, examples worked out by hand, and its own promises."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from profiles.policies.network import NetworkSettings, PolicyNetwork
from tasks.learn import ppo
from tasks.learn.ppo import (
    Episodes,
    Minibatch,
    advantages,
    clipped_losses,
    entropy_of,
    normalised,
    sample,
)
from tests.tasks.learn.small_environment import PPO, SMALL, small_environment

FINITE = st.floats(-3, 3, allow_nan=False, width=32)


def reference_gae(rewards: list[float], values: list[float], lam: float) -> list[float]:
    """Schulman et al. (2016), Eq. 16 without discount: A_t = Σ_k λ^k · δ_{t+k}."""
    following = [*values[1:], 0.0]
    deltas = [r + after - v for r, v, after in zip(rewards, values, following, strict=True)]
    return [sum(lam**k * d for k, d in enumerate(deltas[t:])) for t in range(len(deltas))]


@st.composite
def episodes(draw: st.DrawFn) -> tuple[list[list[float]], list[list[float]], int]:
    longest = draw(st.integers(1, 5))
    lengths = draw(st.lists(st.integers(1, longest), min_size=1, max_size=6))
    rewards = [draw(st.lists(FINITE, min_size=n, max_size=n)) for n in lengths]
    values = [draw(st.lists(FINITE, min_size=n, max_size=n)) for n in lengths]
    return rewards, values, longest


def padded(rows: list[list[float]], longest: int, filler: float) -> torch.Tensor:
    return torch.tensor([row + [filler] * (longest - len(row)) for row in rows]).T


@given(episodes(), st.floats(0, 1))
def test_advantages_are_those_of_each_episode_alone(
    made: tuple[list[list[float]], list[list[float]], int], lam: float
) -> None:
    """Whatever stands behind an episode's end, here a large number, is not looked at."""
    rewards, values, longest = made
    live = padded([[True] * len(row) for row in rewards], longest, False)
    gained, returns = advantages(
        padded(rewards, longest, 99.0), padded(values, longest, -77.0), live, lam
    )

    for number, (r, v) in enumerate(zip(rewards, values, strict=True)):
        wanted = reference_gae(r, v, lam)
        assert gained[: len(r), number].tolist() == pytest.approx(wanted, abs=1e-4)
        assert (gained[len(r) :, number] == 0).all()
        assert returns[: len(r), number].tolist() == pytest.approx(
            [a + b for a, b in zip(wanted, v, strict=True)], abs=1e-4
        )


def test_advantages_by_hand() -> None:
    """Two calls at 0.1 and a right answer; δ = −0.2, 0.1, 0.3 and λ = 0.5."""
    rewards = torch.tensor([[-0.1], [-0.1], [1.0]])
    values = torch.tensor([[0.6], [0.5], [0.7]])
    live = torch.ones(3, 1, dtype=torch.bool)

    gained, _ = advantages(rewards, values, live, 0.5)
    whole, returns = advantages(rewards, values, live, 1.0)

    assert gained[:, 0].tolist() == pytest.approx([-0.2 + 0.5 * 0.25, 0.1 + 0.5 * 0.3, 0.3])
    assert returns[:, 0].tolist() == pytest.approx([0.8, 0.9, 1.0])
    assert torch.allclose(whole, returns - values)


def reference_losses(
    log_policy: np.ndarray, value: np.ndarray, batch: Minibatch, clip: float, value_clip: float
) -> dict[str, float]:
    """Schulman et al. (2017), Eq. 7 and 9, one step after the other."""
    surrogate, error, entropy, divergence, clipped = [], [], [], [], []
    for n in range(len(value)):
        advantage, old = float(batch.advantages[n]), float(batch.values[n])
        ratio = np.exp(log_policy[n, int(batch.actions[n])] - float(batch.log_policy[n]))
        held = min(max(ratio, 1 - clip), 1 + clip)
        surrogate.append(min(ratio * advantage, held * advantage))
        moved = old + min(max(value[n] - old, -value_clip), value_clip)
        target = float(batch.returns[n])
        error.append(max((value[n] - target) ** 2, (moved - target) ** 2))
        shares = np.exp(log_policy[n])
        entropy.append(-sum(p * np.log(p) for p in shares if p > 0))
        divergence.append(ratio - 1 - np.log(ratio))
        clipped.append(abs(ratio - 1) > clip)
    return {
        "policy": -np.mean(surrogate),
        "value": 0.5 * np.mean(error),
        "entropy": np.mean(entropy),
        "approximate_kl": np.mean(divergence),
        "clipped_share": np.mean(clipped),
    }


@settings(max_examples=50)
@given(
    seed=st.integers(0, 10_000),
    count=st.integers(1, 12),
    actions=st.integers(2, 6),
    clip=st.floats(0.05, 0.5),
    value_clip=st.floats(0.05, 1.0),
)
def test_losses_are_those_of_the_paper(
    seed: int, count: int, actions: int, clip: float, value_clip: float
) -> None:
    random = np.random.default_rng(seed)
    logits = random.normal(size=(count, actions))
    chosen = random.integers(0, actions, count)
    # Some actions are not allowed, never the one that was taken.
    barred = (random.random(logits.shape) < 0.3) & (np.arange(actions) != chosen[:, None])
    logits[barred] = -np.inf
    log_policy = torch.from_numpy(logits).log_softmax(dim=1)
    batch = Minibatch(
        torch.from_numpy(chosen),
        *(torch.from_numpy(random.normal(size=count)) for _ in range(4)),
    )
    value = torch.from_numpy(random.normal(size=count))
    wanted = reference_losses(log_policy.numpy(), value.numpy(), batch, clip, value_clip)

    losses = clipped_losses(log_policy, value, batch, clip=clip, value_clip=value_clip)

    for name, number in wanted.items():
        assert float(getattr(losses, name)) == pytest.approx(number, abs=1e-5), name
    assert float(losses.approximate_kl) >= 0


@pytest.mark.parametrize(
    ("ratio", "advantage", "surrogate", "slope"),
    [
        (1.0, 2.0, 2.0, 2.0),
        (1.1, 2.0, 2.2, 2.2),
        (1.5, 2.0, 2.4, 0.0),
        (0.5, 2.0, 1.0, 1.0),
        (0.5, -2.0, -1.6, 0.0),
        (1.5, -2.0, -3.0, -3.0),
    ],
)
def test_a_ratio_earns_and_teaches_nothing_beyond_the_clip(
    ratio: float, advantage: float, surrogate: float, slope: float
) -> None:
    """With ε = 0.2; `slope` is the derivative after the logarithm of the probability."""
    log_share = torch.tensor([[np.log(0.5 * ratio)]], requires_grad=True)
    one = torch.ones(1)
    batch = Minibatch(
        torch.zeros(1, dtype=torch.int64), one * np.log(0.5), one, one * advantage, one
    )

    loss = clipped_losses(log_share, one, batch, clip=0.2, value_clip=0.2).policy
    loss.backward()

    assert -loss.item() == pytest.approx(surrogate)
    assert -log_share.grad.item() == pytest.approx(slope)


@pytest.mark.parametrize(
    ("value", "error", "slope"),
    [(0.1, 0.81, -0.9), (0.5, 0.64, 0.0), (1.3, 0.64, 0.0), (-0.5, 2.25, -1.5), (2.5, 2.25, 1.5)],
)
def test_a_value_earns_nothing_beyond_the_clip(value: float, error: float, slope: float) -> None:
    """From an old value of 0 with a clip of 0.2, towards a return of 1; by hand."""
    guess = torch.tensor([value], requires_grad=True)
    zero = torch.zeros(1)
    batch = Minibatch(torch.zeros(1, dtype=torch.int64), zero, zero, zero, torch.ones(1))

    loss = clipped_losses(torch.zeros(1, 1), guess, batch, clip=0.2, value_clip=0.2).value
    loss.backward()

    assert loss.item() == pytest.approx(error / 2)
    assert guess.grad.item() == pytest.approx(slope)


@given(st.integers(1, 7), st.integers(0, 5))
def test_entropy_of_an_even_choice_is_its_logarithm(allowed: int, barred: int) -> None:
    logits = torch.tensor([0.0] * allowed + [-torch.inf] * barred, requires_grad=True)
    entropy = entropy_of(logits.log_softmax(dim=0))
    entropy.backward()

    assert entropy.item() == pytest.approx(np.log(allowed), abs=1e-6)
    assert torch.isfinite(logits.grad).all()


@given(
    hnp.arrays(
        np.float64,
        st.integers(1, 30),
        elements=st.floats(-100, 100).map(lambda number: round(number, 3)),
    )
)
def test_normalised_advantages_have_mean_nought_and_deviation_one(values: np.ndarray) -> None:
    result = normalised(torch.from_numpy(values)).numpy()

    assert result.mean() == pytest.approx(0.0, abs=1e-6)
    if np.ptp(values):
        assert result.std() == pytest.approx(1.0, abs=1e-3)
        assert (np.argsort(result, kind="stable") == np.argsort(values, kind="stable")).all()
    else:
        assert (result == 0).all()


@pytest.fixture
def network() -> PolicyNetwork:
    torch.manual_seed(5)
    return PolicyNetwork(SMALL)


def test_a_barred_action_has_no_probability_and_no_gradient(network: PolicyNetwork) -> None:
    environment = small_environment(without=(4, 1))
    rows = torch.arange(20)
    situation = environment.everywhere(rows, torch.zeros(20))
    barred = ~situation.legal
    assert barred[4, :, 1].all()

    scores = network(situation)
    shares = scores.log_policy.exp()
    assert (shares[:, :, :-1][barred] == 0).all()
    assert (shares[:, 0, -1] == 0).all()
    assert torch.allclose(shares.sum(dim=2), torch.ones(1))

    logits = torch.randn(shares.shape, requires_grad=True)
    closed = torch.cat([barred, ~situation.may_answer[:, :, None]], dim=2)
    masked = logits.masked_fill(closed, -torch.inf).log_softmax(dim=2).flatten(0, 1)
    taken = masked.exp().multinomial(1)[:, 0]
    ones = torch.ones(len(masked))
    batch = Minibatch(taken, -ones, ones, torch.randn(len(masked)), ones)
    losses = clipped_losses(masked, ones, batch, clip=0.2, value_clip=0.2)
    (losses.policy - losses.entropy).backward()
    assert (logits.grad[closed] == 0).all()
    assert torch.isfinite(logits.grad).all()
    assert (logits.grad != 0).any()


def test_what_a_barred_pair_costs_moves_no_weight(network: PolicyNetwork) -> None:
    """A pair that may not be called is as if it were not there."""
    environment = small_environment()
    situation = environment.situation(
        torch.arange(20), torch.ones(20, dtype=torch.int64), torch.zeros(20)
    )
    cost = situation.cost.clone().requires_grad_()
    scores = network(situation._replace(cost=cost))
    entropy_of(scores.log_policy).sum().backward()

    barred = ~situation.legal[:, 0]
    assert (cost.grad[barred] == 0).all()
    assert (cost.grad[~barred] != 0).any()


def played(network: PolicyNetwork, count: int = 200) -> tuple[object, Episodes]:
    environment = small_environment(without=(4, 1))
    torch.manual_seed(2)
    rows = torch.randint(20, (count,))
    return environment, sample(environment, network, rows, torch.rand(count) - 3.0)


def test_sampled_episodes_are_legal_and_end_with_an_answer(network: PolicyNetwork) -> None:
    environment, episodes = played(network)
    lattice = environment.lattice

    for number in range(200):
        steps = int(episodes.live[:, number].sum())
        assert episodes.live[:steps, number].all()
        actions = episodes.actions[:steps, number].tolist()
        assert actions[-1] == environment.answer
        assert 1 < steps <= lattice.max_calls + 1
        assert len(set(actions)) == steps
        state = 0
        for step, action in enumerate(actions[:-1]):
            assert episodes.states[step, number] == state
            assert not np.isnan(environment.recorded.scores[episodes.rows[number], action])
            state = lattice.successor[state, action]


def test_sampled_episodes_earn_the_answer_and_pay_for_every_call(network: PolicyNetwork) -> None:
    environment, episodes = played(network)

    for number in range(200):
        row = int(episodes.rows[number])
        actions = episodes.actions[episodes.live[:, number], number].tolist()
        called = [pair for pair in actions if pair < environment.answer]
        state = int(episodes.states[len(called), number])
        wanted = float(environment.answer_reward[row, state]) - float(
            episodes.log_price[number].exp()
        ) * sum(environment.recorded.costs[row, pair] for pair in called)
        assert episodes.rewards[:, number].sum().item() == pytest.approx(wanted, abs=1e-5)


def test_what_was_sampled_is_what_the_network_says(network: PolicyNetwork) -> None:
    environment, episodes = played(network)
    for step in range(len(episodes.states)):
        on = episodes.live[step]
        scores = network(
            environment.situation(
                episodes.rows[on], episodes.states[step, on], episodes.log_price[on]
            )
        )
        wanted = scores.log_policy[:, 0].gather(1, episodes.actions[step, on][:, None])[:, 0]
        assert torch.allclose(episodes.log_policy[step, on], wanted, atol=1e-5)
        assert torch.allclose(episodes.values[step, on], scores.value[:, 0], atol=1e-5)


def test_a_pass_holds_every_step_once_in_whole_episodes(network: PolicyNetwork) -> None:
    environment, episodes = played(network)
    estimator = ppo.PPO(environment, replace(PPO, epochs=1, batch=60))
    gained, returns = advantages(episodes.rewards, episodes.values, episodes.live, 0.95)
    # Every step carries its own number, in place of a return.
    numbered = torch.arange(returns.numel(), dtype=torch.float32).view_as(returns)
    steps = estimator._steps(episodes, gained, numbered)
    seen = []
    for batch, situation, pairs in estimator._minibatches(network, steps):
        whole = situation._replace(
            pairs=environment.situation(
                episodes.rows[batch.returns.long() % 200],
                torch.zeros(len(batch.returns), dtype=torch.int64),
                torch.zeros(len(batch.returns)),
            ).pairs
        )
        assert torch.allclose(
            network.score(situation, pairs).log_policy.exp(),
            network(whole).log_policy.exp(),
            atol=1e-5,
        )
        assert 40 < len(batch.actions) < 90
        seen.append(batch.returns)
    everything = torch.cat(seen)
    assert sorted(everything.tolist()) == sorted(numbered[episodes.live].tolist())
    held = [set((part.long() % 200).tolist()) for part in seen]
    assert sum(len(part) for part in held) == 200


class Counting(torch.optim.SGD):
    steps = 0

    def step(self, closure: None = None) -> None:
        self.steps += 1
        super().step(closure)


@pytest.mark.parametrize(("limit", "passes"), [(1e9, 6), (1e-9, 1)])
def test_passes_end_where_the_divergence_passes_its_limit(
    limit: float, passes: int, network: PolicyNetwork
) -> None:
    """The first minibatch cannot diverge: nothing has been learnt yet."""
    environment = small_environment()
    training = replace(PPO, epochs=6, batch=10_000, kl_limit=limit)
    optimizer = Counting(network.parameters(), lr=0.1)

    metrics = ppo.PPO(environment, training).iterate(network, optimizer, 1)

    assert optimizer.steps == passes
    assert (metrics["approximate_kl"] > 1e-9) == (limit < 1 or passes > 1)


def test_ppo_learns_which_pair_is_right() -> None:
    """One pair is always right, another never: ten iterations must find out."""
    environment = small_environment(n=40, calls=1)
    environment.answer_reward[:] = torch.tensor([0.0, 0.0, 0.0, 1.0])
    training = replace(
        PPO, iterations=10, episodes=128, batch=64, epochs=4, learning_rate=1e-2,
        network=NetworkSettings(hidden=8, dropout=0.0),
    )  # fmt: skip
    looks: list[float] = []
    network = ppo.train_ppo(
        environment, training, report=lambda look: looks.append(look.metrics["calls"])
    )
    scores = network(
        environment.situation(
            torch.arange(40), torch.zeros(40, dtype=torch.int64), torch.full((40,), -3.0)
        )
    )

    assert (scores.log_policy[:, 0].argmax(dim=1) == 2).float().mean() >= 0.9
    assert looks == [1.0] * 10
