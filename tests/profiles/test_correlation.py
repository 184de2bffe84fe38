"""Pairs that fail together, given the cluster."""

import numpy as np
import pytest

from profiles.correlation import pair_correlation
from profiles.errors import ProfileError

NAN = float("nan")
ONE = np.zeros(8, np.int64)


def test_in_one_cluster_without_a_prior_it_is_the_plain_correlation():
    scores = np.random.default_rng(0).random((40, 3))

    found = pair_correlation(scores, np.zeros(40, int), 1, prior_questions=0.0)

    np.testing.assert_allclose(np.corrcoef(scores.T), found.raw, atol=1e-12)
    np.testing.assert_allclose(np.corrcoef(scores.T), found.correlation, atol=1e-12)
    assert 40 == found.n[0, 1]


def test_what_the_cluster_explains_is_no_correlation():
    rng = np.random.default_rng(1)
    labels = np.repeat([0, 1], 400)
    scores = (rng.random((800, 2)) < np.array([0.1, 0.9])[labels][:, None]).astype(float)

    assert np.corrcoef(scores.T)[0, 1] > 0.5
    assert abs(pair_correlation(scores, labels, 2).correlation[0, 1]) < 0.1


def test_only_shared_questions_count():
    x = np.array([1, 0, 1, 0, 1, 0, 1, 0.0])
    scores = np.column_stack([x, x])
    scores[4:, 1] = 1 - x[4:]  # against each other in the second half
    scores[4:, 0] = NAN  # where only one of them was asked

    found = pair_correlation(scores, ONE, 1, prior_questions=0.0)

    assert 4 == found.n[0, 1]
    assert 1.0 == found.raw[0, 1]


def test_few_shared_questions_are_drawn_to_the_mean_of_all():
    rng = np.random.default_rng(2)
    base = (rng.random((500, 1)) < 0.5).astype(float)
    scores = np.where(rng.random((500, 3)) < 0.8, base, 1 - base)
    scores[6:, 2] = NAN
    scores[:6, 2] = 1 - scores[:6, 0]

    found = pair_correlation(scores, np.zeros(500, int), 1)

    assert -1.0 == found.raw[0, 2]
    assert found.correlation[0, 2] > 0.1


def test_a_pair_that_never_varies_gets_the_mean_of_the_others():
    x = np.array([1, 0, 1, 0, 1, 0, 1, 0.0])
    scores = np.column_stack([x, x, np.ones(8)])

    found = pair_correlation(scores, ONE, 1)

    assert np.isnan(found.raw[0, 2])
    assert 1.0 == found.correlation[0, 2] == found.correlation[0, 1]


@pytest.mark.parametrize(
    "scores",
    [
        pytest.param(np.ones((8, 2)), id="all-right"),
        pytest.param(np.full((8, 2), NAN), id="nothing"),
        pytest.param(np.where(np.arange(16).reshape(8, 2) % 2 == 0, 1.0, NAN), id="one-pair"),
    ],
)
def test_where_nothing_is_known_it_is_unknown_and_not_zero(scores):
    found = pair_correlation(scores, ONE, 1)

    assert np.isnan(found.correlation[0, 1])
    assert [1.0, 1.0] == np.diag(found.correlation).tolist()


@pytest.mark.parametrize(
    ("labels", "prior", "complaint"),
    [
        pytest.param(ONE[:3], 1.0, "3 cluster labels for 8 questions", id="labels"),
        pytest.param(ONE, -1.0, "0 or more", id="prior"),
    ],
)
def test_impossible_arguments_are_refused(labels, prior, complaint):
    with pytest.raises(ProfileError, match=complaint):
        pair_correlation(np.ones((8, 2)), labels, 1, prior_questions=prior)
