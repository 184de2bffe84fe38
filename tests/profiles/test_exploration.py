"""Exploration: exact propensities, one draw a question, nothing outside the band."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from profiles.chance_of_best import chance_of_best, error_bound
from profiles.errors import RouterError
from profiles.exploration import FLOOR, Exploration, ExploringRouter, draw, hashed_uniform
from profiles.routers.base import RoutingContext
from profiles.routers.registry import build_router
from tests.profiles.made_profiles import corners, make_profile

LABELS = np.repeat([0, 1], 30)
RATES = np.array([[0.9, 0.8, 0.5], [0.3, 0.9, 0.9]])


@pytest.fixture(scope="module")
def profile():
    rng = np.random.default_rng(1)
    scores = (rng.random((60, 3)) < RATES[LABELS]).astype(float)
    costs = np.tile([0.001, 0.002, 0.004], (60, 1))
    return make_profile(scores, LABELS, costs, prior_strength=1.0)


def context(n, alpha=0.0, seed=0, allowed=None):
    ids = tuple(f"query-{row}" for row in range(n))
    return RoutingContext(ids, ids, alpha=alpha, seed=seed, allowed=allowed)


def places(n):
    return corners(np.arange(n) % 2, 3)


def explored(profile, how, n=400, router="cluster", **told):
    wrapped = build_router(router, profile)
    plain = wrapped.decide(places(n), context(n, **told))
    return plain, ExploringRouter(wrapped, how, profile).decide(places(n), context(n, **told))


def test_epsilon_is_uniform_over_the_band_and_says_so_of_every_pair(profile):
    plain, found = explored(profile, Exploration(0.3, band=0.25))
    best = plain.utility.max(axis=1, keepdims=True)
    band = plain.utility >= best - 0.25
    expected = 0.3 * band / band.sum(axis=1, keepdims=True)
    expected[np.arange(400), plain.pair] += 0.7

    assert {2} == set(band.sum(axis=1).tolist())
    np.testing.assert_allclose(expected, found.chances, atol=1e-15)
    np.testing.assert_allclose(expected[np.arange(400), found.pair], found.propensity)


def test_what_is_drawn_has_the_frequency_of_its_propensity(profile):
    plain, found = explored(profile, Exploration(0.4, band=1.0), n=6000)
    moved = (found.pair != plain.pair).mean()

    # 0.4 · 2/3 of the questions; a standard deviation is 0.006
    assert 0.4 * 2 / 3 == pytest.approx(moved, abs=0.02)
    drawn = np.eye(3)[found.pair].sum(axis=0)
    np.testing.assert_allclose(found.chances.sum(axis=0), drawn, rtol=0.06)


@pytest.mark.parametrize("explorer", ["epsilon", "thompson"])
def test_the_draw_depends_on_seed_and_question_alone(profile, explorer):
    router = ExploringRouter(
        build_router("cluster", profile), Exploration(0.5, explorer, 1.0), profile
    )
    order = np.random.default_rng(0).permutation(400)
    told = context(400, seed=3)
    shuffled = replace(told, query_ids=tuple(told.query_ids[row] for row in order))
    first = router.decide(places(400), told)

    assert first.pair[order].tolist() == router.decide(places(400)[order], shuffled).pair.tolist()
    other = router.decide(places(400), context(400, seed=4))
    assert first.pair.tolist() != other.pair.tolist()
    np.testing.assert_array_equal(first.chances, other.chances)


def test_a_drawn_pair_comes_first_and_the_router_s_own_choice_next(profile):
    plain, found = explored(profile, Exploration(1.0, band=1.0))
    moved = np.flatnonzero(found.pair != plain.pair)

    assert len(moved) > 100
    np.testing.assert_array_equal(found.pair, found.ranking[:, 0])
    np.testing.assert_array_equal(plain.pair[moved], found.ranking[moved, 1])
    assert [[0, 1, 2]] * 400 == np.sort(found.ranking, axis=1).tolist()
    for row in range(400):
        assert (row in moved) == found.reason[row].startswith("explored (epsilon, 1 of")
    first = int(moved[0])
    assert profile.statistics.cost_mean_usd[0, found.pair[first]] == pytest.approx(
        found.expected_cost_usd[first]
    )
    cluster = found.cluster[first]
    assert profile.statistics.score_shrunk[cluster, found.pair[first]] == pytest.approx(
        found.expected_score[first]
    )


def test_a_band_of_one_pair_leaves_nothing_to_chance(profile):
    plain, found = explored(profile, Exploration(0.5, "thompson", 0.0))

    assert plain.pair.tolist() == found.pair.tolist()
    assert {1.0} == set(found.propensity.tolist())
    assert plain.reason == found.reason


def test_pairs_that_are_not_allowed_are_never_drawn(profile):
    allowed = np.tile([True, False, True], (400, 1))
    _, found = explored(profile, Exploration(1.0, band=1.0), allowed=allowed)

    assert 0.0 == found.chances[:, 1].max()
    assert {0, 2} == set(found.pair.tolist())
    assert {-1} == set(found.ranking[:, 2].tolist())


def test_thompson_follows_the_posterior_and_keeps_a_floor(profile):
    plain, found = explored(profile, Exploration(1.0, "thompson", 1.0))
    statistics = profile.statistics
    spread = (statistics.score_posterior_high - statistics.score_posterior_low) / 3.919928
    rng = np.random.default_rng(0)
    for cluster in range(2):
        row = int(np.flatnonzero(found.cluster == cluster)[0])
        drawn = plain.utility[row] + spread[cluster] * rng.standard_normal((200_000, 3))
        shares = np.bincount(drawn.argmax(axis=1), minlength=3) / 200_000
        wanted = (1 - FLOOR) * shares + FLOOR / 3

        np.testing.assert_allclose(wanted, found.chances[row], atol=0.006)
    assert found.chances.min() >= FLOOR / 3


def test_thompson_at_an_alpha_weighs_accuracy_less(profile):
    _, near = explored(profile, Exploration(1.0, "thompson", 1.0), alpha=0.0)
    _, far = explored(profile, Exploration(1.0, "thompson", 1.0), alpha=0.9)

    # Costs are known, accuracies are not: at 0.9 the cheapest pair is nearly certain.
    assert far.chances[:, 0].min() > 0.93
    assert near.chances[:, 0].min() < 0.5


def test_two_quantities_are_compared_in_closed_form():
    mean, spread = np.array([[0.6, 0.5, 9.0]]), np.array([[0.03, 0.04, 1.0]])
    found = chance_of_best(mean, spread, np.array([[True, True, False]]))

    # Φ(0.1 / 0.05) = Φ(2)
    ahead = 0.5 * math.erfc(-2 / math.sqrt(2))
    np.testing.assert_allclose([[ahead, 1 - ahead, 0.0]], found, atol=1e-15)


@settings(max_examples=20, deadline=None)
@given(
    arrays(float, 4, elements=st.floats(0.0, 1.0)), arrays(float, 4, elements=st.floats(0.02, 0.3))
)
def test_the_integral_is_within_its_bound_of_a_fine_one(mean, spread):
    found = chance_of_best(mean[None], spread[None], np.ones((1, 4), bool))[0]
    z = np.linspace(-8, 8, 4001)
    fine = []
    for own in range(4):
        x = mean[own] + spread[own] * z
        others = np.prod(
            [
                [0.5 * math.erfc(-(v - mean[i]) / spread[i] / math.sqrt(2)) for v in x[::8]]
                for i in range(4)
                if i != own
            ],
            axis=0,
        )
        fine.append(
            np.trapezoid(others * np.exp(-(z[::8] ** 2) / 2), z[::8]) / math.sqrt(2 * math.pi)
        )

    assert found.sum() == pytest.approx(1.0)
    assert np.abs(found - fine).max() < min(error_bound(4), 0.001)


def test_a_draw_inverts_the_cumulative_sum_and_never_takes_the_impossible():
    chances = np.array([[0.25, 0.0, 0.75], [0.0, 1.0, 0.0], [0.1, 0.9, 0.0]])

    for uniform, wanted in (((0.0, 0.0, 0.05), [0, 1, 0]), ((0.25, 1 - 1e-16, 0.1), [2, 1, 1])):
        assert wanted == draw(chances, np.array(uniform)).tolist()


def test_uniforms_are_spread_evenly():
    found = hashed_uniform(tuple(f"q{n}" for n in range(4000)), 0)

    assert 0 <= found.min() <= found.max() < 1
    np.testing.assert_allclose([400] * 10, np.histogram(found, 10, (0, 1))[0], rtol=0.2)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"rate": 0.0}, "share to explore must be above 0"),
        ({"rate": 1.5}, "share to explore must be above 0 and at most 1, not 1.5"),
        ({"rate": 0.1, "explorer": "ucb"}, "no explorer 'ucb'; it is epsilon or thompson"),
        ({"rate": 0.1, "band": -0.1}, "must be 0 or more"),
    ],
)
def test_what_cannot_be_meant_is_refused(wrong, words):
    with pytest.raises(RouterError, match=words):
        Exploration(**wrong)


def test_a_router_without_utilities_cannot_explore(profile):
    with pytest.raises(RouterError, match="gives pairs no utility"):
        explored(profile, Exploration(0.1), router="fixed:m00@@none")


def test_a_profile_without_intervals_cannot_be_sampled_from(profile):
    nothing = np.full(profile.statistics.n.shape, np.nan)
    old = replace(
        profile,
        statistics=replace(
            profile.statistics, score_posterior_low=nothing, score_posterior_high=nothing
        ),
    )

    with pytest.raises(RouterError, match="before profiles had posterior intervals"):
        explored(old, Exploration(0.1, "thompson"))
    explored(old, Exploration(0.1, "epsilon"))
