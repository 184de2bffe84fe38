"""`auto` decides as the router its profile found best, and says which and why."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from profiles.errors import RouterError
from profiles.profile_file import load_profile
from profiles.routers.auto import AutoRouter, cluster_calibration
from profiles.routers.base import RoutingContext
from profiles.routers.registry import build_router
from tests.profiles.made_profiles import make_profile, random_profile

FORMAT_1 = next((Path(__file__).parents[1] / "format_1").glob("profile-*"))


def context(n, alpha=0.0, **told):
    return RoutingContext(tuple(f"q{row}" for row in range(n)), ("text",) * n, alpha, **told)


def kinds(n=300, skill=((0.9, 0.3), (0.2, 0.8)), **kept):
    rng = np.random.default_rng(0)
    labels = np.arange(n) % 2
    scores = (rng.random((n, 2)) < np.array(skill)[labels]).astype(float)
    costs = np.tile([0.001, 0.004], (n, 1))
    return make_profile(scores, labels, costs, fit_all=True, **kept)


@pytest.fixture(scope="module")
def two_kinds():
    return kinds()


@pytest.fixture(scope="module")
def one_kind():
    return kinds(skill=((0.9, 0.5), (0.9, 0.5)))


def test_where_routing_helps_it_decides_as_the_chosen_router(two_kinds):
    points = two_kinds.train.embeddings[:50]
    auto = AutoRouter(two_kinds)

    chosen = auto.choice(0.0).router
    decisions = auto.decide(points, context(50))
    own = build_router(chosen, two_kinds).decide(points, context(50))

    assert chosen in {"cluster", "predictor"}
    np.testing.assert_array_equal(own.pair, decisions.pair)
    np.testing.assert_array_equal(own.ranking, decisions.ranking)
    assert all(reason.startswith(f"auto took {chosen}: ") for reason in decisions.reason)


def test_where_nothing_helps_it_keeps_the_best_single_pair(one_kind):
    points = one_kind.train.embeddings[:20]
    auto = AutoRouter(one_kind)

    decisions = auto.decide(points, context(20))

    assert "best-single" == auto.choice(0.0).router
    assert {0} == set(decisions.pair.tolist())
    # Clusters are recorded all the same: drift of the questions is told by them.
    assert {0, 1} == set(decisions.cluster.tolist())
    assert np.isfinite(decisions.distance).all()


def test_the_resolved_router_is_named_by_its_choice(one_kind, two_kinds):
    assert "auto:best-single" == AutoRouter(one_kind).resolved(0.0).name
    auto = AutoRouter(two_kinds)
    assert f"auto:{auto.choice(0.0).router}" == auto.resolved(0.0).name
    assert "auto" == auto.name


def test_at_alpha_1_it_is_the_cheapest_pair(two_kinds):
    decisions = AutoRouter(two_kinds).decide(two_kinds.train.embeddings[:9], context(9, 1.0))

    assert {0} == set(decisions.pair.tolist())


def test_pairs_that_are_not_allowed_are_not_chosen(two_kinds, one_kind):
    allowed = np.tile([False, True], (12, 1))

    for profile in (two_kinds, one_kind):
        points = profile.train.embeddings[:12]
        decisions = AutoRouter(profile).decide(points, context(12, allowed=allowed))

        assert {1} == set(decisions.pair.tolist())


def test_a_profile_of_the_first_format_falls_back_to_clusters_and_says_so():
    profile = load_profile(FORMAT_1)
    auto = AutoRouter(profile)

    decisions = auto.decide(profile.train.embeddings, context(18))
    own = build_router("cluster", profile).decide(profile.train.embeddings, context(18))

    assert "cluster" == auto.choice(0.0).router
    assert "cannot be compared; profile again" in auto.choice(0.0).sentence
    np.testing.assert_array_equal(own.pair, decisions.pair)


def test_too_few_training_questions_keep_the_best_single_pair():
    profile = random_profile(n=24, pairs=3, k=2, fit_all=True)

    choice = AutoRouter(profile).choice(0.0)

    assert profile.selection is None
    assert ("best-single", ()) == (choice.router, choice.estimates)
    assert "too few" in choice.sentence


def test_alpha_without_costs_is_refused_as_by_every_router():
    labels = np.arange(60) % 2
    profile = make_profile(np.eye(2)[labels], labels, fit_all=True)

    with pytest.raises(RouterError, match="knows no pair's cost"):
        AutoRouter(profile).choice(0.5)


def test_expected_scores_of_clusters_come_down_to_what_was_seen_out_of_fold():
    # Forty pairs of equal skill: the best of a cluster is chosen for its luck.
    rng = np.random.default_rng(2)
    labels = np.arange(600) % 6
    profile = make_profile(
        (rng.random((600, 40)) < 0.5).astype(float), labels, prior_strength=0.0, fit_all=True
    )
    flattered = build_router("cluster", profile).decide(profile.train.embeddings, context(600))

    curve = cluster_calibration(profile, 0.0)

    assert curve is not None
    odds = np.log(flattered.expected_score / (1 - flattered.expected_score))
    assert flattered.expected_score.mean() > 0.58
    assert pytest.approx(0.5, abs=0.04) == curve(odds[:, None]).mean()


def test_without_training_rows_clusters_compete_alone(two_kinds):
    alone = replace(two_kinds, train=None)

    choice = AutoRouter(alone).choice(0.0)

    assert {"best-single", "cluster"} == {one.router for one in choice.estimates}
    assert "cluster" == choice.router
