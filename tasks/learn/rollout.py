"""Running a policy over recorded answers: what it answers, what that costs."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray
    from torch import Tensor

    from profiles.policies.network import PolicyNetwork
    from tasks.learn.environment import Environment

BLOCK = 512
"""Questions that are played at once."""


class Played(NamedTuple):
    """How episodes ended; every array is (n,)."""

    score: NDArray[np.float64]
    """Recorded score of the answer given."""
    cost: NDArray[np.float64]
    """Of all calls, in units."""
    calls: NDArray[np.float64]
    leader: NDArray[np.int64]
    """Column of a pair that gave the answer; -1 without one."""

    def utility(self, price: float) -> float:
        """Mean of score − price × cost."""
        return float((self.score - price * self.cost).mean())


@torch.no_grad()
def play(
    environment: Environment,
    rows: NDArray[np.int64],
    act: Callable[[Tensor, Tensor], Tensor],
) -> Played:
    """Play one episode a question.

    Args:
        environment: of the questions.
        rows: (n,) questions.
        act: (B,) questions and (B,) sets called so far to (B,) actions.
    """
    parts = []
    for start in range(0, len(rows), BLOCK):
        block = torch.from_numpy(rows[start : start + BLOCK])
        states = torch.zeros(len(block), dtype=torch.int64)
        cost = torch.zeros(len(block))
        live = torch.ones(len(block), dtype=torch.bool)
        score = torch.zeros(len(block))
        nothing = torch.zeros(len(block))
        for _ in range(environment.lattice.max_calls + 1):
            step = environment.step(block, states, act(block, states), nothing)
            calling = live & ~step.done
            pair = _pair_called(environment, states, step.state)
            cost += torch.where(calling, environment.costs[block, pair], 0.0)
            score = torch.where(live & step.done, step.reward, score)
            states = torch.where(calling, step.state, states)
            live &= ~step.done
            if not bool(live.any()):
                break
        calls = torch.from_numpy(environment.lattice.size)[states]
        leader = environment.observations.leader[block, states]
        parts.append((score, cost, calls, leader))
    columns = [torch.cat(column) for column in zip(*parts, strict=True)]
    return Played(
        columns[0].double().numpy(),
        columns[1].double().numpy(),
        columns[2].double().numpy(),
        columns[3].numpy(),
    )


def _pair_called(environment: Environment, before: Tensor, after: Tensor) -> Tensor:
    members = torch.from_numpy(environment.lattice.members)
    return (members[after] & ~members[before]).int().argmax(dim=1)


def greedy(
    network: PolicyNetwork, environment: Environment, price: float | NDArray[np.float64]
) -> Callable[[Tensor, Tensor], Tensor]:
    """The policy's most probable action at that price.

    Args:
        network: the policy.
        environment: of the questions.
        price: one, or one for each of the at most `BLOCK` questions that are going to be played.
    """
    network.eval()
    log_price = torch.from_numpy(np.log(np.atleast_1d(price))).float()

    def act(rows: Tensor, states: Tensor) -> Tensor:
        situation = environment.situation(rows, states, log_price.expand(len(rows)))
        actions: Tensor = network(situation).log_policy[:, 0].argmax(dim=1)
        return actions

    return act
