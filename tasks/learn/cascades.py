"""Cascades over recorded answers: every order of a few pairs, and every rule to stop by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import permutations
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tasks.learn.rollout import Played

if TYPE_CHECKING:
    from tasks.learn.environment import Environment

Matrix = NDArray[np.float64]
CascadeName = tuple[tuple[int, ...], int, float]
"""Order, agreement and threshold, as `profiles.policies.strategies.Cascade` takes them."""

THRESHOLDS = (0.5, 0.6, 0.7, 0.8, 0.9)
"""Confidences a cascade may stop at."""


def play_cascades(environment: Environment, longest: int) -> dict[CascadeName, Played]:
    """Every cascade of two or three pairs that stops when two agree or at a confidence.

    All cascades of one order share the sets they pass through, so each order is walked once.
    """
    played: dict[CascadeName, Played] = {}
    pairs = environment.recorded.pairs
    for length in range(2, min(longest, pairs, environment.lattice.max_calls) + 1):
        for order in permutations(range(pairs), length):
            walked = _walk(environment, order)
            if length > 2:
                played[order, 2, 2.0] = _stopped(environment, walked, walked.supporters >= 2)
            elif order[0] < order[1]:
                played[order, 0, 2.0] = _stopped(environment, walked, walked.confidence > 1)
            for threshold in THRESHOLDS:
                enough = walked.confidence >= threshold
                played[order, 0, threshold] = _stopped(environment, walked, enough)
    return played


def best_cascade(
    played: Mapping[CascadeName, Played], price: float, folds: Sequence[NDArray[np.int64]] = ()
) -> tuple[CascadeName, Played]:
    """The cascade of the best utility, and what choosing so came to.

    The best of hundreds is flattered by having been chosen. With folds, what is returned of each
    fold's questions is what the cascade did there that was best on all the others.

    Args:
        played: see `play_cascades`.
        price: of a unit of cost.
        folds: questions of each; every question in one of them.
    """
    names = list(played)
    utility = np.stack([one.score - price * one.cost for one in played.values()])
    best = names[int(utility.mean(axis=1).argmax())]
    if not folds:
        return best, played[best]
    total = utility.sum(axis=1)
    chosen = [(held, names[int((total - utility[:, held].sum(axis=1)).argmax())]) for held in folds]
    return best, patched(played, chosen)


def patched(
    played: Mapping[CascadeName, Played], chosen: Sequence[tuple[NDArray[np.int64], CascadeName]]
) -> Played:
    """One outcome a question, of the cascade that was chosen for its rows.

    Args:
        played: every cascade on all n questions.
        chosen: rows and their cascade; every question in one of them.
    """
    n = len(next(iter(played.values())).score)
    score, cost, calls, leader = np.zeros(n), np.zeros(n), np.zeros(n), np.zeros(n, np.int64)
    for rows, name in chosen:
        one = played[name]
        score[rows], cost[rows], calls[rows] = one.score[rows], one.cost[rows], one.calls[rows]
        leader[rows] = one.leader[rows]
    return Played(score, cost, calls, leader)


class _Walked(NamedTuple):
    """An order of L pairs called to its end, for n questions; all arrays are (L, n)."""

    states: NDArray[np.int64]
    """Set of called pairs after each of them."""
    cost: Matrix
    """Of all calls so far."""
    confidence: Matrix
    supporters: NDArray[np.int64]


def _walk(environment: Environment, order: tuple[int, ...]) -> _Walked:
    """Call every pair of an order where it may be called."""
    recorded, lattice = environment.recorded, environment.lattice
    rows = np.arange(len(recorded))
    keys = recorded.keys
    states, total = np.zeros(len(rows), np.int64), np.zeros(len(rows))
    steps = []
    for pair in order:
        may = np.isfinite(recorded.scores[:, pair])
        states = np.where(may, lattice.successor[states, pair], states)
        total = total + np.where(may, recorded.costs[:, pair], 0.0)
        leader = environment.observations.leader.numpy()[rows, states]
        own = keys[rows, np.maximum(leader, 0)][:, None]
        same = ((keys == own) & (own >= 0) & lattice.members[states]).sum(axis=1)
        confidence = environment.observations.confidence.numpy()[rows, states].astype(np.float64)
        steps.append((states, total, confidence, np.where(leader >= 0, same, 0)))
    return _Walked(*(np.stack(part) for part in zip(*steps, strict=True)))


def _stopped(environment: Environment, walked: _Walked, enough: NDArray[np.bool_]) -> Played:
    """Episodes that end at the first step with enough, or at the last one."""
    rows = np.arange(enough.shape[1])
    last = np.where(enough.any(axis=0), enough.argmax(axis=0), len(enough) - 1)
    states = walked.states[last, rows]
    return Played(
        environment.answer_reward.numpy()[rows, states].astype(np.float64),
        walked.cost[last, rows],
        environment.lattice.size[states].astype(np.float64),
        environment.observations.leader.numpy()[rows, states],
    )
