"""The exact offline environment: every episode over recorded answers, simulated for free.

A state is the set of pairs called so far. What a policy observes of it is computed from answer
keys, priors and prices alone; recorded scores enter only the reward. At most T calls, then an
answer: the aggregator's leading one. Thinking costs nothing and changes nothing here, so it is not
an action of its own: a compact policy thinks by being evaluated.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

from profiles.policies.evidence import Evidence, gather_evidence
from profiles.policies.network import Situation
from profiles.policies.situation import (
    between_features,
    pair_features,
    prior_logits,
    state_features,
)

if TYPE_CHECKING:
    from torch import Tensor

    from profiles.policies.guide import Judge
    from profiles.policies.lattice import Lattice
    from tasks.learn.recorded import RecordedAnswers

_BATCH = 128
"""Questions whose whole lattice is evaluated at once."""


class Step(NamedTuple):
    """What an action led to, for B episodes."""

    state: Tensor
    """(B,) int64."""
    reward: Tensor
    """(B,): the answer's score when answering, minus the priced cost when calling."""
    done: Tensor
    """(B,) bool."""


@dataclass(frozen=True, slots=True)
class Observations:
    """What can be seen of every question in every set of called pairs. No label is in it.

    Attributes:
        states: (n, S, len(STATE_FEATURES)) float32.
        leader: (n, S) int64, column of a pair that gave the leading answer; -1 without one.
        confidence: (n, S) float32, probability of the leading answer.
    """

    states: Tensor
    leader: Tensor
    confidence: Tensor


@torch.no_grad()
def observe(recorded: RecordedAnswers, lattice: Lattice, judge: Judge) -> Observations:
    """Evaluate the aggregator, or another judge, on every called set of every question.

    Reads keys, priors and components of `recorded`, and never its scores.
    """
    if isinstance(judge, torch.nn.Module):
        judge.eval()
    n, size = len(recorded), len(lattice)
    slots = torch.from_numpy(lattice.slots)
    states, leaders, confidence = [], [], []
    for start in range(0, n, _BATCH):
        rows = torch.arange(start, min(start + _BATCH, n))
        evidence, components = evidence_of(
            recorded, rows.repeat_interleave(size), slots.repeat(len(rows), 1)
        )
        posterior = judge.posterior(evidence, components)
        states.append(
            state_features(posterior, evidence, lattice.max_calls).view(len(rows), size, -1)
        )
        column = slots.repeat(len(rows), 1).gather(1, posterior.leader[:, None])[:, 0]
        leaders.append(column.masked_fill(posterior.first == 0, -1).view(len(rows), size))
        confidence.append(posterior.first.view(len(rows), size))
    return Observations(torch.cat(states), torch.cat(leaders), torch.cat(confidence))


def evidence_of(recorded: RecordedAnswers, rows: Tensor, slots: Tensor) -> tuple[Evidence, Tensor]:
    """Evidence of one called set a question.

    Args:
        recorded: the answers.
        rows: (B,) questions.
        slots: (B, T) pairs of each set, -1 where there is none.

    Returns:
        Evidence of B sets, and (B, C) components of their questions.
    """
    number, column = rows.numpy()[:, None], slots.clamp(min=0).numpy()
    keys = torch.from_numpy(recorded.keys[number, column])
    priors = torch.from_numpy(recorded.priors[number, column]).float()
    evidence = gather_evidence(keys, prior_logits(priors), slots >= 0)
    return evidence, torch.from_numpy(recorded.components[rows.numpy()]).float()


