"""The posterior: the textbook where it must be, better where pairs share questions."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from profiles.additive_prior import STRENGTH_RANGE
from profiles.errors import ProfileError
from profiles.posterior import (
    Cells,
    PosteriorSettings,
    beta_interval,
    fit_cells,
    probability_best,
    publish,
)

NAN = float("nan")
ALONE = PosteriorSettings(paired=False)


def published(scores: np.ndarray, labels: np.ndarray, k: int, **told: object):
    cells = fit_cells(scores, labels, k, **told)
    return cells, publish(cells, np.bincount(labels, minlength=k))


def test_without_shared_questions_it_is_successes_plus_m_mu_over_n_plus_m():
    rng = np.random.default_rng(0)
    scores = np.where(rng.random((90, 4)) < 0.5, (rng.random((90, 4)) < 0.6).astype(float), NAN)
    labels = rng.integers(3, size=90)

    cells = fit_cells(scores, labels, 3, settings=PosteriorSettings(strength=7.0, paired=False))

    for cluster in range(3):
        block = scores[labels == cluster]
        n, sums = np.isfinite(block).sum(axis=0), np.nansum(block, axis=0)
        expected = (sums + 7.0 * cells.prior[cluster]) / (n + 7.0)
        np.testing.assert_allclose(expected, cells.mean[cluster], atol=1e-12)


def test_the_prior_is_additive_in_pair_and_cluster():
    truth = 0.5 + np.array([[-0.2], [0.2]]) + np.array([[-0.1, 0.0, 0.1]])
    labels = np.repeat([0, 1], 200)
    rng = np.random.default_rng(1)
    scores = (rng.random((400, 3)) < truth[labels]).astype(float)
    scores[labels == 1, 2] = NAN  # never run there: pair and cluster say what to expect

    cells = fit_cells(scores, labels, 2)

    assert abs(cells.mean[1, 2] - truth[1, 2]) < 0.06
    assert cells.covariance[1, 2, 2] > 4 * cells.covariance[0, 2, 2]


def test_a_pair_seen_once_and_right_does_not_win_a_cluster():
    scores = np.full((40, 2), NAN)
    scores[:, 0] = [1.0, 1.0, 1.0, 0.0] * 10
    scores[0, 1] = 1.0

    _, found = published(scores, np.repeat([0, 1], 20), 2)

    assert found.high[0, 1] - found.low[0, 1] > 2 * (found.high[0, 0] - found.low[0, 0])
    assert 0.2 < found.best[0, 1] < 0.8


def test_hard_questions_do_not_count_against_the_pair_that_met_them():
    # Pair 1 answered only the hard half, and there beats pair 0: raw means say the contrary.
    rng = np.random.default_rng(2)
    easy = np.arange(200) < 100
    scores = np.column_stack(
        [
            (rng.random(200) < np.where(easy, 0.95, 0.05)).astype(float),
            (rng.random(200) < np.where(easy, 0.95, 0.20)).astype(float),
            (rng.random(200) < np.where(easy, 0.93, 0.07)).astype(float),
        ]
    )
    scores[easy, 1] = NAN
    labels = np.zeros(200, np.int64)

    paired, _ = published(scores, labels, 1)
    alone, _ = published(scores, labels, 1, settings=ALONE)

    assert paired.correlation > 0.4
    assert paired.mean[0, 1] - paired.mean[0, 0] > alone.mean[0, 1] - alone.mean[0, 0] + 0.1


def test_pairs_on_the_same_questions_are_told_apart_more_surely():
    rng = np.random.default_rng(3)
    hard = rng.random((150, 1))
    scores = (hard < np.array([0.55, 0.65])).astype(float)  # pair 1 is right wherever pair 0 is
    labels = np.zeros(150, np.int64)

    _, paired = published(scores, labels, 1)
    _, alone = published(scores, labels, 1, settings=ALONE)

    assert paired.best[0, 1] > alone.best[0, 1]
    assert paired.best[0, 1] > 0.95


def test_the_strength_tells_particular_strengths_from_chance():
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(8), 200)
    chance = (rng.random((1600, 4)) < 0.5).astype(float)
    moved = (rng.random((1600, 4)) < np.linspace(0.3, 0.7, 8)[labels][:, None]).astype(float)
    skills = rng.choice([0.05, 0.95], (8, 4))
    apart = (rng.random((1600, 4)) < skills[labels]).astype(float)

    low, high = STRENGTH_RANGE
    assert high == fit_cells(chance, labels, 8).strength
    assert high == fit_cells(moved, labels, 8).strength  # harder for all is no particular strength
    assert low == fit_cells(apart, labels, 8).strength


def test_the_strength_estimate_recovers_a_known_ratio():
    rng = np.random.default_rng(0)
    theta = np.clip(0.5 + 0.15 * rng.standard_normal((40, 12)), 0.02, 0.98)
    labels = np.repeat(np.arange(40), 200)
    scores = (rng.random((8000, 12)) < theta[labels]).astype(float)

    # θ(1 − θ) is 0.25 − 0.15² on average, so that m = s²/τ² is about 10
    assert pytest.approx(10.0, rel=0.15) == fit_cells(scores, labels, 40).strength


def test_the_overall_row_weighs_clusters_by_size_not_by_what_was_run():
    scores = np.full((400, 1), NAN)
    labels = np.repeat([0, 1], 200)
    scores[:200, 0] = 1.0  # cluster 0 fully run, cluster 1 a little
    scores[200:240, 0] = 0.0

    _, found = published(scores, labels, 2)

    np.testing.assert_allclose(found.mean[:-1].mean(axis=0), found.mean[-1])
    assert 0.45 < found.mean[-1, 0] < 0.6  # the raw mean is 0.83


def test_shares_of_attempts_give_narrower_intervals_than_coins():
    rng = np.random.default_rng(4)
    coins = (rng.random((300, 2)) < 0.5).astype(float)
    shares = rng.binomial(10, 0.5, (300, 2)) / 10.0
    labels = np.zeros(300, np.int64)

    _, one = published(coins, labels, 1)
    _, ten = published(shares, labels, 1)

    assert (ten.high - ten.low)[0, 0] < 0.6 * (one.high - one.low)[0, 0]


def test_datasets_move_the_prior_of_clusters_that_hold_their_questions():
    rng = np.random.default_rng(5)
    datasets = np.tile([0, 1], 300)
    labels = np.where(rng.random(600) < 0.9, datasets, 1 - datasets) + 2 * (np.arange(600) < 300)
    skill = np.array([[0.8, 0.2], [0.2, 0.8]])
    scores = (rng.random((600, 2)) < skill[datasets]).astype(float)
    scores[labels == 3] = NAN  # a cluster of dataset 1 that was never run

    told = fit_cells(scores, labels, 4, datasets=datasets)
    untold = fit_cells(scores, labels, 4)

    assert told.mean[3, 1] - told.mean[3, 0] > 0.35
    assert abs(untold.mean[3, 1] - untold.mean[3, 0]) < 0.15


def test_outcomes_that_weigh_nothing_say_nothing():
    rng = np.random.default_rng(6)
    scores = (rng.random((60, 3)) < 0.6).astype(float)
    labels = rng.integers(2, size=60)
    weights = np.ones((60, 3))
    weights[30:] = 0.0

    weighted = fit_cells(scores, labels, 2, weights=weights)
    without = fit_cells(np.where(weights > 0, scores, NAN), labels, 2)

    np.testing.assert_allclose(without.n, weighted.n)
    # ρ is a matter of questions, weighed or not, so only nearly the same
    np.testing.assert_allclose(without.mean, weighted.mean, atol=0.03)


@pytest.mark.parametrize(
    "scores",
    [
        pytest.param(np.ones((12, 3)), id="all-right"),
        pytest.param(np.zeros((12, 3)), id="all-wrong"),
        pytest.param(np.column_stack([np.ones(12), np.zeros(12), np.full(12, NAN)]), id="one-each"),
        pytest.param(np.where(np.arange(36).reshape(12, 3) == 0, 1.0, NAN), id="one-cell"),
        pytest.param(np.ones((1, 3)), id="one-row"),
        pytest.param(np.ones((12, 1)), id="one-pair"),
    ],
)
def test_poor_knowledge_gives_figures_and_never_certainty(scores):
    labels = np.zeros(len(scores), np.int64)

    cells, found = published(scores, labels, 3)  # clusters 1 and 2 hold no question

    known = np.isfinite(scores).any(axis=0)
    assert np.isfinite(cells.mean).all()
    assert np.isfinite(found.mean[:, known]).all()
    assert np.isnan(found.mean[:, ~known]).all()
    assert np.isnan(found.best[:, ~known]).all()
    assert (found.low[:, known] < found.mean[:, known]).all()
    assert (found.mean[:, known] < found.high[:, known]).all()
    assert (found.high[:, known] - found.low[:, known] > 0.08).all()
    np.testing.assert_allclose(1.0, found.best[:, known].sum(axis=1))


def test_nothing_observed_at_all_is_unknown():
    cells, found = published(np.full((4, 2), NAN), np.array([0, 0, 1, 1]), 2)

    assert np.isfinite(cells.mean).all()
    assert np.isnan(found.mean).all()


@pytest.mark.parametrize("strength", [-1.0, NAN])
def test_an_impossible_strength_is_refused(strength):
    with pytest.raises(ProfileError, match="prior strength must be 0 or more"):
        fit_cells(np.ones((2, 2)), np.zeros(2, int), 1, settings=PosteriorSettings(strength))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 5), st.integers(1, 6), st.floats(0.02, 1.0))
def test_any_pattern_of_cells_gives_a_proper_posterior(seed, k, pairs, share):
    rng = np.random.default_rng(seed)
    scores = np.where(rng.random((50, pairs)) < share, rng.random((50, pairs)), NAN)
    labels = rng.integers(k, size=50)

    cells, found = published(scores, labels, k)

    assert (np.linalg.eigvalsh(cells.covariance) > 0).all()
    known = np.isfinite(scores).any(axis=0)
    assert ((found.low <= found.high) | ~known).all()
    assert ((found.mean >= 0) & (found.mean <= 1) | ~known).all()
    assert 0.0 <= cells.correlation < 1.0


def test_the_order_of_questions_does_not_matter():
    rng = np.random.default_rng(7)
    scores = np.where(rng.random((80, 4)) < 0.6, rng.integers(2, size=(80, 4)), NAN)
    labels = rng.integers(3, size=80)
    mixed = rng.permutation(80)

    one, other = fit_cells(scores, labels, 3), fit_cells(scores[mixed], labels[mixed], 3)

    np.testing.assert_allclose(one.mean, other.mean, atol=1e-12)


def test_a_beta_interval_is_that_of_its_counts():
    # Beta(8, 4): mean 2/3, variance 32 / (144 · 13)
    low, high = beta_interval(np.array([[8 / 12]]), np.array([[32 / (144 * 13)]]))

    np.testing.assert_allclose([[0.39025744]], low, atol=1e-6)
    np.testing.assert_allclose([[0.89073670]], high, atol=1e-6)


def test_the_probability_of_being_best_by_hand():
    mean = np.array([[0.5, 0.6]])
    covariance = np.diag([0.005, 0.005])[None]

    best = probability_best(mean, covariance, np.array([True, True]))

    # The difference is 0.1 ± 0.1, above 0 in Φ(1) = 0.841 of cases.
    assert abs(best[0, 1] - 0.841) < 0.02
    assert [[0.0, 1.0]] == probability_best(mean, covariance, np.array([False, True])).tolist()


def test_draws_have_the_mean_and_covariance_they_are_drawn_from():
    covariance = np.array([[[0.02, 0.01], [0.01, 0.03]]])
    cells = Cells(
        np.array([[0.4, 0.6]]), covariance, np.ones((1, 2)), np.eye(4), np.ones((1, 2)), 4.0, 0.0
    )

    drawn = cells.draws(20_000, np.random.default_rng(0))[:, 0]

    np.testing.assert_allclose([0.4, 0.6], drawn.mean(axis=0), atol=0.005)
    np.testing.assert_allclose(covariance[0], np.cov(drawn.T), atol=0.001)
