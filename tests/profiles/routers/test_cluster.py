"""The cluster router: Eq. 1-4 and Algorithm 1, every addition alone, and its laws."""

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from profiles.errors import RouterError
from profiles.profile import Profile
from profiles.routers.base import RoutingContext
from profiles.routers.cluster import PLAIN, ClusterRouter, ClusterRouterSettings
from profiles.routers.utility import COST_SCALES
from tests.profiles.made_profiles import corners, make_profile, random_profile

NAN = float("nan")


def context(n: int, **told: object) -> RoutingContext:
    return RoutingContext(query_ids=tuple(f"n{row}" for row in range(n)), texts=("?",) * n, **told)


def at_centroids(profile: Profile) -> np.ndarray:
    return profile.clusters.centroids


def cells(profile: Profile, decisions: object) -> list[tuple[int, int]]:
    return list(zip(decisions.cluster.tolist(), decisions.pair.tolist(), strict=True))


LABELS = np.repeat([0, 1], 10)
SCORES = np.zeros((20, 3))
SCORES[:10] = [[1, 0, 0]] * 6 + [[0, 1, 1]] * 4  # pair 0 leads with 0.6 where label is 0
SCORES[10:] = [[0, 1, 0]] * 7 + [[1, 0, 1]] * 3  # pair 1 leads with 0.7 where label is 1
COSTS = np.tile([0.004, 0.002, 0.001], (20, 1))


def test_each_query_takes_the_best_pair_of_its_nearest_cluster():
    profile = make_profile(SCORES, LABELS, COSTS)

    decisions = ClusterRouter(profile, PLAIN).decide(corners(LABELS, 3), context(20))

    assert [0] * 10 + [1] * 10 == decisions.pair.tolist()
    assert [0.6] * 10 + [0.7] * 10 == decisions.expected_score.round(12).tolist()
    assert [0.004] * 10 + [0.002] * 10 == decisions.expected_cost_usd.round(12).tolist()
    assert [1.0] * 20 == decisions.propensity.tolist()
    assert "score 0.600 from 10 outcomes, $0.004000 a question" in decisions.reason[0]


@pytest.mark.parametrize(
    ("scale", "expected"),
    [
        # label 0: scores .6 .4 .4, costs 4 2 1 thousandths; label 1: scores .3 .7 .3
        pytest.param("raw", [[0.298, 0.199, 0.1995], [0.148, 0.349, 0.1495]], id="raw"),
        pytest.param("global", [[-0.2, -0.05, 0.075], [-0.35, 0.1, 0.025]], id="global"),
        pytest.param("per_cluster", [[0.0, -0.25, -0.125], [-0.5, 0.25, -0.125]], id="per-cluster"),
    ],
)
def test_utilities_by_hand_at_alpha_one_half(scale, expected):
    profile = make_profile(SCORES, LABELS, COSTS)
    router = ClusterRouter(profile, ClusterRouterSettings(False, 0, False, scale))

    decisions = router.decide(corners(np.array([0, 1]), 3), context(2, alpha=0.5))

    np.testing.assert_allclose(expected, decisions.utility, atol=1e-9)


def test_ties_go_to_the_training_micro_then_to_pair_order():
    scores = np.array([[1, 1, 1, 0], [0, 0, 0, 0], [0, 1, 1, 1], [0, 1, 1, 0]], float)
    profile = make_profile(scores, np.array([0, 0, 1, 1]))

    decisions = ClusterRouter(profile, PLAIN).decide(corners(np.array([0]), 3), context(1))

    assert [1, 2, 0, 3] == decisions.ranking[0].tolist()


def test_estimates_within_1e_12_are_ties():
    scores = np.array([[0.5, 0.5 - 4e-13], [0.0, 1.0]])
    profile = make_profile(scores, np.array([0, 1]))

    decisions = ClusterRouter(profile, PLAIN).decide(corners(np.array([0]), 3), context(1))

    assert [1] == decisions.pair.tolist()


def test_shrinkage_alone_draws_a_small_cluster_to_the_overall_means():
    labels = np.array([0] * 30 + [1] * 2)
    scores = np.array([[1.0, 0.0]] * 30 + [[0.0, 1.0]] * 2)
    profile = make_profile(scores, labels, prior_strength=10)
    query = corners(np.array([1]), 3)

    def pair(**changed: object) -> int:
        chosen = ClusterRouterSettings(
            **{"shrinkage": False, "n_min": 0, "out_of_distribution": False, **changed}
        )
        return int(ClusterRouter(profile, chosen).decide(query, context(1)).pair[0])

    assert [1, 0, 0] == [pair(), pair(shrinkage=True), pair(n_min=3)]


