"""Routers are judged on questions left out of their fit, and one is taken only if it helps."""

from dataclasses import replace

import numpy as np
import pytest

from profiles.clusters import ClusterSettings
from profiles.crossfit import doubly_robust, fit_selection, trial_sizes
from profiles.errors import RouterError
from profiles.folds import content_folds
from profiles.outcomes import OutcomeMatrices
from profiles.selection import (
    Selection,
    Trial,
    assess,
    best_k,
    choose,
    single_choice,
    trial_choices,
)
from tests.profiles.made_profiles import corners

NAN = float("nan")


def matrices(scores, costs=None):
    unknown = np.full(scores.shape, np.nan)
    costs = unknown if costs is None else costs
    observed = np.isfinite(scores)
    return OutcomeMatrices(scores, costs, unknown, unknown, unknown, observed, ~observed & False)


def world(n=400, skill=((0.9, 0.3), (0.2, 0.8)), seed=0):
    """Two kinds of question, each best served by another pair."""
    rng = np.random.default_rng(seed)
    kind = rng.integers(0, 2, n)
    scores = (rng.random((n, 2)) < np.array(skill)[kind]).astype(float)
    return kind, scores


def fitted(kind, scores, costs=None, **kept) -> Selection:
    given = {
        "texts": [f"question {row}" for row in range(len(kind))],
        "datasets": ["d"] * len(kind),
        "embeddings": corners(kind, int(kind.max()) + 2),
        "outcomes": matrices(scores, costs),
        "single_scores": np.nanmean(scores, axis=0),
        "clusters": ClusterSettings(2),
        "sweep": (2, 4),
    }
    found = fit_selection(**(given | kept))
    assert found is not None
    return found


def test_folds_follow_the_text_alone():
    texts = [f"text {number % 40}" for number in range(80)]

    folds = content_folds(texts)

    np.testing.assert_array_equal(folds[:40], folds[40:])
    np.testing.assert_array_equal(folds[::-1], content_folds(texts[::-1]))
    assert {0, 1, 2, 3, 4} == set(folds.tolist())


def test_clusters_that_tell_kinds_apart_are_taken():
    choice = choose(fitted(*world()), 0.0)

    cluster = choice.estimates[-1]
    assert ("cluster", 2, 1) == (choice.router, choice.k, choice.nearest)
    assert cluster.helps
    assert pytest.approx(0.85, abs=0.05) == cluster.score
    assert pytest.approx(0.3, abs=0.06) == cluster.gain
    low, high = cluster.interval
    assert low < cluster.gain < high
    assert choice.sentence.startswith("cluster (K = 2): +")
    assert "400 training questions" in choice.sentence


def test_the_best_single_pair_stays_where_nothing_helps():
    choice = choose(fitted(*world(skill=((0.8, 0.6), (0.8, 0.6)))), 0.0)

    assert ("best-single", None) == (choice.router, choice.k)
    assert "no router is clearly better" in choice.sentence
    assert "cluster (K = 2)" in choice.sentence


def test_what_is_left_out_of_a_fit_decides_not_what_was_in_it():
    # Clusters of ten questions learn luck by heart: in sample their best pair looks perfect.
    rng = np.random.default_rng(1)
    kind = np.arange(400) % 40
    scores = (rng.random((400, 6)) < 0.5).astype(float)
    luck = np.array([scores[kind == cluster].mean(axis=0).max() for cluster in range(40)])

    choice = choose(fitted(kind, scores, clusters=ClusterSettings(40), sweep=()), 0.0)

    assert luck.mean() > 0.65
    assert choice.estimates[1].score < 0.56
    assert "best-single" == choice.router


def test_clusters_are_taken_only_where_they_are_clearly_better_than_the_predictor():
    kind, scores = world()
    selection = fitted(kind, scores)
    clusters = trial_choices(selection, selection.trials[0], 0.0)

    same = choose(selection, 0.0, {"predictor": clusters})
    perfect = choose(selection, 0.0, {"predictor": scores.argmax(axis=1)})
    harmful = choose(selection, 0.0, {"predictor": scores.argmin(axis=1)})

    assert ("predictor", "predictor", "cluster") == (same.router, perfect.router, harmful.router)
    named = [(one.router, one.nearest) for one in harmful.estimates]
    assert [("best-single", None), ("predictor", None), ("cluster", 1), ("cluster", 2)] == named
    assert harmful.estimates[1].gain < 0


def test_k_stays_where_others_are_hardly_better():
    kind, scores = world()

    selection = fitted(kind, scores, sweep=(2, 4, 8), choose=True, clusters=ClusterSettings(4))

    assert 4 == selection.k


def test_a_loss_on_a_small_dataset_weighs_as_much_as_a_gain_on_a_large_one():
    # The second pair gains 0.2 on the large dataset and loses 0.6 on the small one.
    n, small = 400, 40
    scores = np.full((n, 2), 0.5)
    scores[:, 1] = 0.7
    scores[:small, 1] = 0.0
    scores[:small, 0] = 0.6
    datasets = ["small"] * small + ["large"] * (n - small)
    selection = fitted(
        np.zeros(n, int), scores, datasets=datasets, single_scores=np.array([0.55, 0.35])
    )

    second = assess(selection, 0.0, {"predictor": np.ones(n, np.int64)})[1]

    assert pytest.approx(0.12, abs=1e-6) == second.micro_gain
    assert pytest.approx(-0.2, abs=1e-6) == second.macro_gain
    assert pytest.approx(-0.04, abs=1e-6) == second.gain
    assert not second.helps


