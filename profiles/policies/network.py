"""The compact policy: scores every pair from its features, at any price of money.

Permutation-equivariant over pairs: a pair is what its features say (its prior on the question, its
price, its training accuracy with its uncertainty, how it errs together with the pairs called
already), never a position. Pairs added or removed after training are scored like any other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import nn
from torch.nn import functional

if TYPE_CHECKING:
    from torch import Tensor

STATE_FEATURES = (
    "first",
    "first_logit",
    "second",
    "none",
    "supporters",
    "errors",
    "distinct",
    "calls",
    "nothing_called",
    "calls_left",
)
PAIR_FEATURES = (
    "prior_logit",
    "prior_below_best",
    "cost",
    "log_cost",
    "accuracy_logit",
    "accuracy_sd",
)
BETWEEN_FEATURES = ("correlation_with_called", "largest_correlation_with_called")
"""Of an uncalled pair beside the called ones."""


@dataclass(frozen=True, slots=True)
class NetworkSettings:
    """Shape of the network.

    Attributes:
        hidden: units of every hidden layer.
        dropout: while training.
        components: principal components of the embedding that a state holds; 0 hides the question.
        price_pull: how strongly the price of a call lowers its logit before anything is learnt.
    """

    hidden: int = 64
    dropout: float = 0.1
    components: int = 8
    price_pull: float = 10.0


class Situation(NamedTuple):
    """What the policy sees of B questions in S states each, with P pairs."""

    states: Tensor
    """(B, S, len(STATE_FEATURES))."""
    components: Tensor
    """(B, components) of the questions' embeddings."""
    pairs: Tensor
    """(B, P, len(PAIR_FEATURES))."""
    between: Tensor
    """(S, P, len(BETWEEN_FEATURES)), or (B, S, P, …) where states differ by question."""
    members: Tensor
    """(S, P) or (B, S, P) bool: called already."""
    legal: Tensor
    """(S, P) or (B, S, P) bool: may be called next."""
    may_answer: Tensor
    """(S,) or (B, S) bool: whether answering is allowed."""
    cost: Tensor
    """(B, P) expected cost of a call, in units of the dearest pair's mean cost."""
    log_price: Tensor
    """(B,) natural logarithm of the price: points of reward for one unit of cost."""


class Scores(NamedTuple):
    """Log-probabilities of the actions, and the critic's value."""

    log_policy: Tensor
    """(B, S, P + 1): calling each pair, then answering; -inf where not allowed."""
    value: Tensor
    """(B, S)."""


class PolicyNetwork(nn.Module):
    """Actor and critic over called sets."""

    def __init__(self, settings: NetworkSettings | None = None) -> None:
        super().__init__()
        self.settings = settings = settings or NetworkSettings()
        hidden = settings.hidden
        self.state = nn.Sequential(
            nn.Linear(len(STATE_FEATURES) + settings.components + 1, hidden),
            nn.GELU(),
            nn.Dropout(settings.dropout),
            nn.Linear(hidden, hidden),
        )
        self.pair = nn.Sequential(
            nn.Linear(len(PAIR_FEATURES), hidden), nn.GELU(), nn.Linear(hidden, hidden)
        )
        self.called = nn.Linear(hidden, hidden, bias=False)
        self.between = nn.Linear(len(BETWEEN_FEATURES), hidden, bias=False)
        self.call = nn.Linear(hidden, 1)
        self.answer = nn.Sequential(nn.GELU(), nn.Linear(hidden, 1))
        self.critic = nn.Sequential(nn.GELU(), nn.Linear(hidden, 1))
        self.pull = nn.Parameter(torch.zeros(()))

    def forward(self, situation: Situation) -> Scores:
        """Score every action in every state."""
        return self.score(situation, self.pair(situation.pairs))

    def score(self, situation: Situation, pairs: Tensor) -> Scores:
        """Score every action in every state, of pairs that `self.pair` has read already.

        Args:
            situation: its `pairs` are not looked at.
            pairs: (B, P, hidden).
        """
        state = self._states(situation, pairs)
        mixed = functional.gelu(
            state[:, :, None, :] + pairs[:, None, :, :] + self.between(situation.between)
        )
        calls = self.call(mixed)[..., 0]
        # Both heads of a state begin with the same activation.
        active = self.answer[0](state)
        price = situation.log_price.exp()[:, None]
        pull = self.settings.price_pull * functional.softplus(self.pull)
        calls = calls - (pull * price * situation.cost)[:, None, :]
        calls = calls.masked_fill(~situation.legal, -torch.inf)
        answer = self.answer[1](active)
        answer = answer.masked_fill(~situation.may_answer[..., None], -torch.inf)
        actions = torch.cat([calls, answer], dim=2)
        return Scores(actions.log_softmax(dim=2), self.critic[1](active)[..., 0])

    def _states(self, situation: Situation, pairs: Tensor) -> Tensor:
        told = told_of(situation)
        members = situation.members.to(pairs.dtype)
        # The sum over called pairs and the linear layer may change places: the layer goes over
        # whichever is fewer, the states of a question or its pairs.
        if members.dim() == 3:
            called = self.called((members[..., None] * pairs[:, None]).sum(dim=2))
        else:
            called = members @ self.called(pairs)
        state: Tensor = self.state(told) + called
        return state


def told_of(situation: Situation) -> Tensor:
    """(B, S, D) what the state layers read: the state, components of the question, the price."""
    questions, states = situation.states.shape[:2]
    common = torch.cat([situation.components * 0.3, situation.log_price[:, None]], dim=1)
    return torch.cat([situation.states, common[:, None, :].expand(questions, states, -1)], dim=2)