@pytest.mark.parametrize(
    ("shrinkage", "said"),
    [
        pytest.param(False, "by the pair's overall figures", id="raw"),
        pytest.param(True, "by what the pair does elsewhere and other pairs do here", id="shrunk"),
    ],
)
def test_a_cell_with_too_few_outcomes_says_where_its_score_is_from(shrinkage, said):
    labels = np.array([0] * 30 + [1] * 2)
    scores = np.array([[1.0, 0.0]] * 30 + [[0.0, 1.0]] * 2)
    settings = ClusterRouterSettings(shrinkage=shrinkage)
    router = ClusterRouter(make_profile(scores, labels), settings)

    decisions = router.decide(corners(np.array([1]), 3), context(1))

    assert f"fewer than 5 outcomes here, so {said}" in decisions.reason[0]


def test_a_query_far_from_every_cluster_is_marked_and_routed_by_overall_figures():
    profile = make_profile(SCORES, LABELS, COSTS)
    far = np.array([[0.0, 0.0, -9.0], [1.0, 0.0, 0.0]], np.float32)

    decisions = ClusterRouter(profile).decide(far, context(2))
    plain = ClusterRouter(profile, PLAIN).decide(far, context(2))

    assert [True, False] == decisions.out_of_distribution.tolist()
    assert 1 == decisions.pair[0]  # overall scores are .45, .55, .35
    np.testing.assert_allclose(profile.statistics.score_shrunk[-1, 1], decisions.expected_score[0])
    assert "farther from its cluster than 99 %" in decisions.reason[0]
    assert [False, False] == plain.out_of_distribution.tolist()


def test_a_pair_of_unknown_cost_is_left_out_above_alpha_zero_and_the_reason_says_so():
    costs = COSTS.copy()
    costs[:, 0] = NAN
    router = ClusterRouter(make_profile(SCORES, LABELS, costs), PLAIN)
    query = corners(np.array([0]), 3)

    free = router.decide(query, context(1))
    paid = router.decide(query, context(1, alpha=0.01))

    assert 0 == free.pair[0]
    assert np.isnan(free.expected_cost_usd[0])
    assert 0 not in paid.ranking[0]
    assert np.isnan(paid.utility[0, 0])
    assert "1 pairs of unknown cost left out" in paid.reason[0]


def test_without_any_known_cost_alpha_above_zero_is_an_error():
    router = ClusterRouter(make_profile(SCORES, LABELS))

    with pytest.raises(RouterError, match=r"alpha is 0\.2, but the profile knows no pair's cost"):
        router.decide(corners(np.array([0]), 3), context(1, alpha=0.2))


def test_a_pool_of_free_pairs_is_routed_by_score_at_any_alpha_below_one():
    router = ClusterRouter(make_profile(SCORES, LABELS, COSTS * 0), PLAIN)

    assert [0] == router.decide(corners(np.array([0]), 3), context(1, alpha=0.9)).pair.tolist()


