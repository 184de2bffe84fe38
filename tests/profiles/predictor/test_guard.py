"""The guard: margins that are standard errors, and a gate that luck does not open."""

import numpy as np
import pytest

from profiles.predictor.guard import advantage_sd, guarded, judge_gate


def test_the_error_of_an_advantage_is_that_of_the_difference():
    rng = np.random.default_rng(0)
    scores = rng.random((4000, 3))
    estimates = scores + rng.normal(size=(4000, 3)) * [0.1, 0.2, 0.4]

    sd = advantage_sd(estimates, scores)

    assert pytest.approx(np.hypot(0.1, 0.2), rel=0.05) == sd[0, 1]
    assert pytest.approx(np.hypot(0.2, 0.4), rel=0.05) == sd[1, 2]
    assert np.array_equal(sd, sd.T)
    assert 0 == np.abs(np.diag(sd)).max()


def test_a_pair_seen_on_a_quarter_of_the_questions_is_twice_as_uncertain():
    rng = np.random.default_rng(0)
    scores = rng.random((4000, 2))
    estimates = scores + 0.2 * rng.normal(size=(4000, 2))
    holes = scores.copy()
    holes[1000:, 1] = np.nan

    ratio = advantage_sd(estimates, holes)[0, 1] / advantage_sd(estimates, scores)[0, 1]

    assert pytest.approx(2.0, rel=0.06) == ratio


def test_a_pair_without_scores_has_no_error_to_speak_of():
    scores = np.column_stack([np.ones(50), np.full(50, np.nan)])

    assert np.isnan(advantage_sd(np.full((50, 2), 0.5), scores)[0, 1])


def test_only_an_advantage_above_its_margin_beats_the_base():
    utility = np.array([[0.5, 0.54, 0.3], [0.5, 0.56, 0.3]])

    lowered = guarded(utility, 0, np.full((2, 3), 0.05))

    assert [0, 1] == lowered.argmax(axis=1).tolist()
    assert [0.5, 0.5] == lowered[:, 0].tolist(), "the base is not lowered"
    assert 0.54 == utility[0, 1], "what was given is not changed"


def gate(chosen, realised, groups=None, points=0.25, errors=2.0):
    groups = np.zeros(len(chosen), np.int64) if groups is None else groups
    return judge_gate(np.asarray(chosen), 0, np.asarray(realised, float), groups, points, errors)


def test_a_clear_gain_opens_it():
    realised = np.tile([0.5, 0.6], (200, 1))

    found = gate([1] * 100 + [0] * 100, realised)

    assert found.open
    assert pytest.approx(0.05) == found.gain
    assert 0.5 == found.switched


def test_a_gain_within_two_standard_errors_does_not():
    rng = np.random.default_rng(0)
    realised = np.column_stack([np.zeros(400), rng.normal(size=400)])
    realised[:, 1] += 1.5 / 20 - realised[:, 1].mean()  # 1.5 standard errors above nothing

    found = gate([1] * 400, realised)

    assert not found.open
    assert pytest.approx(2 * realised[:, 1].std() / 20, rel=1e-6) == found.needed


def test_a_gain_below_the_floor_does_not():
    assert not gate([1] * 100, np.tile([0.5, 0.502], (100, 1))).open


def test_a_gain_in_one_large_dataset_that_harms_the_others_does_not():
    groups = np.array([0] * 80 + [1] * 10 + [2] * 10)
    realised = np.column_stack([np.full(100, 0.5), np.where(groups == 0, 0.7, 0.2)])

    found = gate([1] * 100, realised, groups)

    assert found.gain > found.needed
    assert not found.open
    assert pytest.approx((0.2 - 0.3 - 0.3) / 3) == found.macro_gain


def test_nothing_switched_or_nothing_known_keeps_it_shut():
    realised = np.tile([0.5, np.nan], (60, 1))

    assert not gate([0] * 60, realised).open
    assert not gate([1] * 60, realised).open
    assert not gate(np.empty(0, np.int64), np.empty((0, 2))).open


def test_unknown_cells_count_as_the_known_ones_and_widen_the_doubt():
    rng = np.random.default_rng(0)
    realised = np.column_stack([np.full(400, 0.5), 0.6 + 0.2 * rng.normal(size=400)])
    holes = realised.copy()
    holes[rng.random(400) < 0.75, 1] = np.nan

    whole, part = gate([1] * 400, realised), gate([1] * 400, holes)

    assert pytest.approx(whole.gain, abs=0.04) == part.gain
    assert part.needed > 1.5 * whole.needed
