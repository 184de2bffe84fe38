"""The sequential test: few false alarms, drops found soon, every missing run survived."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.drift_power import detection, false_alarms
from profiles.drift.metrics import LEVELS, NIGHT_LEVEL
from profiles.drift.scan import WINDOWS, scan


def test_the_level_of_a_night_is_spent_once():
    assert sum(WINDOWS.values()) == pytest.approx(1.0)
    assert sum(LEVELS.values()) == pytest.approx(NIGHT_LEVEL)
    assert 1_000 * NIGHT_LEVEL <= 0.01 + 1e-12


def test_pairs_that_do_not_change_raise_no_alarm():
    done = false_alarms(0.03, "flaky", pairs=60, nights=200, seed=1)

    assert done.tested > 0
    assert 0 == done.alarmed


def test_false_alarms_stay_below_a_level_high_enough_to_count():
    rng = np.random.default_rng(5)
    runs, level = 1_500, 0.05
    alarms = sum(
        scan((rng.random((24, 12)) < 0.15).astype(float), level).alarm for _ in range(runs)
    )

    assert alarms <= level * runs + 3 * np.sqrt(level * (1 - level) * runs)


@pytest.mark.parametrize(
    ("noise", "shape", "history"), [(0.0, "even", 10), (0.02, "even", 12), (0.05, "flaky", 12)]
)
def test_a_drop_of_ten_points_is_found_within_three_nights(noise, shape, history):
    found = detection(noise, shape, "broken", history=history, runs=60, horizon=3, seed=3)

    assert found[2] >= 0.95


def test_a_first_night_says_nothing():
    evidence = scan(np.ones((1, 5)), 1e-5)

    assert (1.0, 0, False) == (evidence.p_value, evidence.window, evidence.alarm)


def test_runs_that_are_missing_are_neither_wrong_nor_right():
    rng = np.random.default_rng(0)
    nights = (rng.random((30, 50)) < 0.02).astype(float)
    nights[-3:, :10] = 1.0
    holes = nights.copy()
    holes[rng.random(nights.shape) < 0.2] = np.nan
    silent = nights.copy()
    silent[-3:] = np.nan

    assert scan(nights, 1e-5).alarm
    assert scan(holes, 1e-5).alarm
    assert not scan(silent, 1e-5).alarm


def test_evidence_names_the_width_that_shows_the_drop():
    nights = np.zeros((40, 50))
    nights[-5:, :4] = 1.0
    evidence = scan(nights, 1e-5)

    assert evidence.alarm
    assert evidence.window in (3, 5)
    assert evidence.e_value > 1e5
