"""Nominal 95 % intervals hold the truth about 95 times in 100, adaptive sampling included."""

import pytest

from benchmarks.interval_coverage import DESIGNS, WITHIN, required, simulate


@pytest.fixture(scope="module")
def coverage():
    return simulate(12, seed=1)


@pytest.mark.parametrize("design", [design for design, _, _ in DESIGNS])
def test_posterior_intervals_are_honest_under_every_design(coverage, design):
    found = coverage[design, "posterior"]

    assert found.of > 1000
    # Twelve worlds leave a point and a half of noise.
    assert WITHIN[0] - 0.015 <= found.share <= WITHIN[1] + 0.015


def test_wilson_intervals_are_honest_where_questions_were_not_chosen(coverage):
    judged = [key for key in coverage if required(*key) and key[1].startswith("Wilson")]

    assert 3 == len(judged)
    for key in judged:
        assert WITHIN[0] - 0.015 <= coverage[key].share <= WITHIN[1] + 0.015, key


def test_the_winners_intervals_are_not_optimistic(coverage):
    for design, _, _ in DESIGNS:
        assert coverage[design, "posterior, winners"].share > 0.88
