"""Baselines, kNN and the registry: one interface, one tie rule."""

import numpy as np
import pytest

from profiles.errors import RouterError
from profiles.fingerprint import build_pool
from profiles.pool import ModelSpec, Pair, Prices, ToolSpec
from profiles.routers.base import RoutingContext
from profiles.routers.pool_only import fixed_for_pool
from profiles.routers.registry import build_router
from tests.profiles.made_profiles import corners, make_profile, random_profile

NAN = float("nan")
LABELS = np.array([0, 0, 0, 1])
SCORES = np.array([[1, 0, 0], [1, 0, 1], [1, 1, 0], [0, 1, 1]], float)
COSTS = np.tile([0.003, NAN, 0.001], (4, 1))
DATASETS = ["a", "a", "a", "b"]


@pytest.fixture
def profile():
    return make_profile(SCORES, LABELS, COSTS, datasets=DATASETS)


def context(n: int, **told: object) -> RoutingContext:
    return RoutingContext(tuple(f"n{row}" for row in range(n)), ("?",) * n, **told)


def test_best_single_has_the_highest_training_macro(profile):
    # macro .5, .667, .667; micro .75, .5, .5: pair order breaks the tie of the last two
    decisions = build_router("best-single", profile).decide(None, context(2))

    assert [[1, 2, 0]] * 2 == decisions.ranking.tolist()
    np.testing.assert_allclose([2 / 3] * 2, decisions.expected_score)
    assert "m01@@none has the highest training mean over datasets" == decisions.reason[0]


def test_cheapest_leaves_pairs_of_unknown_cost_out(profile):
    decisions = build_router("cheapest", profile).decide(None, context(1))

    assert [2, 0, -1] == decisions.ranking[0].tolist()
    assert 0.001 == decisions.expected_cost_usd[0]


def test_cheapest_needs_a_known_cost():
    with pytest.raises(RouterError, match="knows no pair's cost, so none is cheapest"):
        build_router("cheapest", make_profile(SCORES, LABELS))


def test_dataset_best_looks_the_dataset_up_and_knows_no_unseen_one(profile):
    told = context(4, datasets=("a", "b", "new", None))

    decisions = build_router("dataset-best", profile).decide(None, told)

    assert [0, 1, 1, 1] == decisions.pair.tolist()
    with pytest.raises(RouterError, match="must be told the queries' datasets"):
        build_router("dataset-best", profile).decide(None, context(1))


def test_oracle_takes_the_highest_recorded_score_with_ties_by_micro(profile):
    scores = np.array([[0, 1, 1], [NAN, NAN, 0.2], [NAN, NAN, NAN]])

    decisions = build_router("oracle", profile).decide(None, context(3, scores=scores))

    assert [1, 2, 0] == decisions.pair.tolist()
    np.testing.assert_array_equal([1, 0.2, NAN], decisions.expected_score)
    with pytest.raises(RouterError, match="must be told the recorded scores"):
        build_router("oracle", profile).decide(None, context(1))


def test_fixed_takes_its_pair_or_the_best_allowed_one(profile):
    allowed = np.array([[True, True, True], [True, True, False]])

    decisions = build_router("fixed:m02@@none", profile).decide(None, context(2, allowed=allowed))

    assert [[2, 0, 1], [0, 1, -1]] == decisions.ranking.tolist()
    assert np.isnan(decisions.utility).all()


def test_random_draws_alike_for_the_same_seed_and_id_in_any_order(profile):
    router = build_router("random", profile)
    order = np.random.default_rng(0).permutation(500)
    told = context(500, seed=3)
    shuffled = RoutingContext(tuple(told.query_ids[row] for row in order), told.texts, seed=3)

    first = router.decide(None, told)

    assert first.ranking[order].tolist() == router.decide(None, shuffled).ranking.tolist()
    assert first.pair.tolist() != router.decide(None, context(500, seed=4)).pair.tolist()
    assert [1 / 3] * 500 == first.propensity.tolist()


def test_random_is_uniform_over_what_is_allowed(profile):
    allowed = np.tile([True, False, True], (6000, 1))

    whole = build_router("random", profile).decide(None, context(6000))
    masked = build_router("random", profile).decide(None, context(6000, allowed=allowed))

    np.testing.assert_allclose([2000] * 3, np.bincount(whole.pair), rtol=0.08)
    np.testing.assert_allclose([3000, 3000], np.bincount(masked.pair)[[0, 2]], rtol=0.08)
    assert {0.5} == set(masked.propensity.tolist())


def test_knn_takes_the_mean_of_the_nearest_training_rows(profile):
    decisions = build_router("knn:3", profile).decide(corners(np.array([0]), 3), context(1))

    # the three rows of label 0, scores 1, 1/3 and 1/3
    np.testing.assert_allclose([[1, 1 / 3, 1 / 3]], decisions.utility, atol=1e-9)
    assert [0] == decisions.pair.tolist()
    assert "3 most similar training questions: m00@@none, mean score 1.00" in decisions.reason[0]


