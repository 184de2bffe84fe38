"""The ridge is the textbook's, its folds are honest, and filled cells take no side."""

import numpy as np
import pytest
from sklearn.linear_model import Ridge

from profiles.predictor.fill import additive_fill, estimated_fill
from profiles.predictor.ridge import fit_ridge, fold_numbers, out_of_fold


@pytest.fixture(params=[(40, 5), (12, 30)], ids=["tall", "wide"])
def data(request):
    rng = np.random.default_rng(0)
    n, d = request.param
    return rng.normal(size=(n, d)) + 1.0, rng.random((n, 3))


def test_estimates_are_those_of_the_textbook(data):
    x, y = data

    ridge = fit_ridge(x, y, 2.0)

    assert np.allclose(Ridge(alpha=2.0).fit(x, y).predict(x), ridge.estimate(x))


def test_leverage_is_the_variance_of_an_estimate_per_unit_of_noise(data):
    x, y = data
    centred = x - x.mean(axis=0)
    precision = np.linalg.inv(centred.T @ centred + 2.0 * np.eye(x.shape[1]))

    leverage = fit_ridge(x, y, 2.0).leverage(x)

    direct = np.einsum("nd,de,ne->n", centred, precision, centred) + 1 / len(x)
    assert np.allclose(direct, leverage)


def test_a_held_out_row_is_estimated_without_itself(data):
    x, y = data
    folds = np.arange(len(x)) % 3

    held = out_of_fold(x, y, folds, 2.0)

    for fold in range(3):
        rest, own = folds != fold, folds == fold
        refitted = Ridge(alpha=2.0).fit(x[rest], y[rest])
        assert np.allclose(refitted.predict(x[own]), held.estimates[own])


def test_rows_without_targets_are_estimated_and_not_fitted(data):
    x, y = data
    folds = np.arange(len(x)) % 2
    y = y.copy()
    y[3] = np.nan

    held = out_of_fold(x, y, folds, 2.0)

    assert np.isfinite(held.estimates).all()
    rest = (folds == 1) & np.isfinite(y).all(axis=1)
    refitted = Ridge(alpha=2.0).fit(x[rest], y[rest])
    assert np.allclose(refitted.predict(x[folds == 0]), held.estimates[folds == 0])


def test_equal_texts_share_a_fold_whatever_the_order():
    texts = [f"question {row % 50}" for row in range(150)]
    order = np.random.default_rng(0).permutation(150)

    folds = fold_numbers(texts, 5, seed=3)
    shuffled = fold_numbers([texts[row] for row in order], 5, seed=3)

    assert np.array_equal(folds[order], shuffled)
    assert all(len(set(folds[start::50])) == 1 for start in range(50))
    assert [30] * 5 == np.bincount(folds).tolist()
    assert not np.array_equal(folds, fold_numbers(texts, 5, seed=4))


def test_fill_finds_effects_of_question_and_pair():
    rng = np.random.default_rng(0)
    truth = 0.5 + rng.uniform(-0.2, 0.2, (60, 1)) + rng.uniform(-0.2, 0.2, (1, 6))
    known = rng.random(truth.shape) < 0.7

    filled = additive_fill(np.where(known, truth, np.nan), strength=0.0)

    assert np.abs(filled - truth).max() < 0.01


def test_what_is_known_stays_as_it_is():
    scores = np.array([[1.0, np.nan], [0.0, 0.25], [np.nan, 1.0]])

    filled = additive_fill(scores)

    known = np.isfinite(scores)
    assert np.array_equal(scores[known], filled[known])
    assert ((filled >= 0) & (filled <= 1)).all()


def test_a_missing_cell_is_neither_right_nor_wrong():
    # Pair 1 is right wherever it was run, on the hard questions: the gaps must not count as wrong.
    scores = np.array([[1.0, np.nan]] * 10 + [[0.0, 1.0]] * 10)

    filled = additive_fill(scores)

    assert filled[:10, 1].mean() > 0.9


def test_a_lucky_cell_does_not_lift_its_row_to_the_top():
    scores = np.full((21, 4), np.nan)
    scores[:20] = np.random.default_rng(0).random((20, 4)) < 0.5
    scores[20, 0] = 1.0

    filled = additive_fill(scores)

    assert filled[20, 1:].max() < 0.9


def test_a_pair_that_was_never_run_stays_unknown():
    scores = np.array([[1.0, np.nan, np.nan], [0.0, 1.0, np.nan]])

    filled = additive_fill(scores)

    assert np.isnan(filled[:, 2]).all()
    assert np.isfinite(filled[:, :2]).all()


def test_an_estimated_fill_is_the_estimate_moved_by_the_question():
    scores = np.array([[1.0, np.nan, np.nan], [np.nan, np.nan, 0.5], [np.nan, 0.0, np.nan]])
    estimates = np.array([[0.7, 0.6, 0.2], [0.3, 0.1, 0.5], [0.1, 0.3, 0.05]])

    filled = estimated_fill(scores, estimates, strength=2.0)

    # errors 0.3, 0 and -0.3 of one cell each, of which a third is the question's
    expected = np.array([[1.0, 0.7, 0.3], [0.3, 0.1, 0.5], [0.0, 0.0, 0.0]])
    assert np.allclose(expected, filled)