def test_where_only_unpriced_pairs_are_allowed_the_best_by_training_is_taken():
    costs = COSTS.copy()
    costs[:, :2] = NAN
    router = ClusterRouter(make_profile(SCORES, LABELS, costs))
    allowed = np.array([[True, True, False]])

    decisions = router.decide(corners(np.array([0]), 3), context(1, alpha=0.5, allowed=allowed))

    assert [1, 0, -1] == decisions.ranking[0].tolist()
    assert "no allowed pair has a known score and cost" in decisions.reason[0]


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from(COST_SCALES), st.booleans())
def test_a_higher_alpha_never_raises_a_clusters_score_or_cost(seed, scale, shrinkage):
    profile = random_profile(n=120, seed=seed)
    router = ClusterRouter(profile, ClusterRouterSettings(shrinkage, 0, False, scale))

    sweep = [
        router.decide(at_centroids(profile), context(profile.k, alpha=alpha))
        for alpha in np.linspace(0, 1, 21)
    ]

    scores = np.array([decisions.expected_score for decisions in sweep])
    costs = np.array([decisions.expected_cost_usd for decisions in sweep])
    assert (np.diff(scores[:-1], axis=0) <= 1e-12).all()
    assert (np.diff(costs[1:], axis=0) <= 1e-12).all()
    assert (costs[-1] <= costs.min(axis=0) + 1e-12).all()


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([0.0, 0.3, 0.8]))
def test_a_dominated_pair_changes_nothing(seed, alpha):
    before, after = with_another_pair(seed, score=0.0, cost=0.01)

    one = ClusterRouter(before, PLAIN).decide(at_centroids(before), context(before.k, alpha=alpha))
    two = ClusterRouter(after, PLAIN).decide(at_centroids(after), context(after.k, alpha=alpha))

    assert sorted(cells(before, one)) == sorted(cells(after, two))


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([0.0, 0.3, 0.8]))
def test_with_shrinkage_a_dominated_pair_is_never_chosen_and_moves_others_little(seed, alpha):
    before, after = with_another_pair(seed, score=0.0, cost=0.01)
    shrunk = ClusterRouterSettings(True, 0, False)

    one = ClusterRouter(before, shrunk).decide(at_centroids(before), context(before.k, alpha=alpha))
    two = ClusterRouter(after, shrunk).decide(at_centroids(after), context(after.k, alpha=alpha))

    # How far means are drawn together is estimated over all pairs, so others move a little.
    before_of = dict(zip(one.cluster.tolist(), one.utility, strict=True))
    assert len(before.pairs) not in two.pair
    for cluster, pair in cells(after, two):
        assert before_of[cluster][pair] > before_of[cluster].max() - 0.005


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000), st.integers(0, 3))
def test_a_dominant_pair_changes_only_the_clusters_where_it_leads(seed, leads):
    before, after = with_another_pair(seed, score=0.0, cost=0.0, leads=leads)

    one = ClusterRouter(before, PLAIN).decide(at_centroids(before), context(before.k))
    two = ClusterRouter(after, PLAIN).decide(at_centroids(after), context(after.k))

    new = len(before.pairs)
    changed = {cluster for cluster, pair in set(cells(after, two)) - set(cells(before, one))}
    assert {label_of(after, leads)} == changed
    assert {new} == {pair for cluster, pair in cells(after, two) if cluster in changed}


def label_of(profile: Profile, label: int) -> int:
    return int(profile.clusters.assign(corners(np.array([label]), 5)).labels[0])


def with_another_pair(
    seed: int, *, score: float, cost: float, leads: int | None = None
) -> tuple[Profile, Profile]:
    """A profile, and the same with one pair more; it scores 1 in the cluster it leads."""
    rng = np.random.default_rng(seed)
    labels = np.arange(80) % 4
    scores = (rng.random((80, 4)) < 0.3 + 0.4 * rng.random((4, 4))[labels]).astype(float)
    scores[:4] = 0.0  # nobody is perfect, so that a perfect pair leads
    costs = rng.uniform(0.001, 0.01, (80, 4))
    costs[:, 3] = 0.01  # the dearest pair stays the dearest: the cost scale is the same
    new_scores = np.full(80, score)
    if leads is not None:
        new_scores[labels == leads] = 1.0
    wider = np.column_stack([scores, new_scores])
    dearer = np.column_stack([costs, np.full(80, cost)])
    before = make_profile(scores, labels, costs, prior_strength=8)
    return before, make_profile(wider, labels, dearer, prior_strength=8)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000), st.floats(0, 1))
def test_decisions_respect_the_mask_and_do_not_depend_on_the_order_of_rows(seed, alpha):
    rng = np.random.default_rng(seed)
    profile = random_profile(n=80, seed=seed)
    queries = corners(rng.integers(0, 4, 60), 5)
    allowed = rng.random((60, 5)) < 0.5
    allowed[np.arange(60), rng.integers(0, 5, 60)] = True
    order = rng.permutation(60)
    router = ClusterRouter(profile)

    one = router.decide(queries, context(60, alpha=alpha, allowed=allowed))
    two = router.decide(queries[order], context(60, alpha=alpha, allowed=allowed[order]))

    assert one.ranking[order].tolist() == two.ranking.tolist()
    assert [one.reason[row] for row in order] == list(two.reason)
    assert one.pair.tolist() == one.ranking[:, 0].tolist()
    assert allowed[np.arange(60), one.pair].all()
    for row in range(60):
        named = one.ranking[row][one.ranking[row] >= 0].tolist()
        assert np.flatnonzero(allowed[row]).tolist() == sorted(named)
        utilities = one.utility[row, named]
        assert (np.diff(utilities) <= 1e-12).all()


def test_ten_thousand_decisions_take_milliseconds():
    rng = np.random.default_rng(0)
    labels = np.arange(400) % 8
    profile = make_profile(rng.random((400, 20)), labels, rng.random((400, 20)))
    router = ClusterRouter(profile)
    queries = corners(rng.integers(0, 8, 10_000), 9)
    told = context(10_000, alpha=0.3)
    router.decide(queries, told)

    fastest = min(timed(router, queries, told) for _ in range(5))

    assert fastest < 0.05


