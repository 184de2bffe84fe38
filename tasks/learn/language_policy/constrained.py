"""Log-probabilities under the constraint that sampling was under.

Where only some tokens could come, the policy drew from its distribution renormalised over them.
Learning from the bare log-probability instead would push names against tokens that could not be
written at all, and the gradient of ∑ log π over a constrained draw would not have mean zero.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch

from tasks.learn.language_policy.pair_names import Constraint, constrained

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor


class TokenValues(NamedTuple):
    """Of B sequences of C tokens after the prompt."""

    log_probs: Tensor
    """(B, C)."""
    entropies: Tensor | None
    """(B, C) entropy of the distribution that each token was drawn from."""


def renormalised(
    values: TokenValues,
    hidden: Tensor,
    head: torch.nn.Linear,
    tokens: Tensor,
    constraints: Sequence[Mapping[int, Constraint]],
    temperature: float,
) -> TokenValues:
    """Replace the values of constrained tokens by those under their constraints.

    Args:
        values: without constraints.
        hidden: (B, C, H) states that predict each of the tokens.
        head: from states to logits.
        tokens: (B, C).
        constraints: per sequence, by position.
        temperature: that logits are divided by.
    """
    places = [
        (row, place, limit)
        for row, limits in enumerate(constraints)
        for place, limit in limits.items()
        if place < tokens.shape[1]
    ]
    if not places:
        return values
    rows = torch.tensor([row for row, _, _ in places], device=tokens.device)
    columns = torch.tensor([place for _, place, _ in places], device=tokens.device)
    limits_of = [limit for _, _, limit in places]
    log_probs, entropies = _under(
        limits_of, hidden[rows, columns], head, tokens[rows, columns], temperature
    )
    place = rows, columns
    return TokenValues(
        values.log_probs.index_put(place, log_probs.to(values.log_probs.dtype)),
        None
        if values.entropies is None
        else values.entropies.index_put(place, entropies.to(values.entropies.dtype)),
    )


def _under(
    limits: Sequence[Constraint],
    hidden: Tensor,
    head: torch.nn.Linear,
    tokens: Tensor,
    temperature: float,
) -> tuple[Tensor, Tensor]:
    """(N,) log-probabilities and entropies of N tokens, each under its constraint."""
    log_probs = hidden.new_zeros(len(limits), dtype=torch.float32)
    entropies = torch.zeros_like(log_probs)
    # A token without an alternative has probability 1: no logits are needed, and no gradient.
    free = torch.tensor([n for n, limit in enumerate(limits) if not limit.forced])
    if not len(free):
        return log_probs, entropies
    free = free.to(tokens.device)
    logits = head(hidden[free].to(head.weight.dtype)).float() / temperature
    allowed = torch.stack(
        [constrained(one, limits[n]) for one, n in zip(logits, free.tolist(), strict=True)]
    )
    spread = torch.log_softmax(allowed, dim=-1)
    # A token that cannot come adds 0 · −∞, which is to be 0 and not NaN, also backwards.
    finite = torch.where(spread.isfinite(), spread, 0.0)
    entropy = -(spread.exp() * finite).sum(dim=-1)
    chosen = spread.gather(1, tokens[free][:, None])[:, 0]
    return log_probs.index_put((free,), chosen), entropies.index_put((free,), entropy)
