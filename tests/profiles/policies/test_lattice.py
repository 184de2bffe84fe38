from __future__ import annotations

from math import comb

import numpy as np
import pytest

from profiles.policies.lattice import LARGEST, build_lattice


@pytest.mark.parametrize(("pairs", "calls"), [(1, 4), (3, 2), (6, 4), (5, 5)])
def test_every_small_set_is_there_once(pairs: int, calls: int) -> None:
    lattice = build_lattice(pairs, calls)

    assert len(lattice) == sum(comb(pairs, size) for size in range(min(pairs, calls) + 1))
    assert len({row.tobytes() for row in lattice.members}) == len(lattice)
    assert not lattice.members[0].any()
    assert (np.diff(lattice.size) >= 0).all()


def test_a_successor_is_the_set_with_one_more_pair() -> None:
    lattice = build_lattice(5, 3)

    for state in range(len(lattice)):
        for pair in range(5):
            after = lattice.successor[state, pair]
            may = not lattice.members[state, pair] and lattice.size[state] < 3
            assert (after >= 0) == may
            if may:
                wanted = lattice.members[state].copy()
                wanted[pair] = True
                assert (lattice.members[after] == wanted).all()


def test_slots_list_the_members_of_a_set() -> None:
    lattice = build_lattice(4, 3)

    for state in range(len(lattice)):
        slots = lattice.slots[state]
        assert slots[slots >= 0].tolist() == np.flatnonzero(lattice.members[state]).tolist()


def test_levels_are_ranges_of_equal_size() -> None:
    lattice = build_lattice(6, 4)

    assert [(lattice.level(c).stop - lattice.level(c).start) for c in range(5)] == [
        1,
        6,
        15,
        20,
        15,
    ]


def test_too_large_a_lattice_is_refused_with_a_way_out() -> None:
    with pytest.raises(ValueError, match="choose fewer candidate pairs"):
        build_lattice(60, 4)
    with pytest.raises(ValueError, match="at least one pair"):
        build_lattice(0, 4)
    assert len(build_lattice(21, 4)) < LARGEST
