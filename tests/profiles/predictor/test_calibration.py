"""Probabilities mean what they say, and the error measure knows when they do not."""

import numpy as np
import pytest

from profiles.predictor.calibration import (
    expected_calibration_error,
    fit_chosen_curve,
    fit_platt,
    reliability,
)


def logistic(x):
    return 1 / (1 + np.exp(-x))


def test_a_known_curve_is_found():
    rng = np.random.default_rng(0)
    estimates = rng.random((20_000, 2))
    truth = logistic(estimates * [5.0, 2.0] - [2.0, 1.0])

    platt = fit_platt(estimates, (rng.random(truth.shape) < truth).astype(float))

    assert np.abs(platt(estimates) - truth).max() < 0.02


@pytest.mark.parametrize("score", [0.0, 1.0], ids=["all-wrong", "all-right"])
def test_one_class_only_keeps_a_finite_curve(score):
    estimates = np.random.default_rng(0).random((100, 2))
    scores = np.full((100, 2), score)

    probability = fit_platt(estimates, scores)(estimates)

    assert ((probability > 0) & (probability < 1)).all()
    assert np.abs(probability - score).max() < 0.2


def test_a_fraction_counts_in_part():
    estimates = np.full((400, 1), 0.5)

    platt = fit_platt(estimates, np.full((400, 1), 0.3))

    assert pytest.approx(0.3, abs=0.01) == platt(estimates)[0, 0]


def test_unknown_cells_are_left_out():
    rng = np.random.default_rng(0)
    estimates, scores = rng.random((300, 2)), (rng.random((300, 2)) < 0.5).astype(float)
    holes = np.where(rng.random((300, 2)) < 0.5, np.nan, scores)
    kept = [np.isfinite(holes[:, pair]) for pair in range(2)]

    platt = fit_platt(estimates, holes)

    assert np.isfinite(platt(estimates)).all()
    for pair in range(2):
        mean = platt(estimates)[kept[pair], pair].mean()
        assert pytest.approx(holes[kept[pair], pair].mean(), abs=0.02) == mean


def test_a_pair_without_scores_has_the_common_curve():
    rng = np.random.default_rng(0)
    estimates, scores = rng.random((200, 2)), (rng.random((200, 2)) < 0.4).astype(float)
    scores[:, 1] = np.nan

    platt = fit_platt(estimates, scores)

    same = np.column_stack([estimates[:, 0]] * 2)
    both = platt(same)
    assert np.abs(both[:, 0] - both[:, 1]).max() < 0.05


def test_the_curve_is_that_of_equal_bins():
    predicted = np.array([0.9, 0.1, 0.2, 0.8])
    score = np.array([1.0, 0.0, 1.0, 1.0])

    curve = reliability(predicted, score, bins=2)

    assert [0.1, 0.8] == curve.low.tolist()
    assert [0.2, 0.9] == curve.high.tolist()
    assert pytest.approx([0.15, 0.85]) == curve.predicted_mean
    assert [0.5, 1.0] == curve.score_mean.tolist()
    assert [2, 2] == curve.n.tolist()
    assert (curve.interval[:, 0] <= curve.score_mean).all()
    assert (curve.interval[:, 1] >= curve.score_mean).all()
    assert pytest.approx((0.35 + 0.15) / 2) == expected_calibration_error(predicted, score, 2)


def test_fewer_rows_than_bins_are_a_bin_each():
    curve = reliability(np.array([0.2, 0.4]), np.array([0.0, 1.0]), bins=15)

    assert [1, 1] == curve.n.tolist()


def test_unknown_rows_do_not_count():
    predicted = np.array([0.5, np.nan, 0.5])
    score = np.array([1.0, 1.0, np.nan])

    assert [1] == reliability(predicted, score).n.tolist()
    assert np.isnan(expected_calibration_error(np.array([np.nan]), np.array([1.0])))


def test_honest_probabilities_have_a_small_error_and_boasts_a_large_one():
    rng = np.random.default_rng(0)
    truth = rng.random(20_000)
    score = (rng.random(20_000) < truth).astype(float)

    assert expected_calibration_error(truth, score) < 0.02
    assert expected_calibration_error(np.clip(truth + 0.2, 0, 1), score) > 0.12


def test_the_best_of_several_guesses_is_brought_down_to_what_it_came_to():
    rng = np.random.default_rng(0)
    guesses = np.clip(0.6 + 0.1 * rng.normal(size=(8000, 5)), 0.01, 0.99)
    boast = guesses.max(axis=1)
    score = (rng.random(8000) < 0.6).astype(float)

    honest = fit_chosen_curve(boast, score)(boast)

    assert boast.mean() > 0.7
    assert pytest.approx(score.mean(), abs=0.002) == honest.mean()
    assert expected_calibration_error(honest, score) < 0.02


def test_with_nothing_known_a_probability_stays_as_it_is():
    curve = fit_chosen_curve(np.array([0.4, np.nan]), np.array([np.nan, 1.0]))

    assert pytest.approx([0.0, 0.3, 1.0], abs=1e-6) == curve(np.array([0.0, 0.3, 1.0]))
    assert np.isnan(curve(np.array([np.nan]))[0])
