"""What a policy sees, computed from what is known at that moment: no label is among it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor

    from profiles.policies.aggregator import Posterior
    from profiles.policies.evidence import Evidence

_EDGE = 0.02
"""Priors are kept this far from 0 and 1: a logit must not drown the evidence."""
_EDGE_POSTERIOR = 1e-4
_FREE = 1e-3
"""Added to a cost before its logarithm is taken; free calls are common."""


def logit(probability: Tensor, edge: float) -> Tensor:
    """log(p / (1 − p)), p clipped to [edge, 1 − edge]."""
    clipped = probability.clamp(edge, 1.0 - edge)
    return torch.log(clipped / (1.0 - clipped))


def prior_logits(priors: Tensor) -> Tensor:
    """Logits of prior probabilities."""
    return logit(priors, _EDGE)


def state_features(posterior: Posterior, evidence: Evidence, max_calls: int) -> Tensor:
    """(B, len(STATE_FEATURES)) of B sets of called pairs, scaled to be of order one."""
    support = evidence.supporters.gather(1, posterior.leader[:, None])[:, 0]
    answered = posterior.first > 0
    return torch.stack(
        [
            posterior.first,
            torch.where(answered, logit(posterior.first, _EDGE_POSTERIOR) * 0.3, -1.0),
            posterior.second,
            posterior.none,
            torch.where(answered, support, 0.0) * 0.5,
            evidence.errors * 0.5,
            evidence.distinct * 0.5,
            evidence.calls * 0.3,
            (evidence.calls == 0).to(posterior.first.dtype),
            (max_calls - evidence.calls) * 0.3,
        ],
        dim=1,
    )


def pair_features(priors: Tensor, costs: Tensor, accuracy: Tensor, accuracy_sd: Tensor) -> Tensor:
    """(B, P, len(PAIR_FEATURES)).

    Args:
        priors: (B, P) prior probability that the pair is right on the question.
        costs: (B, P) expected cost in units of the dearest pair's mean.
        accuracy: (P,) training accuracy.
        accuracy_sd: (P,) its standard error.
    """
    logits = prior_logits(priors)
    shape = logits.shape
    return torch.stack(
        [
            logits * 0.5,
            logits - logits.max(dim=1, keepdim=True).values,
            costs,
            torch.log(costs + _FREE) * 0.3,
            (prior_logits(accuracy) * 0.5).expand(shape),
            (accuracy_sd * 10.0).expand(shape),
        ],
        dim=2,
    )


def between_features(members: Tensor, correlation: Tensor) -> Tensor:
    """(S, P, len(BETWEEN_FEATURES)): how pairs err together with the called ones.

    Args:
        members: (S, P) bool, called pairs.
        correlation: (P, P) of correctness; its diagonal is not looked at.
    """
    apart = correlation.clone().fill_diagonal_(0.0)
    called = members.to(apart.dtype)
    count = called.sum(dim=1, keepdim=True).clamp(min=1)
    mean = (called @ apart) / count
    largest = torch.where(members[:, :, None], apart[None], -1.0).max(dim=1).values
    largest = torch.where(members.any(dim=1, keepdim=True), largest, 0.0)
    return torch.stack([mean, largest], dim=2)
