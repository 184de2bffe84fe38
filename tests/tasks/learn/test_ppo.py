"""PPO against references in plain numpy, examples worked out by hand, and its own promises."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from profiles.policies.network import NetworkSettings, PolicyNetwork
from tasks.learn import ppo
from tasks.learn.network_gradient import ByHand, flatten
from tasks.learn.ppo import Episodes, advantages, sample
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


@pytest.fixture
def network() -> PolicyNetwork:
    torch.manual_seed(5)
    return PolicyNetwork(SMALL)


def played(network: PolicyNetwork, count: int = 200) -> tuple[object, Episodes]:
    environment = small_environment(without=(4, 1))
    torch.manual_seed(2)
    rows = torch.randint(20, (count,))
    return environment, sample(environment, ByHand(network), rows, torch.rand(count) - 3.0)


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
    estimator = ppo.PPO(environment, replace(PPO, episodes=200, epochs=1, batch=60))
    gained, returns = advantages(episodes.rewards, episodes.values, episodes.live, 0.95)
    # Every step carries its own number, in place of a return.
    numbered = torch.arange(returns.numel(), dtype=torch.float32).view_as(returns)
    steps = estimator._steps(episodes, gained, numbered)
    hand = ByHand(network)
    seen = []
    for batch, packed in estimator._minibatches(steps):
        step, number = np.divmod(batch.returns.astype(np.int64), 200)
        with torch.no_grad():
            found = hand.score(packed, hand.read(packed.pairs).pairs)
        chosen = found.log_policy.numpy()[np.arange(len(step)), batch.actions]
        assert np.allclose(chosen, episodes.log_policy.numpy()[step, number], atol=1e-5)
        assert np.allclose(found.value, episodes.values.numpy()[step, number], atol=1e-5)
        assert np.array_equal(batch.advantages, gained.numpy()[step, number])
        assert 40 < len(batch.actions) < 90
        seen.append(batch.returns)
    everything = np.concatenate(seen)
    assert sorted(everything) == sorted(numbered[episodes.live].tolist())
    held = [set(part.astype(np.int64) % 200) for part in seen]
    assert sum(len(part) for part in held) == 200


def test_actions_are_drawn_by_their_probabilities() -> None:
    shares = torch.tensor([0.0, 0.2, 0.0, 0.5, 0.3, 0.0])
    torch.manual_seed(0)
    found = torch.bincount(ppo.drawn(shares.expand(20_000, -1)), minlength=6) / 20_000

    assert (found[shares == 0] == 0).all()
    assert torch.allclose(found, shares, atol=5 * 0.5 / 20_000**0.5)


def test_the_last_possible_action_is_the_last_that_is_drawn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """However near to 1 the random number."""
    monkeypatch.setattr(torch, "rand", lambda *_shape, dtype: torch.ones(1, 1, dtype=dtype))

    assert ppo.drawn(torch.tensor([[0.3, 0.7 - 1e-7, 0.0]])).tolist() == [1]


def test_episodes_double_up_to_their_number() -> None:
    training = replace(PPO, episodes=100, first_episodes=16)

    assert [ppo.episodes_of(training, k) for k in (1, 2, 3, 4, 5, 80)] == [
        16,
        32,
        64,
        100,
        100,
        100,
    ]
    assert ppo.episodes_of(replace(training, first_episodes=500), 1) == 100


def test_fewer_episodes_make_fewer_and_smaller_minibatches(network: PolicyNetwork) -> None:
    """A pass over 50 of 200 episodes has half the minibatches of one over 200, half as long."""
    environment, _ = played(network)
    estimator = ppo.PPO(environment, replace(PPO, episodes=200, first_episodes=50, batch=60))
    sizes = []
    for count in (50, 200):
        _, episodes = played(network, count)
        steps = estimator._steps(episodes, episodes.rewards, episodes.values)
        sizes.append([len(batch.actions) for batch, _ in estimator._minibatches(steps)])

    assert len(sizes[1]) / len(sizes[0]) == pytest.approx(2, rel=0.25)
    assert np.mean(sizes[1]) / np.mean(sizes[0]) == pytest.approx(2, rel=0.25)


def test_a_network_with_dropout_is_refused() -> None:
    with pytest.raises(ValueError, match=r"dropout of 0, not 0\.1"):
        ppo.train_ppo(small_environment(), replace(PPO, network=NetworkSettings(hidden=8)))


class Counting(torch.optim.SGD):
    steps = 0

    def step(self, closure: None = None) -> None:
        self.steps += 1
        super().step(closure)


@pytest.mark.parametrize(("limit", "passes"), [(1e9, 6), (1e-7, 1)])
def test_passes_end_where_the_divergence_passes_its_limit(
    limit: float, passes: int, network: PolicyNetwork
) -> None:
    """The first minibatch cannot diverge: nothing has been learnt yet."""
    environment = small_environment()
    training = replace(PPO, epochs=6, batch=10_000, kl_limit=limit)
    optimizer = Counting([flatten(network)], lr=0.1)

    metrics = ppo.PPO(environment, training).iterate(network, optimizer, 1)

    assert optimizer.steps == passes
    assert (metrics["approximate_kl"] > 1e-7) == (limit < 1 or passes > 1)


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