def test_alpha_turns_the_choice_towards_cost():
    kind, scores = world()
    costs = np.tile([0.001, 0.1], (len(kind), 1))
    selection = fitted(kind, scores, costs)

    assert 0 == single_choice(selection, 1.0)
    dear = {
        alpha: float((trial_choices(selection, selection.trials[0], alpha) == 1).mean())
        for alpha in (0.0, 1.0)
    }
    assert dear[0.0] > 0.3
    assert 0.0 == dear[1.0]
    assert "best-single" == choose(selection, 1.0).router


def test_alpha_above_0_without_costs_is_refused():
    with pytest.raises(RouterError, match="knows no pair's cost"):
        choose(fitted(*world()), 0.5)


def test_k_is_chosen_by_routing_value():
    rng = np.random.default_rng(0)
    kind = rng.integers(0, 4, 800)
    skill = np.eye(4) * 0.8 + 0.1
    scores = (rng.random((800, 4)) < skill[kind]).astype(float)

    selection = fitted(kind, scores, sweep=(2, 4, 8), choose=True, clusters=ClusterSettings(2))

    assert 4 == selection.k == best_k(selection)
    assert [(2, 1), (4, 1), (8, 1), (4, 3)] == [(one.k, one.nearest) for one in selection.trials]
    assert "cluster (K = 4)" in choose(selection, 0.0).sentence


def test_a_k_of_too_few_questions_a_cluster_is_not_tried():
    assert (4, 8) == trial_sizes(250, (4, 8, 16), None)
    assert (4, 8, 30) == trial_sizes(250, (4, 8, 16), 30)
    assert (4,) == trial_sizes(40, (4, 8), None)


@pytest.mark.parametrize("n", [1, 29])
def test_too_few_questions_give_no_selection(n):
    kind, scores = world(n)

    found = fit_selection(
        texts=[str(row) for row in range(n)],
        datasets=["d"] * n,
        embeddings=corners(kind, 3),
        outcomes=matrices(scores),
        single_scores=scores.mean(axis=0),
        clusters=ClusterSettings(1),
    )

    assert found is None


def test_one_text_a_thousand_times_gives_no_selection():
    kind, scores = world(50)

    found = fit_selection(
        texts=["the same"] * 50,
        datasets=["d"] * 50,
        embeddings=corners(kind, 3),
        outcomes=matrices(scores),
        single_scores=scores.mean(axis=0),
        clusters=ClusterSettings(1),
    )

    assert found is None


def test_whole_tables_are_valued_by_their_own_scores():
    kind, scores = world()

    selection = fitted(kind, scores)

    np.testing.assert_array_equal(scores.astype(np.float32), selection.values)


def test_cells_that_were_not_run_bias_no_value():
    # Both pairs are tried mostly where they are good: their plain means are far too high.
    kind, scores = world(4000)
    rng = np.random.default_rng(5)
    seen = scores.copy()
    seen[:, 1][rng.random(4000) < np.where(kind == 0, 0.9, 0.2)] = NAN
    seen[:, 0][rng.random(4000) < np.where(kind == 0, 0.2, 0.9)] = NAN

    selection = fitted(kind, seen)

    assert np.nanmean(seen[:, 1]) > scores[:, 1].mean() + 0.1
    np.testing.assert_allclose(scores.mean(axis=0), selection.values.mean(axis=0), atol=0.05)
    assert "cluster" == choose(selection, 0.0).router


def test_the_doubly_robust_value_by_hand():
    folds = np.zeros(4, np.uint8)
    trial = Trial(
        k=1,
        rows=np.zeros((4, 1), np.uint16),
        weights=np.ones((4, 1), np.float32),
        scores=np.full((1, 2, 1), 0.5, np.float32),
        costs_usd=np.full((1, 2, 1), NAN, np.float32),
    )
    scores = np.array([[1.0], [NAN], [0.0], [NAN]])

    values = doubly_robust(scores, np.isfinite(scores), folds, trial)

    np.testing.assert_allclose([1.5, 0.5, -0.5, 0.5], values[:, 0])


def test_clusters_that_are_missing_leave_the_others_their_say():
    # Two distinct texts' embeddings make two clusters where four were asked for.
    kind, scores = world()

    selection = fitted(kind, scores, clusters=ClusterSettings(4), embeddings=np.eye(3)[kind])

    soft = selection.trials[-1]
    assert (4, 3) == (soft.k, soft.nearest)
    hard = trial_choices(selection, selection.trials[1], 0.0)
    np.testing.assert_array_equal(hard, trial_choices(selection, soft, 0.0))


def test_soft_rows_are_mixed_by_their_weights():
    selection = fitted(*world())
    hard = selection.trials[0]
    both = np.tile(np.array([0, 1], np.uint16), (selection.n, 1))
    mixed = replace(hard, rows=both, weights=np.full((selection.n, 2), 0.5, np.float32))

    chosen = trial_choices(selection, mixed, 0.0)

    expected = hard.scores[:, :2].mean(axis=1).argmax(axis=1)[selection.folds]
    np.testing.assert_array_equal(expected, chosen)
    assert 2 == mixed.nearest


def test_parts_make_the_same_selection_again():
    kind, scores = world()
    selection = fitted(kind, scores, np.full(scores.shape, 0.01))

    again = Selection.from_parts(*selection.to_parts())

    assert choose(selection, 0.0) == choose(again, 0.0)
    assert selection.k == again.k


def test_an_estimate_is_plain_json():
    import json

    plain = [one.as_json() for one in assess(fitted(*world()), 0.0)]

    assert "NaN" not in json.dumps(plain)
    assert {"router", "k", "gain", "gain_low", "gain_high", "helps", "sd"} <= set(plain[1])