class Environment:
    """Episodes over recorded answers, batched.

    Args:
        recorded: the questions; their scores are used for rewards only.
        lattice: of called sets, over the same pairs.
        observations: of every question in every set.

    Attributes:
        answer_reward: (n, S) recorded score of the answer that a row in this state is given: the
            leading one, and where pairs that gave it were scored differently, their mean; without
            any answer that has a key, that of the likeliest called pair, as in
            `tasks.trajectory.walk`; 0 where nothing was called. A failed call scored 0, so that a
            likeliest pair that failed counts 0, though a row then gets what another pair said.
    """

    def __init__(
        self, recorded: RecordedAnswers, lattice: Lattice, observations: Observations
    ) -> None:
        self.recorded = recorded
        self.lattice = lattice
        self.observations = observations
        self.answer_reward = _answer_rewards(recorded, lattice, observations)
        self.costs = torch.from_numpy(recorded.costs).float()
        self.successor = torch.from_numpy(lattice.successor)
        self.available = torch.from_numpy(np.isfinite(recorded.scores))
        means = self.costs.mean(0)
        self.expected_costs = means.expand(len(recorded), -1)
        self._pairs = pair_features(
            torch.from_numpy(recorded.priors).float(),
            self.expected_costs,
            torch.from_numpy(recorded.accuracy).float(),
            torch.from_numpy(recorded.accuracy_sd).float(),
        )
        self._members = torch.from_numpy(lattice.members)
        self._between = between_features(
            self._members, torch.from_numpy(recorded.correlation).float()
        )
        self._components = torch.from_numpy(recorded.components).float()
        self._may_answer = torch.from_numpy(lattice.size > 0)

    def show_pairs(self, features: Tensor) -> None:
        """Let pairs look like (P, len(PAIR_FEATURES)) features, alike for every question.

        How they err together is hidden, too: for trials of what a policy needs to know of pairs.
        """
        self._pairs = features.expand(len(self.recorded), -1, -1)
        self._between = torch.zeros_like(self._between)

    @property
    def answer(self) -> int:
        """Number of the action that answers; smaller ones call the pair of that number."""
        return self.lattice.pairs

    def everywhere(self, rows: Tensor, log_price: Tensor) -> Situation:
        """Some questions in every set: (B, S)."""
        return Situation(
            states=self.observations.states[rows],
            components=self._components[rows],
            pairs=self._pairs[rows],
            between=self._between,
            members=self._members,
            legal=(self.successor >= 0) & self.available[rows][:, None, :],
            may_answer=self._may_answer.expand(len(rows), -1),
            cost=self.expected_costs[rows],
            log_price=log_price,
        )

    def situation(self, rows: Tensor, states: Tensor, log_price: Tensor) -> Situation:
        """Some questions in one set each: (B, 1)."""
        legal = (self.successor[states] >= 0) & self.available[rows]
        return Situation(
            states=self.observations.states[rows, states][:, None],
            components=self._components[rows],
            pairs=self._pairs[rows],
            between=self._between[states][:, None],
            members=self._members[states][:, None],
            legal=legal[:, None],
            may_answer=self._may_answer[states][:, None],
            cost=self.expected_costs[rows],
            log_price=log_price,
        )

    def step(self, rows: Tensor, states: Tensor, actions: Tensor, price: Tensor) -> Step:
        """Take one action in each of B episodes.

        Args:
            rows: (B,) questions.
            states: (B,) sets called so far.
            actions: (B,) a pair to call, or `answer`.
            price: (B,) points of reward for one unit of cost.
        """
        answers = actions == self.answer
        pair = actions.clamp(max=self.answer - 1)
        following = torch.where(answers, states, self.successor[states, pair])
        paid = price * self.costs[rows, pair]
        reward = torch.where(answers, self.answer_reward[rows, states], -paid)
        return Step(following, reward, answers)


def _answer_rewards(
    recorded: RecordedAnswers, lattice: Lattice, observations: Observations
) -> Tensor:
    """(n, S) mean recorded score of the called pairs that gave the answer given."""
    leader = observations.leader.numpy()
    scores = np.nan_to_num(recorded.scores)
    rewards = np.zeros(leader.shape, np.float32)
    for column in range(recorded.pairs):
        own = recorded.keys[:, [column]]
        same = (recorded.keys == own) & (own >= 0) & np.isfinite(recorded.scores)
        votes = same.astype(np.float64) @ lattice.members.T
        sums = (same * scores) @ lattice.members.T
        leads = leader == column
        rewards[leads] = (sums / np.maximum(votes, 1))[leads]
    rows, sets = np.nonzero((leader < 0) & (lattice.size > 0))
    likeliest = np.where(lattice.members[sets], recorded.priors[rows], -np.inf).argmax(axis=1)
    rewards[rows, sets] = scores[rows, likeliest]
    return torch.from_numpy(rewards)