def test_knn_equals_a_loop_over_sorted_cosines():
    rng = np.random.default_rng(2)
    found = random_profile(n=150, seed=5)
    queries = rng.normal(size=(40, 5)).astype(np.float32)
    queries /= np.linalg.norm(queries, axis=1, keepdims=True)
    train = found.train
    assert train is not None

    decisions = build_router("knn", found, k=7).decide(queries, context(40))

    for row in range(40):
        cosines = np.round(train.embeddings @ queries[row], 6)
        nearest = np.argsort(-cosines, kind="stable")[:7]
        means = train.scores[nearest].mean(axis=0)
        assert means.max() == pytest.approx(means[decisions.pair[row]])


def test_knn_weighs_the_neighbours_costs():
    scores, costs = np.ones((6, 2)), np.tile([0.002, 0.001], (6, 1))
    found = make_profile(scores, np.array([0, 0, 0, 1, 1, 1]), costs)
    query = corners(np.array([0]), 3)

    assert [0] == build_router("knn:3", found).decide(query, context(1)).pair.tolist()
    assert [1] == build_router("knn:3", found).decide(query, context(1, alpha=0.1)).pair.tolist()


def test_knn_uses_every_row_when_there_are_fewer_than_k(profile):
    decisions = build_router("knn", profile).decide(corners(np.array([1]), 3), context(1))

    np.testing.assert_allclose(profile.train_micro[None, :], decisions.utility)


def test_knn_needs_training_rows_and_fitting_embeddings(profile):
    with pytest.raises(RouterError, match="keeps no training rows"):
        build_router("knn", make_profile(SCORES, LABELS, keep_train=False))
    with pytest.raises(RouterError, match="needs the embeddings"):
        build_router("knn", profile).decide(None, context(1))
    with pytest.raises(RouterError, match="have 7 dimensions, the profile's 3"):
        build_router("knn", profile).decide(np.ones((1, 7), np.float32), context(1))


@pytest.mark.parametrize(
    "name",
    ["random", "best-single", "cheapest", "dataset-best", "oracle", "fixed:m02@@none",
     "cluster-plain", "cluster", "knn", "knn:2"],
)  # fmt: skip
def test_every_router_keeps_the_same_promises(profile, name):
    rng = np.random.default_rng(0)
    allowed = np.array([[True, True, True], [False, True, True], [True, False, False]] * 20)
    told = context(60, allowed=allowed, datasets=("a", "b", None) * 20, scores=rng.random((60, 3)))
    router = build_router(name, profile)

    decisions = router.decide(corners(rng.integers(0, 2, 60), 3), told)

    assert name == router.name
    assert decisions.pair.tolist() == decisions.ranking[:, 0].tolist()
    assert allowed[np.arange(60), decisions.pair].all()
    assert ["int64", "int64"] == [decisions.pair.dtype, decisions.ranking.dtype]
    assert (60, 3) == decisions.ranking.shape == decisions.utility.shape
    for row, ranked in enumerate(decisions.ranking.tolist()):
        named = [pair for pair in ranked if pair >= 0]
        assert len(named) == len(set(named))
        assert allowed[row, named].all()
        assert ranked == named + [-1] * (3 - len(named))
    assert all(decisions.reason)
    assert ((decisions.propensity > 0) & (decisions.propensity <= 1)).all()
    assert 60 == len(decisions.reason) == len(decisions.cluster) == len(decisions.distance)


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("clutser", {}, "there is no router 'clutser' .did you mean 'cluster'"),
        ("cluster:8", {}, "there is no router"),
        ("fixed", {}, "there is no router 'fixed'"),
        ("fixed:nobody@@none", {}, "the profile has no pair 'nobody@@none'"),
        ("knn:x", {}, "'x' is not a number of neighbours"),
        ("knn:0", {}, "at least 1 neighbour"),
        ("random", {"k": 3}, "router 'random' has no setting 'k'; it has none"),
        ("cluster", {"nmin": 3}, "router 'cluster' has no setting 'nmin'; its settings are"),
        ("cluster-plain", {"shrinkage": True}, "has no setting 'shrinkage'"),
    ],
)
def test_unknown_names_and_settings_are_refused(profile, name, settings, message):
    with pytest.raises(RouterError, match=message):
        build_router(name, profile, **settings)


def test_settings_reach_the_router(profile):
    router = build_router("cluster", profile, shrinkage=False, cost_scale="raw")

    assert (False, "raw", 5) == (
        router.settings.shrinkage, router.settings.cost_scale, router.settings.n_min,
    )  # fmt: skip


def test_a_pool_that_was_never_profiled_can_be_routed_fixed_or_at_random():
    models = {name: ModelSpec(name, "simulated", name, Prices(None, None)) for name in "ab"}
    pairs = [Pair("a", "none"), Pair("b", "none")]
    pool = build_pool("new", models, {"none": ToolSpec("none", "none")}, pairs)

    fixed = fixed_for_pool("fixed:b@@none", pool).decide(None, context(2))
    drawn = fixed_for_pool("random", pool).decide(None, context(50))

    assert [[1, 0]] * 2 == fixed.ranking.tolist()
    assert np.isnan(fixed.expected_score).all()
    assert {0, 1} == set(drawn.pair.tolist())
