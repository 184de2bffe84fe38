"""Many steps of episodes side by side, and nothing among them that need not be computed.

A step has up to P calls that may be made, and with every call that was made there is one fewer. A
dense batch scores all P and bars the rest afterwards; packed steps list the calls that may be made,
and those that were made, one after the other. Steps lie episode by episode, so that a group of
episodes is a slice of every tensor: nothing is gathered for a minibatch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch

from profiles.policies.network import told_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor

    from profiles.policies.network import Situation


class Packed(NamedTuple):
    """N steps of E episodes with P pairs: M calls that may be made, K that were made before."""

    told: Tensor
    """(N, D) what the network's state layers read."""
    may_answer: Tensor
    """(N,) bool."""
    pairs: Tensor
    """(E, P, len(PAIR_FEATURES))."""
    step: Tensor
    """(M,) step of a call that may be made, never falling."""
    pair: Tensor
    """(M,) pair that it calls."""
    reading: Tensor
    """(M,) where that pair of that episode stands among the E · P."""
    between: Tensor
    """(M, len(BETWEEN_FEATURES)) of that pair beside those called already."""
    priced: Tensor
    """(M,) price × expected cost of the call."""
    called_step: Tensor
    """(K,) step that knows of a call made before, never falling."""
    called_reading: Tensor
    """(K,) where the pair called stands among the E · P."""


def pack(situation: Situation, pairs: Tensor, owner: Tensor) -> Packed:
    """Pack N steps.

    Args:
        situation: of N questions in one state each; its `pairs` are not looked at.
        pairs: (E, P, len(PAIR_FEATURES)) of every episode.
        owner: (N,) episode of each step, never falling.
    """
    count = pairs.shape[1]
    legal, members = situation.legal[:, 0], situation.members[:, 0]
    step, pair = legal.nonzero(as_tuple=True)
    called_step, called = members.nonzero(as_tuple=True)
    flat = step * count + pair
    priced = situation.log_price.exp()[:, None] * situation.cost
    return Packed(
        told_of(situation)[:, 0],
        situation.may_answer[:, 0],
        pairs,
        step,
        pair,
        owner.index_select(0, step) * count + pair,
        situation.between.flatten(0, 2).index_select(0, flat),
        priced.flatten().index_select(0, flat),
        called_step,
        owner.index_select(0, called_step) * count + called,
    )


def groups(packed: Packed, owner: Tensor, count: int) -> Iterator[tuple[slice, Packed]]:
    """Whole episodes in `count` groups as even as can be, and which steps are theirs.

    Args:
        packed: steps of E episodes.
        owner: (N,) episode of each step, never falling; every episode has one.
        count: of groups.
    """
    episodes, pairs = packed.pairs.shape[:2]
    sizes = [len(part) for part in torch.arange(episodes).tensor_split(count)]
    ends = torch.tensor([0, *sizes]).cumsum(0)
    steps = torch.searchsorted(owner, ends)
    options = torch.searchsorted(packed.step, steps).tolist()
    called = torch.searchsorted(packed.called_step, steps).tolist()
    at, first = ends.tolist(), steps.tolist()
    for k in range(count):
        own, may = slice(first[k], first[k + 1]), slice(options[k], options[k + 1])
        made = slice(called[k], called[k + 1])
        yield (
            own,
            Packed(
                packed.told[own],
                packed.may_answer[own],
                packed.pairs[at[k] : at[k + 1]],
                packed.step[may] - first[k],
                packed.pair[may],
                packed.reading[may] - at[k] * pairs,
                packed.between[may],
                packed.priced[may],
                packed.called_step[made] - first[k],
                packed.called_reading[made] - at[k] * pairs,
            ),
        )
