"""Statistics of every cell: hand-computed, vectorised, and never counting unscored as wrong."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from profiles.errors import ProfileError
from profiles.outcomes import OutcomeMatrices
from profiles.statistics import (
    LATER,
    Statistics,
    age_weights,
    cluster_statistics,
    wilson,
)

NAN = float("nan")


def outcomes(scores: object, **values: object) -> OutcomeMatrices:
    matrix = np.array(scores, float)
    nothing = np.full(matrix.shape, NAN)
    filled = {name: np.array(value) for name, value in values.items()}
    return replace(
        OutcomeMatrices(
            matrix,
            nothing,
            nothing,
            nothing,
            nothing,
            np.isfinite(matrix),
            np.isnan(nothing) & False,
        ),
        **filled,
    )


def test_means_and_counts_by_cluster_and_overall():
    scores = [[1, 0], [0, NAN], [1, 1], [1, 0.5]]
    found = outcomes(scores, observed=np.ones((4, 2), bool))

    stats = cluster_statistics(np.array([0, 0, 1, 1]), 2, found)

    assert [[2, 2], [2, 2], [4, 4]] == stats.n.tolist()
    assert [[2, 1], [2, 2], [4, 3]] == stats.n_scored.tolist()
    np.testing.assert_allclose([[0.5, 0], [1, 0.75], [0.75, 0.5]], stats.score_mean)


def test_an_unscored_outcome_changes_the_count_and_nothing_else():
    with_unscored = cluster_statistics(
        np.array([0, 0]), 1, outcomes([[1.0], [NAN]], observed=[[True], [True]])
    )
    without = cluster_statistics(np.array([0]), 1, outcomes([[1.0]]))

    assert [2, 1] == [with_unscored.n[0, 0], without.n[0, 0]]
    assert 1.0 == with_unscored.score_mean[0, 0]
    for name in ("score_mean", "score_low", "score_high", "score_shrunk"):
        assert getattr(without, name).tolist() == getattr(with_unscored, name).tolist()


def test_costs_tokens_durations_and_errors():
    found = outcomes(
        np.ones((4, 1)),
        costs_usd=[[1.0], [3.0], [NAN], [8.0]],
        input_tokens=[[10.0], [20.0], [30.0], [NAN]],
        output_tokens=[[1.0], [2.0], [3.0], [4.0]],
        durations_s=[[1.0], [2.0], [3.0], [4.0]],
        failed=[[False], [True], [False], [False]],
    )

    stats = cluster_statistics(np.array([0, 0, 1, 1]), 2, found)

    np.testing.assert_allclose([[2], [8], [4]], stats.cost_mean_usd)
    np.testing.assert_allclose([[2.8], [8], [7]], stats.cost_p90_usd)
    np.testing.assert_allclose([[15], [30], [20]], stats.input_tokens_mean)
    np.testing.assert_allclose([[1.5], [3.5], [2.5]], stats.output_tokens_p50)
    np.testing.assert_allclose([[1.95], [3.95], [3.85]], stats.duration_p95_s)
    np.testing.assert_allclose([[0.5], [0], [0.25]], stats.error_rate)


def test_an_empty_cluster_and_a_pair_never_run_are_unknown_not_zero():
    stats = cluster_statistics(np.array([0]), 2, outcomes([[1.0, NAN]]))

    assert np.isnan(stats.score_mean[1]).all()
    assert np.isnan(stats.cost_mean_usd).all()
    assert [0.0, 1.0] == [stats.score_low[1, 0], stats.score_high[1, 0]]
    assert 0.5 < stats.score_shrunk[1, 0] < 1.0  # what the pair did elsewhere
    assert np.isnan(stats.score_shrunk[:, 1]).all()


cells = st.lists(
    st.lists(st.one_of(st.none(), st.floats(0, 1)), min_size=3, max_size=3), min_size=1, max_size=30
)


@settings(max_examples=60, deadline=None)
@given(cells, st.integers(0, 2**32))
def test_quantiles_are_numpys_on_the_known_values(rows, seed):
    values = np.array(rows, float)
    labels = np.random.default_rng(seed).integers(3, size=len(values))

    stats = cluster_statistics(labels, 3, outcomes(values, durations_s=values))

    for cluster in range(4):
        block = values if cluster == 3 else values[labels == cluster]
        for pair in range(3):
            known = block[:, pair][np.isfinite(block[:, pair])]
            expected = np.quantile(known, 0.95) if len(known) else NAN
            np.testing.assert_allclose(expected, stats.duration_p95_s[cluster, pair], atol=1e-12)


def test_outcomes_of_half_the_worth_move_means_and_effective_counts():
    found = outcomes([[1.0], [0.0], [0.0]])
    weights = age_weights(np.array([[0.0], [10.0], [10.0]]), 10.0)

    stats = cluster_statistics(np.array([0, 0, 0]), 1, found, weights=weights)

    assert [[1.0], [0.5], [0.5]] == weights.tolist()
    assert 0.5 == stats.score_mean[0, 0]
    assert 3 == stats.n_scored[0, 0]
    np.testing.assert_allclose(4 / 1.5, stats.n_effective[0, 0])
    low, high = wilson(np.array([[0.5 * 4 / 1.5]]), np.array([[4 / 1.5]]))
    np.testing.assert_allclose(
        [low[0, 0], high[0, 0]], [stats.score_low[0, 0], stats.score_high[0, 0]]
    )


def test_weights_of_one_change_no_figure():
    rng = np.random.default_rng(1)
    values = np.where(rng.random((60, 3)) < 0.8, rng.random((60, 3)), NAN)
    labels = rng.integers(4, size=60)

    plain = cluster_statistics(labels, 4, outcomes(values)).arrays()
    weighted = cluster_statistics(labels, 4, outcomes(values), weights=np.ones((60, 3))).arrays()

    assert {"n_effective"} == set(weighted) - set(plain)
    for name, array in plain.items():
        np.testing.assert_allclose(array, weighted[name], atol=1e-12, err_msg=name)


@pytest.mark.parametrize(
    ("ages", "half_life", "complaint"),
    [
        pytest.param([[-1.0]], 5.0, "1 days in the future", id="future"),
        pytest.param([[1.0]], 0.0, "half-life must be", id="no-half-life"),
        pytest.param([[1.0]], NAN, "half-life must be", id="nan"),
    ],
)
def test_impossible_ages_are_refused(ages, half_life, complaint):
    with pytest.raises(ProfileError, match=complaint):
        age_weights(np.array(ages), half_life)


@pytest.mark.parametrize(
    ("weights", "complaint"),
    [
        pytest.param(np.ones((2, 2)), "weights have shape", id="shape"),
        pytest.param(np.array([[1.0], [1.5]]), r"lie in \[0, 1\]", id="above-one"),
        pytest.param(np.array([[1.0], [NAN]]), r"lie in \[0, 1\]", id="nan"),
    ],
)
def test_impossible_weights_are_refused(weights, complaint):
    with pytest.raises(ProfileError, match=complaint):
        cluster_statistics(np.array([0, 0]), 1, outcomes([[1.0], [0.0]]), weights=weights)


@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),
    [
        pytest.param(0, 0, 0.0, 1.0, id="nothing-seen"),
        pytest.param(8, 10, 0.4901625, 0.9433178, id="8-of-10"),
        pytest.param(0, 10, 0.0, 0.2775328, id="0-of-10"),
        pytest.param(10, 10, 0.7224672, 1.0, id="10-of-10"),
        pytest.param(500, 1000, 0.4690696, 0.5309304, id="500-of-1000"),
    ],
)
def test_wilson_against_values_computed_by_hand(successes, n, low, high):
    found = wilson(np.array([float(successes)]), np.array([n]))

    np.testing.assert_allclose([[low], [high]], found, atol=1e-6)


@given(st.integers(1, 5000), st.floats(0, 1))
def test_wilson_holds_the_share_and_stays_in_range(n, share):
    low, high = wilson(np.array([share * n]), np.array([n]))

    assert 0 <= low[0] <= share + 1e-9
    assert share - 1e-9 <= high[0] <= 1


@pytest.mark.parametrize("labels", [[0], [0, 2], [0, -1]])
def test_labels_that_do_not_fit_are_refused(labels):
    with pytest.raises(ProfileError, match="cluster labels for 2 questions"):
        cluster_statistics(np.array(labels), 2, outcomes([[1.0], [0.0]]))


@pytest.mark.parametrize("strength", [-1.0, NAN])
def test_an_impossible_prior_strength_is_refused(strength):
    with pytest.raises(ProfileError, match="prior strength must be 0 or more"):
        cluster_statistics(np.array([0]), 1, outcomes([[1.0]]), prior_strength=strength)


def test_arrays_that_a_first_format_lacks_are_unknown_and_left_out():
    stats = cluster_statistics(np.array([0, 1]), 2, outcomes([[1.0, 0.0], [0.0, 1.0]]))
    first_format = {name: array for name, array in stats.arrays().items() if name not in LATER}

    old = Statistics(**first_format, prior_strength=stats.prior_strength)

    assert set(first_format) == set(old.arrays())
    assert (3, 2) == old.score_posterior_low.shape
    assert np.isnan(old.best_probability).all()


def test_the_posterior_stands_beside_what_was_seen():
    rng = np.random.default_rng(0)
    stats = cluster_statistics(
        np.arange(90) % 3, 3, outcomes((rng.random((90, 2)) < 0.6).astype(float))
    )

    assert (stats.score_posterior_low < stats.score_shrunk).all()
    assert (stats.score_shrunk < stats.score_posterior_high).all()
    np.testing.assert_allclose(1.0, stats.best_probability.sum(axis=1))
    np.testing.assert_allclose(stats.score_mean[-1], stats.score_shrunk[-1], atol=0.02)