def timed(router: ClusterRouter, queries: np.ndarray, told: RoutingContext) -> float:
    start = time.process_time()
    router.decide(queries, told)
    return time.process_time() - start


def test_no_queries_are_no_decisions():
    profile = random_profile()

    assert () == ClusterRouter(profile).decide(np.empty((0, 5), np.float32), context(0)).reason


@pytest.mark.parametrize(
    ("told", "message"),
    [
        ({"alpha": 1.5}, "alpha must lie between"),
        ({"alpha": NAN}, "alpha must lie between"),
        ({"allowed": np.ones((1, 3), bool)}, r"allowed has shape \(1, 3\), not \(1, 5\)"),
        ({"allowed": np.zeros((1, 5), bool)}, "no pair is allowed for query 'n0'"),
        ({"scores": np.zeros((2, 5))}, "2 scores for 1 queries"),
    ],
)
def test_a_context_that_does_not_fit_is_refused(told, message):
    with pytest.raises(RouterError, match=message):
        ClusterRouter(random_profile()).decide(np.ones((1, 5), np.float32), context(1, **told))


def test_embeddings_are_needed():
    with pytest.raises(RouterError, match="needs the embeddings"):
        ClusterRouter(random_profile()).decide(None, context(1))
    with pytest.raises(RouterError, match="2 embeddings for 1 queries"):
        ClusterRouter(random_profile()).decide(np.ones((2, 5), np.float32), context(1))


@pytest.mark.parametrize(
    ("changed", "message"), [({"cost_scale": "local"}, "cost_scale"), ({"n_min": -1}, "n_min")]
)
def test_impossible_settings_are_refused(changed, message):
    with pytest.raises(RouterError, match=message):
        ClusterRouter(random_profile(), ClusterRouterSettings(**changed))


def test_soft_membership_is_the_weighted_mean_of_the_nearest_clusters():
    profile = make_profile(SCORES, LABELS, COSTS)
    settings = ClusterRouterSettings(
        shrinkage=False, n_min=0, out_of_distribution=False, neighbours=2, temperature=0.5
    )
    centroids = profile.clusters.centroids.astype(float)
    query = (0.75 * centroids[:1] + 0.25 * centroids[1:]).astype(np.float32)

    decisions = ClusterRouter(profile, settings).decide(query, context(1))

    squared = ((query - centroids) ** 2).sum(axis=1)
    weight = np.exp(-(squared - squared.min()) / 0.5)
    expected = weight / weight.sum() @ profile.statistics.score_mean[:-1]
    np.testing.assert_allclose(expected, decisions.utility[0], atol=1e-6)
    np.testing.assert_allclose(expected.max(), decisions.expected_score[0], atol=1e-6)
    assert "mean over the 2 nearest clusters: highest utility" in decisions.reason[0]


def test_soft_membership_with_little_heat_is_the_nearest_cluster():
    profile = random_profile()
    queries = at_centroids(profile)
    soft = ClusterRouter(profile, ClusterRouterSettings(neighbours=4, temperature=1e-4))

    decisions = soft.decide(queries, context(len(queries)))

    hard = ClusterRouter(profile).decide(queries, context(len(queries)))
    assert cells(profile, hard) == cells(profile, decisions)
    np.testing.assert_allclose(hard.utility, decisions.utility, atol=1e-9)


def test_soft_membership_leaves_far_queries_to_overall_figures():
    profile = make_profile(SCORES, LABELS, COSTS)
    far = np.array([[0.0, 0.0, -9.0]], np.float32)

    soft = ClusterRouter(profile, ClusterRouterSettings(neighbours=2)).decide(far, context(1))
    hard = ClusterRouter(profile).decide(far, context(1))

    np.testing.assert_allclose(hard.utility, soft.utility)
    assert hard.reason == soft.reason


def test_a_pair_of_unknown_cost_in_one_of_the_clusters_is_unknown_softly_too():
    costs = COSTS.copy()
    costs[:, 0] = NAN
    router = ClusterRouter(make_profile(SCORES, LABELS, costs), ClusterRouterSettings(neighbours=2))

    decisions = router.decide(corners(np.array([0]), 3), context(1, alpha=0.2))

    assert np.isnan(decisions.utility[0, 0])
    assert 0 not in decisions.ranking[0]


@pytest.mark.parametrize("bad", [{"neighbours": 0}, {"temperature": 0.0}, {"temperature": NAN}])
def test_impossible_soft_settings_are_refused(bad):
    with pytest.raises(RouterError, match="neighbours must be at least 1 and temperature above 0"):
        ClusterRouter(random_profile(), ClusterRouterSettings(**bad))
