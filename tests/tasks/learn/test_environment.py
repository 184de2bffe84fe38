from __future__ import annotations

import numpy as np
import pytest
import torch

from profiles.policies.aggregator import Aggregator
from profiles.policies.lattice import build_lattice
from tasks.learn.environment import Environment, observe
from tasks.learn.exact_gradient import lattice_values
from tasks.learn.recorded import RecordedAnswers, candidate_pairs, code_keys, cost_units


def made_answers(n: int = 40, pairs: int = 4, seed: int = 0) -> RecordedAnswers:
    """Pairs of rising skill; a right answer is key 0, wrong ones are drawn from three others."""
    random = np.random.default_rng(seed)
    skill = np.linspace(0.4, 0.8, pairs)
    scores = (random.random((n, pairs)) < skill).astype(float)
    keys = np.where(scores > 0, 0, random.integers(1, 4, (n, pairs)))
    keys[random.random((n, pairs)) < 0.05] = -1
    scores[keys < 0] = 0.0
    costs = np.broadcast_to(np.linspace(0.1, 1.0, pairs), (n, pairs)).copy()
    return RecordedAnswers(
        keys.astype(np.int64), scores, costs,
        np.broadcast_to(skill, (n, pairs)).copy(), random.normal(size=(n, 8)),
        skill, np.full(pairs, 0.05), np.eye(pairs), 0.01,
    )  # fmt: skip


def made_environment(recorded: RecordedAnswers, calls: int = 3) -> Environment:
    torch.manual_seed(1)
    lattice = build_lattice(recorded.pairs, calls)
    return Environment(recorded, lattice, observe(recorded, lattice, Aggregator()))


def test_labels_are_never_observed() -> None:
    """Permuting every label changes rewards and not one observation."""
    recorded = made_answers()
    shuffled = RecordedAnswers(
        **{
            **{name: getattr(recorded, name) for name in recorded.__slots__},
            "scores": recorded.scores[np.random.default_rng(9).permutation(len(recorded))],
        }
    )
    one, other = made_environment(recorded), made_environment(shuffled)
    rows, price = torch.arange(len(recorded)), torch.zeros(len(recorded))

    for mine, theirs in zip(
        one.everywhere(rows, price), other.everywhere(rows, price), strict=True
    ):
        assert torch.equal(mine, theirs)
    assert torch.equal(one.observations.leader, other.observations.leader)
    assert not torch.equal(one.answer_reward, other.answer_reward)


def test_an_answer_earns_the_recorded_score_of_its_leader_or_of_the_likeliest_pair() -> None:
    recorded = made_answers()
    environment = made_environment(recorded)

    leader = environment.observations.leader
    assert (leader[:, 0] == -1).all()
    unkeyed = np.flatnonzero((recorded.keys < 0).any(axis=1))[:5]
    without = 0
    for row in (*range(5), *unkeyed):
        for state in range(len(environment.lattice)):
            column = int(leader[row, state])
            called = environment.lattice.members[state]
            wanted = 0.0
            if column < 0 and called.any():
                likeliest = max(np.flatnonzero(called), key=lambda one: recorded.priors[row, one])
                wanted = recorded.scores[row, likeliest]
                without += 1
            elif column >= 0:
                same = called & (recorded.keys[row] == recorded.keys[row, column])
                wanted = recorded.scores[row, same].mean()
            assert environment.answer_reward[row, state].item() == pytest.approx(wanted)
    assert without


def test_steps_follow_the_lattice_and_are_paid_for() -> None:
    recorded = made_answers()
    environment = made_environment(recorded)
    rows = torch.tensor([3, 3])
    price = torch.tensor([0.5, 0.5])

    first = environment.step(rows, torch.zeros(2, dtype=torch.int64), torch.tensor([2, 2]), price)
    last = environment.step(rows, first.state, torch.tensor([environment.answer, 0]), price)

    assert first.reward.tolist() == pytest.approx([-0.5 * recorded.costs[3, 2]] * 2)
    assert first.done.tolist() == [False, False]
    assert last.done.tolist() == [True, False]
    assert last.reward[0].item() == environment.answer_reward[3, first.state[0]].item()
    assert environment.lattice.members[last.state[1]].tolist() == [True, False, True, False]


