"""The allocator: within its budget, the same when replayed, and never giving a pair up for good."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from profiles.allocation import AllocationSettings, Allocator
from profiles.allocation import allocator as reasons
from profiles.errors import ProfileError
from profiles.posterior import PosteriorSettings

NAN = float("nan")
NEVER = AllocationSettings(epsilon=0.0)
QUICK = AllocationSettings(epsilon=0.0, rounds=8, draws=20)


def world(n=400, k=4, pairs=5, seed=0, spread=0.2):
    """Labels and 0/1 scores whose best pair differs by cluster."""
    rng = np.random.default_rng(seed)
    truth = np.clip(0.5 + spread * rng.standard_normal((k, pairs)), 0.05, 0.95)
    labels = np.arange(n) % k
    hard = rng.random((n, 1)) * 0.5 + rng.random((n, pairs)) * 0.5
    return labels, (hard < truth[labels]).astype(float), truth


def run(allocator, scores, costs=None):
    """Every round's cells, their recorded results observed."""
    asked = []
    while (cells := allocator.next_round()) is not None:
        paid = None if costs is None else [costs[cell] for cell in cells]
        allocator.observe(cells, [scores[cell] for cell in cells], paid)
        asked.append(cells)
    return asked


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**20), st.floats(0, 1.1), st.integers(1, 4), st.integers(1, 5))
def test_no_cell_is_asked_twice_and_the_budget_is_never_passed(seed, share, k, pairs):
    labels, scores, _ = world(n=60, k=k, pairs=pairs, seed=seed)
    known = np.random.default_rng(seed).random(scores.shape) < 0.2
    allocator = Allocator(
        labels=labels,
        pairs=pairs,
        known=known,
        scores=np.where(known, scores, NAN),
        budget=share * scores.size,
        seed=seed,
        settings=QUICK,
    )

    cells = [cell for asked in run(allocator, scores) for cell in asked]

    assert len(set(cells)) == len(cells) <= share * scores.size
    assert not any(known[cell] for cell in cells)
    assert allocator.stopped is not None


@pytest.mark.parametrize("share", [0.15, 0.25, 0.5])
def test_a_budget_is_used_up_when_nothing_stops_it(share):
    labels, scores, _ = world()

    allocator = Allocator(labels=labels, pairs=5, budget=share * scores.size, settings=NEVER)
    run(allocator, scores)

    assert reasons.SPENT == allocator.stopped
    assert share * scores.size == allocator.spent


def test_all_cells_are_asked_when_the_budget_reaches_them():
    labels, scores, _ = world(n=80)

    allocator = Allocator(labels=labels, pairs=5, budget=1e6, settings=QUICK)
    asked = run(allocator, scores)

    assert scores.size == sum(map(len, asked))
    assert reasons.COMPLETE == allocator.stopped


def test_a_replay_asks_for_the_same_cells_whatever_order_results_came_in():
    labels, scores, _ = world()
    told = {"labels": labels, "pairs": 5, "budget": 500, "seed": 3, "settings": QUICK}
    first = run(Allocator(**told), scores)

    again = Allocator(**told)
    replayed = []
    while (cells := again.next_round()) is not None:
        for cell in reversed(cells):
            again.observe([cell], [scores[cell]])
        replayed.append(cells)

    assert first == replayed
    assert first != run(Allocator(**(told | {"seed": 4})), scores)


def test_all_pairs_of_a_cluster_walk_one_order_of_its_questions():
    labels, scores, _ = world()
    allocator = Allocator(labels=labels, pairs=5, budget=600, seed=1, settings=NEVER)

    rows: dict[tuple[int, int], list[int]] = {}
    for cells in run(allocator, scores):
        for row, column in cells:
            rows.setdefault((labels[row], column), []).append(row)

    for cluster in range(4):
        walks = sorted((rows[cluster, pair] for pair in range(5)), key=len)
        for shorter, longer in pairwise(walks):
            assert set(shorter) <= set(longer)


