"""The exact test is exact: against enumeration, against permutation, and in its mean bet."""

from __future__ import annotations

from itertools import combinations
from math import comb

import numpy as np
import pytest

from profiles.drift.exceedance import (
    ALL,
    SOME,
    Stratum,
    excess,
    likelihood_ratio,
    strata,
    tail_probability,
)


def every_history(runs, exceeded, recent):
    """How often each number of recent exceedances comes up over all orders of the runs."""
    counts = {}
    for places in combinations(range(runs), exceeded):
        seen = sum(place >= runs - recent for place in places)
        counts[seen] = counts.get(seen, 0) + 1
    return {seen: times / comb(runs, exceeded) for seen, times in counts.items()}


def test_one_canary_has_the_tail_that_counting_every_order_gives():
    chance = every_history(8, 3, 3)
    for seen in range(4):
        wanted = sum(share for other, share in chance.items() if other >= seen)

        assert wanted == pytest.approx(tail_probability([Stratum(8, 3, 3, seen)], ALL))


def test_several_canaries_have_the_tail_of_their_sum():
    kinds = [(6, 2, 2), (5, 1, 2), (7, 4, 3)]
    laws = [every_history(*kind) for kind in kinds]
    for observed in [(2, 1, 3), (1, 1, 2), (0, 1, 3)]:
        canaries = [Stratum(*kind, seen) for kind, seen in zip(kinds, observed, strict=True)]
        wanted = sum(
            p * q * r
            for a, p in laws[0].items()
            for b, q in laws[1].items()
            for c, r in laws[2].items()
            if a + b + c >= sum(observed)
        )

        assert wanted == pytest.approx(tail_probability(canaries, ALL))


@pytest.mark.parametrize("alternative", [ALL, SOME])
def test_p_values_are_never_too_small_when_nothing_changed(alternative):
    laws = [every_history(7, f, 3) for f in (1, 2, 3)]
    kinds = [(7, f, 3) for f in (1, 2, 3)]
    chance = {}
    for a, p in laws[0].items():
        for b, q in laws[1].items():
            for c, r in laws[2].items():
                canaries = [
                    Stratum(*kind, seen) for kind, seen in zip(kinds, (a, b, c), strict=True)
                ]
                value = round(tail_probability(canaries, alternative), 12)
                chance[value] = chance.get(value, 0.0) + p * q * r
    for level in chance:
        assert sum(share for value, share in chance.items() if value <= level) <= level + 1e-9


def test_the_bet_is_fair_when_nothing_changed():
    mean = sum(
        share * likelihood_ratio([Stratum(9, 2, 3, seen)])
        for seen, share in every_history(9, 2, 3).items()
    )

    assert 1.0 == pytest.approx(mean)


def test_one_canary_broken_for_good_says_more_than_three_that_failed_once():
    others = [Stratum(23, 1, 3, 0)] * 6
    broken = [Stratum(23, 3, 3, 3), *others]
    spread = [Stratum(23, 1, 3, 1)] * 3 + others

    assert tail_probability(broken, SOME) < tail_probability(spread, SOME)
    assert likelihood_ratio(broken) > likelihood_ratio(spread)


def test_canaries_that_can_say_nothing_are_left_out():
    runs, exceeded = np.array([9, 9, 9, 0, 3]), np.array([0, 9, 2, 0, 1])
    recent, seen = np.array([3, 3, 3, 0, 3]), np.array([0, 3, 1, 0, 1])

    assert [Stratum(9, 2, 3, 1)] == strata(runs, exceeded, recent, seen)
    assert 1.0 == tail_probability([], ALL)
    assert 1.0 == likelihood_ratio([])
    assert 0.0 == excess([])
