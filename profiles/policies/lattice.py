"""The lattice of called sets: every set of at most T pairs, and what calling one more leads to.

What a trajectory knows depends on which pairs were called, not on their order. With P pairs and
T calls there are Σ_{t≤T} C(P, t) such sets (57 for 6 pairs and 4 calls), few enough to compute
values and gradients over all of them exactly.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import combinations
from math import comb

import numpy as np
from numpy.typing import NDArray

LARGEST = 20_000
"""Sets a lattice may have; more would not fit beside a batch of questions."""


@dataclass(frozen=True, slots=True)
class Lattice:
    """All S sets of at most `max_calls` of P pairs, smaller sets first; set 0 is empty.

    Attributes:
        members: (S, P) bool.
        slots: (S, T) int64, the pairs of each set in rising order, -1 where there is none.
        successor: (S, P) int64, the set after calling that pair; -1 where it was called already
            or no call is left.
        size: (S,) int64, pairs in each set.
    """

    pairs: int
    max_calls: int
    members: NDArray[np.bool_]
    slots: NDArray[np.int64]
    successor: NDArray[np.int64]
    size: NDArray[np.int64]

    def __len__(self) -> int:
        """S, the number of sets."""
        return len(self.size)

    def level(self, calls: int) -> slice:
        """Where the sets of that many pairs stand."""
        bounds = np.searchsorted(self.size, [calls, calls + 1])
        return slice(int(bounds[0]), int(bounds[1]))


@cache
def build_lattice(pairs: int, max_calls: int) -> Lattice:
    """The lattice of `pairs` pairs and at most `max_calls` calls, or as many as there are pairs.

    Raises:
        ValueError: if there is no pair or no call, or more than `LARGEST` sets.
    """
    calls = min(pairs, max_calls)
    if calls < 1:
        msg = f"a lattice needs at least one pair and one call, not {pairs} and {max_calls}"
        raise ValueError(msg)
    total = sum(comb(pairs, size) for size in range(calls + 1))
    if total > LARGEST:
        msg = (
            f"{pairs} pairs and {calls} calls make {total:,} sets, more than {LARGEST:,};"
            " choose fewer candidate pairs or fewer calls"
        )
        raise ValueError(msg)
    sets = [chosen for size in range(calls + 1) for chosen in combinations(range(pairs), size)]
    number = {chosen: index for index, chosen in enumerate(sets)}
    members = np.zeros((total, pairs), np.bool_)
    slots = np.full((total, calls), -1, np.int64)
    successor = np.full((total, pairs), -1, np.int64)
    for index, chosen in enumerate(sets):
        members[index, list(chosen)] = True
        slots[index, : len(chosen)] = chosen
        if len(chosen) < calls:
            for pair in set(range(pairs)) - set(chosen):
                successor[index, pair] = number[tuple(sorted((*chosen, pair)))]
    size = members.sum(axis=1).astype(np.int64)
    return Lattice(pairs, calls, members, slots, successor, size)
