"""The toy's optimum is the one worked out by hand, and both estimators come to it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from benchmarks import toy
from tasks.learn.rollout import play

COMPARE, PLAIN, HOPELESS = range(3)


def by_hand(price: float) -> float:
    """Two small calls on `compare`, a large one where they differ; one small call elsewhere.

    On `compare` two answers agree in 9 of 16 questions, then both are right. Otherwise a third is
    asked: with exactly one right so far (3/8) it decides where it is right too (3/4); where it is
    wrong three answers differ, and the first is taken, right half of the time.
    """
    right = 9 / 16 + 3 / 8 * 3 / 4 + 3 / 8 * 1 / 4 * 1 / 2
    paid = 0.1 + 0.15 + 7 / 16 * 0.6
    compare = max(right - price * paid, 0.75 - price * 0.1)
    return (compare + (1.0 - price * 0.1) + (0.5 - price * 0.1)) / 3


@pytest.mark.parametrize("price", [0.02, 0.05, 0.2, 0.5, 2.0])
def test_the_optimum_is_that_worked_out_by_hand(price: float) -> None:
    assert toy.optimal_return(price) == pytest.approx(by_hand(price))


def test_every_kind_of_question_wants_another_policy() -> None:
    """A second call pays on one kind, `none` is best on another, stopping early on the third."""
    keys, scores, kinds = toy.answers()
    compare, plain = scores[kinds == COMPARE], scores[kinds == PLAIN]

    assert compare.mean(axis=0).tolist() == [0.75] * 4
    assert plain.mean(axis=0).tolist() == [1.0, 0.0, 1.0, 0.0]
    assert (keys[kinds == HOPELESS] == 0).all()
    assert scores[kinds == HOPELESS].mean() == 0.5


def test_no_fixed_sequence_of_calls_comes_near() -> None:
    """The best policy that does not look at anything reaches less than 97 % of the optimum."""
    environment = toy.environment()
    rows = np.arange(len(environment.recorded))
    best = -np.inf
    for members in environment.lattice.members[1:]:
        order = np.flatnonzero(members).tolist()

        def act(
            block: torch.Tensor, states: torch.Tensor, order: list[int] = order
        ) -> torch.Tensor:
            calls = environment.lattice.size[states]
            plan = np.array([*order, environment.answer])
            return torch.from_numpy(plan[np.minimum(calls, len(order))])

        played = play(environment, rows, act)
        best = max(best, played.utility(0.05))
    assert best < 0.97 * toy.optimal_return(0.05)


@pytest.mark.long
@pytest.mark.parametrize("estimator", ["exact", "ppo"])
def test_both_estimators_reach_the_optimum(estimator: str) -> None:
    reached = toy.train(estimator, seed=0)

    assert toy.SHARE <= reached.share <= 1.0 + 1e-6