def test_calls_go_to_the_leading_pairs_and_no_pair_is_given_up():
    rng = np.random.default_rng(0)
    truth = np.array([0.70, 0.66, 0.30, 0.20])
    scores = (rng.random((3000, 4)) < truth).astype(float)
    allocator = Allocator(labels=np.zeros(3000, int), pairs=4, budget=2400, seed=0, settings=NEVER)

    rounds = run(allocator, scores)

    counts = np.bincount([column for cells in rounds for _, column in cells], minlength=4)
    assert counts[:2].sum() > 0.75 * counts.sum()
    late = {column for cells in rounds[len(rounds) // 2 :] for _, column in cells}
    assert {0, 1, 2, 3} == late


def test_big_clusters_get_more_calls_than_small_ones():
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1], [1800, 200])
    scores = (rng.random((2000, 3)) < np.array([0.6, 0.58, 0.5])).astype(float)

    rounds = run(Allocator(labels=labels, pairs=3, budget=900, settings=NEVER), scores)

    counts = np.bincount([labels[row] for cells in rounds for row, _ in cells])
    assert counts[0] > 2 * counts[1]


def test_what_is_known_already_costs_nothing_and_is_not_asked_again():
    labels, scores, _ = world(n=200)
    known = np.zeros(scores.shape, bool)
    known[:, :4] = True  # a fifth pair joins a pool whose other pairs are known
    allocator = Allocator(
        labels=labels,
        pairs=5,
        known=known,
        scores=np.where(known, scores, NAN),
        budget=40,
        settings=NEVER,
    )

    cells = [cell for asked in run(allocator, scores) for cell in asked]

    assert {4} == {column for _, column in cells}
    assert 40 == len(cells)


def test_certainty_stops_it_and_leaves_the_rest_unspent():
    rng = np.random.default_rng(0)
    scores = (rng.random((2000, 2)) < np.array([0.9, 0.2])).astype(float)
    allocator = Allocator(labels=np.zeros(2000, int), pairs=2, budget=2000)

    run(allocator, scores)

    assert reasons.CERTAIN == allocator.stopped
    assert allocator.spent < 500
    assert allocator.remaining_gain < 0.0005


def test_a_small_budget_buys_whole_questions_spread_over_clusters_by_size():
    labels = np.repeat([0, 1], [150, 50])
    scores = np.ones((200, 4))
    allocator = Allocator(labels=labels, pairs=4, budget=65)

    (cells,) = run(allocator, scores)

    assert reasons.WHOLE == allocator.stopped
    rows = [row for row, _ in cells]
    assert {4} == set(np.unique(rows, return_counts=True)[1].tolist())
    assert [12, 4] == np.bincount(labels[np.unique(rows)]).tolist()


def test_a_budget_below_one_whole_question_runs_nothing_and_says_so():
    allocator = Allocator(labels=np.zeros(100, int), pairs=4, budget=3)

    assert allocator.next_round() is None
    assert reasons.POOR == allocator.stopped


def test_dollars_are_counted_as_paid_and_dear_pairs_are_run_less():
    rng = np.random.default_rng(0)
    scores = (rng.random((1500, 2)) < 0.6).astype(float)
    price = np.array([0.001, 0.010])
    costs = np.tile(price, (1500, 1)) * 1.1
    allocator = Allocator(
        labels=np.zeros(1500, int), pairs=2, cost=price, budget=3.0, settings=NEVER
    )

    rounds = run(allocator, scores, costs)

    counts = np.bincount([column for cells in rounds for _, column in cells])
    paid = sum(costs[cell] for cells in rounds for cell in cells)
    np.testing.assert_allclose(paid, allocator.spent)
    assert 2.5 < paid < 3.0 * 1.1
    assert counts[0] > 2 * counts[1]


def test_a_pair_without_a_price_is_still_run():
    labels, scores, _ = world(n=200)
    price = np.array([0.01, 0.01, NAN, 0.01, 0.01])

    rounds = run(Allocator(labels=labels, pairs=5, cost=price, budget=3.0, settings=QUICK), scores)

    assert {0, 1, 2, 3, 4} == {column for cells in rounds for _, column in cells}


