"""The exact gradient against played-out trajectories, finite differences and sampled episodes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from profiles.policies.network import PolicyNetwork
from tasks.learn.environment import Environment
from tasks.learn.exact_gradient import ExactGradient, lattice_values, train_exact
from tasks.learn.network_gradient import ByHand, Read
from tasks.learn.packed_steps import Packed
from tasks.learn.ppo import sample
from tasks.learn.training import learning_rows, random_log_prices, utilities
from tests.tasks.learn.small_environment import EXACT, small_environment


def random_logits(environment: Environment, rows: torch.Tensor, seed: int) -> torch.Tensor:
    """(B, S, P + 1) float64, -inf where an action is not allowed."""
    generator = torch.Generator().manual_seed(seed)
    situation = environment.everywhere(rows, torch.zeros(len(rows)))
    closed = torch.cat([~situation.legal, ~situation.may_answer[:, :, None]], dim=2)
    logits = torch.randn(closed.shape, generator=generator, dtype=torch.float64)
    return logits.masked_fill(closed, -torch.inf)


def trajectories(
    environment: Environment, shares: np.ndarray, row: int, price: float
) -> Iterator[tuple[float, float]]:
    """Probability and return of every order of calls that ends with an answer."""
    waiting = [((), 1.0, 0.0)]
    sets = [tuple(np.flatnonzero(members)) for members in environment.lattice.members]
    while waiting:
        called, probability, gained = waiting.pop()
        state = sets.index(tuple(sorted(called)))
        own = shares[state]
        if own[-1] > 0:
            earned = float(environment.answer_reward[row, state])
            yield probability * own[-1], gained + earned
        for pair in np.flatnonzero(own[:-1]):
            paid = price * environment.recorded.costs[row, pair]
            waiting.append(((*called, int(pair)), probability * own[pair], gained - paid))


@settings(max_examples=15, deadline=None)
@given(pairs=st.integers(1, 4), calls=st.integers(1, 3), seed=st.integers(0, 99))
def test_the_value_of_the_empty_set_is_the_mean_over_all_trajectories(
    pairs: int, calls: int, seed: int
) -> None:
    """Orders of calls are played out one by one: nothing here knows of a lattice."""
    environment = small_environment(n=3, pairs=pairs, calls=calls, seed=seed)
    rows = torch.arange(3)
    logits = random_logits(environment, rows, seed)
    price = torch.tensor([0.1, 0.2, 0.3], dtype=torch.float64)

    values, _ = lattice_values(environment, rows, logits.log_softmax(2), price, 0.0)

    shares = logits.softmax(2).numpy()
    for row in range(3):
        played = list(trajectories(environment, shares[row], row, float(price[row])))
        assert sum(p for p, _ in played) == pytest.approx(1.0)
        assert values[row, 0].item() == pytest.approx(sum(p * r for p, r in played), abs=1e-6)


def test_values_by_hand() -> None:
    """Two pairs, two calls, an even choice everywhere, a price of 0.5."""
    environment = small_environment(n=2, pairs=2, calls=2)
    environment.answer_reward[0] = torch.tensor([0.0, 1.0, 0.0, 0.5])
    environment.costs[0] = torch.tensor([0.2, 0.4])
    rows = torch.tensor([0])
    even = torch.zeros_like(random_logits(environment, rows, 0))
    even[random_logits(environment, rows, 0).isinf()] = -torch.inf

    values, entropy = lattice_values(
        environment, rows, even.log_softmax(2), torch.tensor([0.5]), 0.0
    )

    both = 0.5
    first = 0.5 * 1.0 + 0.5 * (both - 0.2)
    second = 0.5 * 0.0 + 0.5 * (both - 0.1)
    nothing = 0.5 * (first - 0.1) + 0.5 * (second - 0.2)
    assert values[0].tolist() == pytest.approx([nothing, first, second, both])
    assert entropy[0].tolist() == pytest.approx([np.log(2)] * 3 + [0.0], abs=1e-6)


def exact_gradient(
    environment: Environment, rows: torch.Tensor, logits: torch.Tensor, bonus: float
) -> torch.Tensor:
    leaf = logits.clone().requires_grad_()
    price = torch.full((len(rows),), 0.3, dtype=torch.float64)
    values, _ = lattice_values(environment, rows, leaf.log_softmax(2), price, bonus)
    (values[:, 0].sum() + 0.3 * values.sum()).backward()
    return leaf.grad


def test_the_gradient_is_that_of_finite_differences() -> None:
    environment = small_environment(n=2, pairs=3, calls=2)
    environment.answer_reward = environment.answer_reward.double()
    environment.costs = environment.costs.double()
    rows = torch.arange(2)
    logits = random_logits(environment, rows, 1)
    price = torch.full((2,), 0.3, dtype=torch.float64)

    def objective(moved: torch.Tensor) -> float:
        values, _ = lattice_values(environment, rows, moved.log_softmax(2), price, 0.05)
        return float(values[:, 0].sum() + 0.3 * values.sum())

    gradient = exact_gradient(environment, rows, logits, 0.05)

    step = 1e-5
    for place in np.ndindex(*logits.shape):
        if torch.isinf(logits[place]):
            assert gradient[place] == 0
            continue
        up, down = logits.clone(), logits.clone()
        up[place] += step
        down[place] -= step
        slope = (objective(up) - objective(down)) / (2 * step)
        assert gradient[place].item() == pytest.approx(slope, abs=1e-7)


class Table(ByHand):
    """A policy that is a table of logits: every set of pairs of one question has its own."""

    def __init__(self, environment: Environment, logits: torch.Tensor) -> None:
        self._log_policy = logits.log_softmax(1).float()
        self._number = {
            tuple(members): number
            for number, members in enumerate(environment.lattice.members.tolist())
        }

    def read(self, pairs: torch.Tensor) -> Read:
        return Read(pairs, pairs, pairs, pairs)

    def score(self, packed: Packed, read: torch.Tensor) -> SimpleNamespace:
        pairs = packed.pairs.shape[1]
        members = torch.zeros(len(packed.told), pairs, dtype=torch.bool)
        members[packed.called_step, packed.called_reading % pairs] = True
        states = [self._number[tuple(one)] for one in members.tolist()]
        return SimpleNamespace(log_policy=self._log_policy[states], value=torch.zeros(len(states)))


def test_the_gradient_is_the_mean_of_sampled_ones() -> None:
    """Σ_t ∇log π(a_t|s_t) · return over episodes, within five standard errors everywhere."""
    environment = small_environment(n=1, pairs=3, calls=2, seed=3)
    environment.answer_reward[0] = torch.tensor([0.0, 1.0, 0.0, 0.5, 1.0, 0.0, 1.0])
    rows = torch.tensor([0])
    logits = random_logits(environment, rows, 4)
    leaf = logits.clone().requires_grad_()
    price = torch.tensor([0.3], dtype=torch.float64)
    values, _ = lattice_values(environment, rows, leaf.log_softmax(2), price, 0.0)
    values[0, 0].backward()

    count = 20_000
    torch.manual_seed(0)
    episodes = sample(
        environment, Table(environment, logits[0]), torch.zeros(count, dtype=torch.int64),
        torch.full((count,), float(np.log(0.3))),
    )  # fmt: skip
    shares = logits[0].softmax(1)
    gained = episodes.rewards.sum(0).double()
    # ∇log π(a|s) after the logits of s is one at a, minus the shares of s.
    own = torch.zeros(count, *shares.shape, dtype=torch.float64)
    number = torch.arange(count)
    for step in range(len(episodes.states)):
        on = episodes.live[step]
        state, action = episodes.states[step, on], episodes.actions[step, on]
        own[number[on], state] -= shares[state]
        own[number[on], state, action] += 1.0
    own *= gained[:, None, None]

    error = own.std(0) / np.sqrt(count)
    assert (leaf.grad[0] - own.mean(0)).abs().le(5 * error + 1e-9).all()
    assert gained.mean().item() == pytest.approx(
        values[0, 0].item(), abs=5 * float(gained.std()) / np.sqrt(count)
    )
    assert (leaf.grad[0].abs() > 10 * error).any()


def test_few_questions_get_smaller_batches_until_there_are_steps_enough() -> None:
    environment = small_environment()
    few = replace(EXACT, epochs=20, batch=64, least_steps=1)
    one = ExactGradient(environment, few)
    enough = ExactGradient(environment, replace(few, least_steps=31))
    smallest = ExactGradient(environment, replace(few, least_steps=10**6))

    assert (len(one._rows), one.iterations) == (16, 20)
    assert (enough._batch, enough.iterations) == (8, 40)
    assert (smallest._batch, smallest.iterations) == (8, 40)


def test_an_iteration_follows_that_gradient() -> None:
    """One step of plain descent moves the weights by the gradient of the mean value."""
    environment = small_environment()
    training = replace(EXACT, entropy=0.0, restart=0.0, gradient_norm=1e9, batch=99)
    training = replace(training, least_steps=1)
    training = replace(training, network=replace(training.network, dropout=0.0))
    torch.manual_seed(1)
    network = PolicyNetwork(training.network)
    estimator = ExactGradient(environment, training)
    before = {name: weight.detach().clone() for name, weight in network.named_parameters()}
    torch.manual_seed(7)
    rows = estimator._rows[torch.randperm(len(estimator._rows))]
    log_price = random_log_prices(len(rows), training.prices)
    scores = network(environment.everywhere(rows, log_price))
    values, _ = lattice_values(environment, rows, scores.log_policy, log_price.exp(), 0.0)
    wanted = torch.autograd.grad(values[:, 0].mean(), list(network.parameters()), allow_unused=True)

    torch.manual_seed(7)
    metrics = estimator.iterate(network, torch.optim.SGD(network.parameters(), lr=0.1), 1)

    assert metrics["mean_return"] == pytest.approx(values[:, 0].mean().item())
    moved = 0.0
    for (name, weight), slope in zip(network.named_parameters(), wanted, strict=True):
        step = torch.zeros_like(weight) if slope is None else 0.1 * slope
        assert torch.allclose(weight - before[name], step, atol=1e-6), name
        moved += float(step.abs().sum())
    assert moved > 0


def test_sets_that_cannot_be_reached_teach_nothing() -> None:
    """A pair without an outcome cannot be called, so no set with it is begun at."""
    environment = small_environment(n=20, without=(5, 1))
    training = replace(EXACT, entropy=0.0, restart=0.5, batch=99, validation=0.05)
    assert 5 in learning_rows(environment, 0.05, training.seed)[0]
    with_it = environment.lattice.members[:, 1]
    changed = small_environment(n=20, without=(5, 1))
    changed.answer_reward[5, torch.from_numpy(with_it)] = 50.0

    one, other = train_exact(environment, training), train_exact(changed, training)

    for name, weight in one.state_dict().items():
        assert torch.equal(weight, other.state_dict()[name]), name


def test_the_exact_gradient_learns_which_pair_is_right() -> None:
    environment = small_environment(n=40, calls=1)
    environment.answer_reward[:] = torch.tensor([0.0, 0.0, 0.0, 1.0])
    training = replace(EXACT, epochs=12, learning_rate=1e-2)
    network = train_exact(environment, training)

    reached = utilities(network, environment, np.arange(40), (0.01, 0.02))
    assert reached.mean() > 0.9
