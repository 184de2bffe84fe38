"""Strategies played over recorded answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from profiles.policies.strategies import ANSWER, Live
from tasks.learn.rollout import Played, play

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from profiles.policies.strategies import Strategy
    from tasks.learn.environment import Environment


def play_strategy(environment: Environment, rows: NDArray[np.int64], strategy: Strategy) -> Played:
    """Play one episode a question by a strategy.

    Args:
        environment: of the questions.
        rows: (n,) questions.
        strategy: decides; it sees what it would see of a backlog.
    """

    def act(block: Tensor, states: Tensor) -> Tensor:
        actions = strategy.act(live(environment, block, states))
        return torch.from_numpy(np.where(actions == ANSWER, environment.answer, actions))

    return play(environment, rows, act)


def live(environment: Environment, rows: Tensor, states: Tensor) -> Live:
    """What a strategy sees of some questions, each in one set of called pairs."""
    observations = environment.observations
    recorded = environment.recorded
    number, state = rows.numpy(), states.numpy()
    legal = (environment.lattice.successor[state] >= 0) & np.isfinite(recorded.scores[number])
    features = observations.states[rows, states]
    return Live(
        called=environment.lattice.members[state],
        allowed=legal,
        features=features.numpy(),
        confidence=observations.confidence[rows, states].double().numpy(),
        supporters=_supporters(environment, number, state),
        priors=recorded.priors[number],
        components=recorded.components[number],
    )


def _supporters(
    environment: Environment, number: NDArray[np.int64], state: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Called pairs that gave the leading answer."""
    leader = environment.observations.leader[torch.from_numpy(number), torch.from_numpy(state)]
    column = leader.numpy()
    keys = environment.recorded.keys[number]
    own = np.take_along_axis(keys, np.maximum(column, 0)[:, None], axis=1)
    same = (keys == own) & (own >= 0) & environment.lattice.members[state]
    counts: NDArray[np.float64] = np.where(column >= 0, same.sum(axis=1), 0).astype(np.float64)
    return counts