def test_a_pair_that_always_fails_is_asked_ever_more_rarely():
    labels, scores, _ = world(n=1000, pairs=3, seed=2, spread=0.02)
    scores[:, 2] = NAN

    rounds = run(Allocator(labels=labels, pairs=3, budget=1500, seed=0, settings=NEVER), scores)

    counts = np.bincount([column for cells in rounds for _, column in cells], minlength=3)
    assert 16 <= counts[2] < 0.2 * counts[0]


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_all_wrong_and_all_right_tables_come_to_an_end(value):
    labels, scores, _ = world(n=120)

    allocator = Allocator(labels=labels, pairs=5, budget=300)
    run(allocator, np.full_like(scores, value))

    assert allocator.stopped in {reasons.CERTAIN, reasons.SPENT}


def test_one_question_and_one_pair_are_a_table_too():
    allocator = Allocator(labels=np.array([0]), pairs=1, budget=1, settings=QUICK)

    assert [[(0, 0)]] == run(allocator, np.ones((1, 1)))
    assert reasons.COMPLETE == allocator.stopped


def test_no_question_at_all_is_complete():
    allocator = Allocator(labels=np.array([], int), pairs=2, budget=1)

    assert allocator.next_round() is None
    assert reasons.COMPLETE == allocator.stopped


def test_it_routes_better_than_as_many_whole_questions():
    from profiles.allocation import allocate_offline
    from profiles.posterior import fit_cells

    worth = {"adaptive": 0.0, "queries": 0.0}
    for seed in range(6):
        labels, scores, truth = world(n=800, k=4, pairs=8, seed=seed, spread=0.08)
        for sampler in worth:
            mask = allocate_offline(
                sampler, scores=scores, labels=labels, share=0.2, seed=seed, settings=QUICK
            )
            best = fit_cells(np.where(mask, scores, NAN), labels, 4).mean.argmax(axis=1)
            worth[sampler] += float(truth[np.arange(4), best].mean()) / 6

    assert worth["adaptive"] > worth["queries"] + 0.005


@pytest.mark.parametrize(
    ("told", "complaint"),
    [
        pytest.param({"budget": -1}, "budget must be a number of 0 or more", id="budget"),
        pytest.param({"budget": NAN}, "budget must be a number of 0 or more", id="no-budget"),
        pytest.param({"known": np.ones((3, 2), bool)}, "must have shape", id="known"),
        pytest.param({"cost": np.ones(3)}, "cost has shape", id="cost-shape"),
        pytest.param({"cost": np.array([NAN, NAN])}, "no pair has a known price", id="no-price"),
        pytest.param({"cost": np.array([-1.0, 1.0])}, "costs are 0 or more", id="negative"),
    ],
)
def test_impossible_arguments_are_refused(told, complaint):
    with pytest.raises(ProfileError, match=complaint):
        Allocator(**({"labels": np.zeros(4, int), "pairs": 2, "budget": 5} | told))


@pytest.mark.parametrize(
    ("cells", "scores", "complaint"),
    [
        pytest.param([(0, 0)], [], "every cell needs one", id="missing"),
        pytest.param([(0, 0)], [1.5], "question 0, pair 0.* not 0 to 1", id="above-one"),
    ],
)
def test_impossible_observations_are_refused(cells, scores, complaint):
    allocator = Allocator(labels=np.zeros(4, int), pairs=2, budget=5)

    with pytest.raises(ProfileError, match=complaint):
        allocator.observe(cells, scores)


@pytest.mark.parametrize(
    "bad",
    [{"rounds": 0}, {"draws": 1}, {"epsilon": NAN}, {"explore": 1.5}, {"fallback_share": -0.1}],
)
def test_impossible_settings_are_refused(bad):
    with pytest.raises(ProfileError, match="must"):
        AllocationSettings(**bad)


def test_the_posterior_of_the_settings_is_used():
    labels, scores, _ = world()
    alone = AllocationSettings(epsilon=0.0, rounds=8, posterior=PosteriorSettings(paired=False))

    one = run(Allocator(labels=labels, pairs=5, budget=500, settings=QUICK), scores)
    other = run(Allocator(labels=labels, pairs=5, budget=500, settings=alone), scores)

    assert one != other