def test_a_pair_without_an_outcome_cannot_be_called() -> None:
    recorded = made_answers()
    recorded.scores[5, 1] = np.nan
    environment = made_environment(recorded)

    legal = environment.everywhere(torch.tensor([5]), torch.zeros(1)).legal

    assert not legal[0, :, 1].any()
    assert legal[0, 0].tolist() == [True, False, True, True]


def test_values_are_those_of_a_policy_played_out_by_hand() -> None:
    recorded = made_answers(n=6, pairs=3)
    environment = made_environment(recorded, calls=2)
    lattice = environment.lattice
    rows = torch.arange(6)
    situation = environment.everywhere(rows, torch.full((6,), -1.0))
    torch.manual_seed(3)
    logits = torch.randn(6, len(lattice), lattice.pairs + 1)
    logits[:, :, : lattice.pairs].masked_fill_(~situation.legal, -torch.inf)
    logits[:, :, lattice.pairs].masked_fill_(~situation.may_answer, -torch.inf)
    price = torch.full((6,), 0.3)

    values, entropy = lattice_values(environment, rows, logits.log_softmax(2), price, 0.1)

    shares = logits.softmax(2).double().numpy()

    def by_hand(row: int, state: int) -> float:
        own = shares[row, state]
        plain = own[own > 0]
        total = 0.1 * float(-(plain * np.log(plain)).sum())
        total += own[-1] * float(environment.answer_reward[row, state])
        for pair in range(lattice.pairs):
            after = int(lattice.successor[state, pair])
            if after >= 0:
                total += own[pair] * (by_hand(row, after) - 0.3 * recorded.costs[row, pair])
        return total

    for row in range(6):
        for state in range(len(lattice)):
            assert values[row, state].item() == pytest.approx(by_hand(row, state), abs=1e-5)
    assert (entropy >= -1e-6).all()


def test_costs_become_units_of_the_dearest_pair() -> None:
    costs = np.array([[1.0, 4.0], [3.0, np.nan], [np.nan, 100.0]])
    train = np.array([True, True, False])

    scale = cost_units(costs, train)

    assert scale.unit_usd == 4.0
    assert scale.units.tolist() == [[0.25, 1.0], [0.75, 1.0], [0.5, 25.0]]


def test_without_any_cost_a_call_is_a_unit_and_free_calls_stay_free() -> None:
    train = np.ones(2, bool)

    assert cost_units(np.full((2, 2), np.nan), train).units.tolist() == [[1.0, 1.0]] * 2
    assert cost_units(np.zeros((2, 2)), train).units.tolist() == [[0.0, 0.0]] * 2


def test_candidates_complement_each_other() -> None:
    scores = np.array([[1, 1, 0, 0], [1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 1, 0]], float)
    costs = np.full((4, 4), 0.1)

    assert candidate_pairs(scores, costs, np.array([0.1]), 2).tolist() == [0, 2]
    assert candidate_pairs(scores, costs, np.array([0.1]), 9).tolist() == [0, 1, 2, 3]


def test_the_best_cheap_pair_is_a_candidate_however_lucky_weak_ones_are() -> None:
    """By the oracle alone, pairs that are right where all others fail crowd out a strong one."""
    random = np.random.default_rng(2)
    skill = np.array([0.9, 0.8, 0.5, 0.5, 0.5, 0.5])
    scores = (random.random((400, 6)) < skill).astype(float)
    # The strong cheap pair is right where the dear one is, so it complements nothing.
    scores[:, 1] = scores[:, 0] * (random.random(400) < 0.9)
    costs = np.broadcast_to([1.0, 0.05, 0.04, 0.04, 0.04, 0.04], (400, 6))

    chosen = candidate_pairs(scores, costs, np.array([0.002, 0.02, 0.3]), 3).tolist()

    assert chosen[:2] == [0, 1]


def test_keys_are_numbered_by_first_appearance() -> None:
    assert code_keys([["b", None, "a", "b"], [None] * 4]).tolist() == [[0, -1, 1, 0], [-1] * 4]
