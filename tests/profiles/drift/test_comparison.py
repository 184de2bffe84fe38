"""The gate's arithmetic: worse is refused, better and equal are let pass, at known rates."""

from __future__ import annotations

import numpy as np
import pytest

from profiles.drift.comparison import NOT_WORSE, REFUSE, TOO_LITTLE, compare


def versions(n, effect, rng, *, differing=0.2):
    """Utilities of two versions that choose alike in most questions; `effect` is new minus old."""
    same = rng.random(n) >= differing
    base = 0.5
    old = (rng.random(n) < base).astype(float)
    new = np.where(same, old, (rng.random(n) < base + effect / differing).astype(float))
    return old, new, same


def rate(verdict, effect, n=500, runs=120, differing=0.2):
    rng = np.random.default_rng(7)
    done = [
        compare(*versions(n, effect, rng, differing=differing), seed=run).verdict
        for run in range(runs)
    ]
    return done.count(verdict) / runs


@pytest.mark.slow
def test_error_rates_of_the_gate():
    assert rate(REFUSE, -0.05) >= 0.95
    assert rate(NOT_WORSE, +0.05) >= 0.99
    assert rate(NOT_WORSE, 0.0) >= 0.65
    assert rate(NOT_WORSE, 0.0, n=2_000) >= 0.95
    assert rate(NOT_WORSE, 0.0, differing=0.05) >= 0.95


def test_a_worse_version_is_refused_and_a_better_one_passes():
    rng = np.random.default_rng(1)

    assert REFUSE == compare(*versions(500, -0.08, rng)).verdict
    assert NOT_WORSE == compare(*versions(500, +0.08, rng)).verdict


def test_versions_that_choose_alike_pass_without_a_single_known_cell():
    unknown = np.full(60, np.nan)
    found = compare(unknown, unknown, np.ones(60, bool))

    assert (NOT_WORSE, 0.0, 0) == (found.verdict, found.difference, found.known)


def test_choices_that_differ_hardly_cannot_do_harm():
    unknown, same = np.full(200, np.nan), np.arange(200) >= 3

    assert NOT_WORSE == compare(unknown, unknown, same).verdict


def test_few_questions_or_few_known_cells_are_too_little_data():
    rng = np.random.default_rng(2)
    assert TOO_LITTLE == compare(*versions(30, 0.5, rng)).verdict
    old, new, same = versions(300, 0.0, rng)
    hidden = np.flatnonzero(~same)[5:]
    old[hidden] = np.nan
    found = compare(old, new, same)

    assert (TOO_LITTLE, 5) == (found.verdict, found.known)
    assert TOO_LITTLE == compare(np.zeros(0), np.zeros(0), np.zeros(0, bool)).verdict


def test_the_estimate_scales_known_differences_to_all_differing_choices():
    same = np.arange(100) >= 40
    old, new = np.zeros(100), np.where(same, 0.0, 0.5)
    old[20:40] = np.nan
    found = compare(old, new, same)

    assert 0.4 * 0.5 == pytest.approx(found.difference)
    assert (100, 40, 20) == (found.rows, found.differing, found.known)
    assert found.low <= found.difference <= found.high
    assert 0.0 == found.p_worse


def test_the_figures_are_plain_json():
    import json

    found = compare(np.full(60, np.nan), np.full(60, np.nan), np.zeros(60, bool))

    assert None is json.loads(json.dumps(found.as_json()))["difference"]
