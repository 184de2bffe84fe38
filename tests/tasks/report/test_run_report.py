"""Reports: what a run did, to the last digit, and what others would have made of it."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from profiles.errors import RouterError
from profiles.profile import Profile
from tasks.call.base import ChatResponse, Usage
from tasks.call.errors import Fate, RetryableError, RowError
from tasks.call.scripted import ScriptedClient
from tasks.plan.estimates import measured
from tasks.report.against import compare_run, cost_drift
from tasks.report.comparison import Interval
from tasks.report.counterfactual import Answered, cost_cells, score_cells
from tasks.report.other_routers import AgainstError, Tables, best_mix, tables_of
from tasks.report.run_report import report_run
from tasks.report.run_text import report_document
from tasks.report.terminal import route_panel
from tests.tasks.small_runs import PAIRS, POOL, Small, drawn_costs, lines_of, question
from warehouse.errors import WarehouseError
from warehouse.ledger import RunRecord, open_ledger

SCORES = ((0.9, 0.2), (0.3, 0.9))
"""The calm model knows water, the wild one sums; the calm one is the best single pair."""
COSTS = ((0.001, 0.002), (0.003, 0.004))
CALL = Decimal("0.000036")
"""30 input and 3 output tokens of a scripted model."""
Z = 1.959963984540054


def graded(*, wrong=(), extra=()):
    """Six questions on water (42 is right) and four sums (41 is), some made wrong."""
    lines = lines_of(*[0] * 6, *[1] * 4, grader="numeric", dataset="mine")
    for number, line in enumerate(lines):
        line["reference"] = "7" if number in wrong else "42" if number < 6 else "41"
    return [*lines, *extra]


@pytest.fixture
def small(tmp_path):
    return Small(tmp_path)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A routed backlog, only read: five of six questions on water right, three of four sums."""
    small = Small(tmp_path_factory.mktemp("run"))
    small.profile(SCORES, COSTS)
    again = {"custom_id": "again", "prompt": question(0, 0)}
    small.backlog([*graded(wrong=(5, 9), extra=(again,)), "{torn"])
    small.route(max_cost_usd=Decimal(1))
    return small


def against(data, name):
    return next(other for other in data.against if other.name == name)


def interval(value, variance, least=-1.0):
    half = Z * math.sqrt(variance)
    return pytest.approx((value, max(least, value - half), min(1.0, value + half)))


# --------------------------------------------------------------------- what the run did


def test_rows_money_and_tokens_add_up(run):
    data = report_run(run.root, "run")

    assert ("complete", 11, 10, 1) == (data.state, data.rows, data.unique, data.bad)
    assert (11, 0, 0, 0) == (data.answered, data.failed, data.in_doubt, data.pending)
    assert 1 == data.duplicates
    assert (10 * CALL, Decimal(0), 0) == (
        data.calls.settled_usd,
        data.calls.doubt_usd,
        data.calls.unpriced,
    )
    assert (10 * CALL, Decimal(1)) == (data.ledger_usd, data.max_cost_usd)
    assert (300, 30, 10) == (
        data.calls.input_tokens,
        data.calls.output_tokens,
        data.calls.attempts,
    )
    assert 0 == data.doubts == data.fallbacks == data.out_of_distribution


def test_accuracy_is_over_questions_asked_and_scored_with_wilsons_interval(run):
    questions = report_run(run.root, "run").questions

    assert (10, 10, 0) == (questions.asked, questions.scored, questions.unscored)
    n, p = 10, 0.8
    centre = (p + Z**2 / (2 * n)) / (1 + Z**2 / n)
    half = Z / (1 + Z**2 / n) * math.sqrt(p * (1 - p) / n + Z**2 / (4 * n * n))
    assert questions.accuracy == pytest.approx((p, centre - half, centre + half))


def test_a_duplicate_counts_in_the_share_but_not_in_the_accuracy(run):
    calm, wild = report_run(run.root, "run").pairs

    assert (PAIRS[0], 6, 1, 6, 6 * CALL) == (
        calm.name,
        calm.answered,
        calm.duplicates,
        calm.scored,
        calm.cost_usd,
    )
    assert (PAIRS[1], 4, 0, 4, 4 * CALL) == (
        wild.name,
        wild.answered,
        wild.duplicates,
        wild.scored,
        wild.cost_usd,
    )
    assert (5 / 6, 3 / 4) == (calm.accuracy.value, wild.accuracy.value)
    assert 1000 * CALL == calm.usd_per_1k


def test_datasets_and_clusters_are_shown_in_parts(run):
    data = report_run(run.root, "run")

    assert [("mine", 10, 0.8)] == [(d.name, d.asked, d.accuracy.value) for d in data.datasets]
    assert [6, 4] == [cluster.asked for cluster in data.clusters]
    assert [5 / 6, 3 / 4] == [cluster.accuracy.value for cluster in data.clusters]
    assert all(cluster.words for cluster in data.clusters)


def test_expected_scores_are_held_against_realised_ones(run):
    profile = report_profile(run)
    shrunk = profile.statistics.score_shrunk
    water = int(profile.clusters.assign(profile.train.embeddings[:1]).labels[0])
    expected = [shrunk[water, 0]] * 6 + [shrunk[1 - water, 1]] * 4

    found = report_run(run.root, "run").calibration

    realised = [1, 1, 1, 1, 1, 0, 1, 1, 1, 0]
    gap = np.array(realised) - np.array(expected)
    half = Z * gap.std(ddof=1) / math.sqrt(10)
    assert 10 == found.n == sum(one.n for one in found.bins)
    assert found.expected == pytest.approx(np.mean(expected))
    assert found.gap == pytest.approx((gap.mean(), gap.mean() - half, gap.mean() + half))
    assert found.error == pytest.approx(
        sum(one.n * abs(one.realised.value - one.expected) for one in found.bins) / 10
    )


def report_profile(small) -> Profile:
    from tasks.profiling.store import find_profile

    return find_profile(small.root)


def failing(request):
    """The calm model fails on two questions, the wild one on one of them as well."""
    text, calm = request.messages[-1].content, request.origin.model == "calm"
    if (text == question(0, 1) and calm) or text == question(0, 2):
        return RowError("too long", error_type="context_length", fate=Fate.REFUSED)
    return ChatResponse("Answer: 42" if calm else "Answer: 41", Usage(30, 3))


def test_fallbacks_and_failures_are_counted_with_their_errors(small):
    small.profile(SCORES, COSTS)
    small.backlog(graded())
    small.route(ScriptedClient(default=failing))

    data = report_run(small.root, "run")

    assert (9, 1, 2) == (data.answered, data.failed, data.fallbacks)
    assert [("context_length", "failed", 1, "row-2")] == [error[:4] for error in data.errors]
    assert (9, 1) == (data.questions.scored, data.questions.failed)
    # The question that the wild model took over was the calm one's: its 41 is wrong.
    assert 8 / 9 == data.questions.accuracy.value
    assert 8 == data.calibration.n
    assert {"context_length": 1} == data.facts().errors


def test_unscored_is_counted_and_never_wrong(small):
    small.profile(SCORES, COSTS)
    small.backlog(graded())

    def silent(request):
        said = (
            "It depends on the weather." if request.messages[-1].content == question(0, 0) else "42"
        )
        said = said if request.origin.model == "calm" else "Answer: 41"
        return ChatResponse(said, Usage(30, 3))

    small.route(ScriptedClient(default=silent))

    questions = report_run(small.root, "run").questions

    assert (10, 9, 1) == (questions.answered, questions.scored, questions.unscored)
    assert 1.0 == questions.accuracy.value


def test_money_in_doubt_is_shown_apart(small):
    small.profile(SCORES, COSTS)
    small.backlog(graded())
    client = ScriptedClient(default=ChatResponse("42", Usage(30, 3)))
    client.enqueue(RetryableError("cut", error_type="connection_reset", fate=Fate.UNKNOWN))
    small.route(client, concurrency=1)

    data = report_run(small.root, "run")

    assert (1, 10 * CALL) == (data.doubts, data.calls.settled_usd)
    assert data.calls.doubt_usd > CALL
    assert data.ledger_usd == data.calls.settled_usd + data.calls.doubt_usd
    assert data.facts().doubt_usd == data.calls.doubt_usd


def test_a_run_stopped_at_its_budget_reports_what_it_has(small):
    small.profile(SCORES, COSTS)
    small.backlog(graded())
    small.route(max_cost_usd=Decimal("0.0006"), concurrency=1)

    data = report_run(small.root, "run")

    assert "paused_budget" == data.state
    assert 0 < data.pending < 10
    assert 10 == data.answered + data.pending
    assert data.answered * CALL == data.ledger_usd


UNPRICED = POOL.replace(
    "wild: {<<: *model, name: model-wild,", "wild: {<<: *model, name: model-wild, prices: {},"
)


def test_an_unknown_price_makes_no_zero(tmp_path):
    small = Small(tmp_path, UNPRICED)
    small.profile(SCORES, ((0.001, None), (0.003, None)))
    small.backlog(graded())
    small.route(allow_unpriced=True)

    data = report_run(small.root, "run")

    calm, wild = data.pairs
    assert (6 * CALL, None, None) == (calm.cost_usd, wild.cost_usd, wild.usd_per_1k)
    assert 4 == data.calls.unpriced == data.facts().unpriced
    assert any("unknown price" in note for note in data.notes)
    assert 6 == against(data, "best-single").cost_n
    random = against(data, "random")
    assert (None, None) == (random.cost_usd, random.cost_change)
    assert random.accuracy is not None


# ------------------------------------------------------------------- against the others


def test_the_best_single_pair_is_known_where_it_was_asked_and_estimated_elsewhere(run):
    best = against(report_run(run.root, "run"), "best-single")

    # Water questions were its own: 5 of 6. On sums the profile says 0.3, of 20 outcomes.
    lead = np.array([0.0] * 6 + [0.7, 0.7, 0.7, -0.3])
    other = np.array([1, 1, 1, 1, 1, 0, 0.3, 0.3, 0.3, 0.3])
    smooth = 7 / 22
    unknown = (4 * 0.3 * 0.7 + 16 * smooth * (1 - smooth) / 20) / 100
    assert ("best single (calm + none)", 10, True, 6.0) == (
        best.label,
        best.n,
        best.graded,
        best.same,
    )
    assert best.accuracy == interval(0.62, other.var(ddof=1) / 10 + unknown, 0.0)
    assert best.accuracy_change == interval(0.18, lead.var(ddof=1) / 10 + unknown)


def test_costs_are_compared_on_the_same_questions(run):
    best = against(report_run(run.root, "run"), "best-single")

    # Six calls as they were paid, four as profiled, and costs without any spread.
    total = 6 * 0.000036 + 4 * 0.003
    assert 10 == best.cost_n
    assert best.cost_usd == pytest.approx((total, total, total))
    assert best.cost_change == pytest.approx((0.00036 / total - 1,) * 3)


def test_random_is_the_expectation_of_a_uniform_draw(run):
    random = against(report_run(run.root, "run"), "random")

    # Half of what happened, half of the pair that was not asked.
    assert 0.5 * 0.8 + 0.5 * (6 * 0.2 + 4 * 0.3) / 10 == pytest.approx(random.accuracy.value)
    assert 5.0 == random.same
    total = 0.5 * 0.00036 + 0.5 * (6 * 0.002 + 4 * 0.003)
    assert total == pytest.approx(random.cost_usd.value)


def test_random_brings_its_control_at_the_same_cost(run):
    data = report_run(run.root, "run", against=("random",))

    assert ["random", "random-same-cost"] == [other.name for other in data.against]
    control = against(data, "random-same-cost")
    # The run's choices cost $0.0022 a question by the profile: the calm pair alone is within that.
    assert "random at the same cost (100 % calm + none)" == control.label
    assert 0.62 == pytest.approx(control.accuracy.value)


def test_the_oracle_is_a_bound_and_told_what_nobody_may_know(run):
    oracle = against(report_run(run.root, "run"), "oracle")

    # In either topic 18 of 20 questions were answered rightly by some pair.
    assert 0.9 == pytest.approx(oracle.accuracy.value)
    assert -0.1 == pytest.approx(oracle.accuracy_change.value)
    assert "every score" == oracle.told
    assert 0.0 == oracle.same


def test_the_runs_own_pairs_dealt_at_random_know_nothing(run):
    shuffled = against(report_run(run.root, "run", against=("shuffled",)), "shuffled")

    kept = (0.6 * 5 + 0.4 * 3) / 10
    rest = (6 * 0.4 * 0.2 + 4 * 0.6 * 0.3) / 10
    assert kept + rest == pytest.approx(shuffled.accuracy.value)


def test_against_itself_a_run_is_exactly_as_good_and_as_dear(small):
    small.profile(SCORES, COSTS, noise=0.5)
    small.backlog(graded(wrong=(0, 1)))
    small.route(router="best-single")

    best = against(report_run(small.root, "run"), "best-single")

    assert (0.0, 0.0, 0.0) == best.accuracy_change
    assert (0.0, 0.0, 0.0) == best.cost_change
    assert 10.0 == best.same


def test_a_fixed_pair_can_be_named(run):
    wild = against(report_run(run.root, "run", against=(f"fixed:{PAIRS[1]}",)), f"fixed:{PAIRS[1]}")

    assert "fixed (wild + none)" == wild.label
    assert (6 * 0.2 + 3) / 10 == pytest.approx(wild.accuracy.value)


def test_without_labels_both_sides_are_expected_and_it_is_said(small):
    small.profile(SCORES, COSTS)
    small.backlog(lines_of(*[0] * 6, *[1] * 4))
    small.route()

    data = report_run(small.root, "run")
    best = against(data, "best-single")

    assert (10, False, 6.0) == (best.n, best.graded, best.same)
    assert (6 * 0.9 + 4 * 0.3) / 10 == pytest.approx(best.accuracy.value)
    # Only the four sums differ: 0.9 of the wild pair against 0.3, each from 20 outcomes.
    doubt = sum(16 * s * (1 - s) / 20 for s in (7 / 22, 19 / 22)) / 100
    assert best.accuracy_change == interval(0.24, doubt)
    assert data.calibration is None
    assert any("no answer carries a score" in note for note in data.notes)


def test_a_fallbacks_cost_is_not_taken_for_the_pairs_own(small):
    small.profile(SCORES, COSTS)
    small.backlog(graded())
    small.route(ScriptedClient(default=failing))

    wild = against(
        report_run(small.root, "run", against=(f"fixed:{PAIRS[1]}",)), f"fixed:{PAIRS[1]}"
    )

    # Of nine answers the wild pair gave five, one of them after the calm one had failed.
    assert 4.0 == wild.same


def test_a_run_without_a_profile_uses_the_latest_one_of_its_pool(small):
    small.backlog(graded())
    small.route(router=f"fixed:{PAIRS[1]}")

    assert () == report_run(small.root, "run").against
    assert any("no profile" in note for note in report_run(small.root, "run").notes)

    small.profile(SCORES, COSTS)
    data = report_run(small.root, "run")

    # No clusters: the pair's overall mean, (0.9 + 0.3) / 2.
    assert 0.6 == pytest.approx(against(data, "best-single").accuracy.value)
    assert data.out_of_distribution is None
    assert () == data.clusters


def test_a_profile_of_another_pool_is_not_compared_with(small):
    small.profile(SCORES, COSTS)
    small.pool_path.write_text(POOL.replace('output_usd: "2"', 'output_usd: "3"'))
    small.backlog(graded())
    small.route(router=f"fixed:{PAIRS[1]}")

    data = report_run(small.root, "run")

    assert () == data.against
    assert any("another pool" in note for note in data.notes)


def test_without_training_rows_there_is_no_oracle_but_everything_else(run):
    bare = replace(report_profile(run), train=None)

    data = report_run(run.root, "run", profile=bare)

    assert "training rows" in against(data, "oracle").problem
    assert 0.62 == pytest.approx(against(data, "best-single").accuracy.value)


def test_costs_that_drift_from_the_profile_are_told(run):
    data = report_run(run.root, "run")

    # 36 microdollars a call, where the profile says $0.001 and $0.004.
    assert 0.00036 / 0.022 == pytest.approx(data.cost_drift.value)
    assert any("times" in note for note in data.notes)


@pytest.mark.parametrize("name", ["cluster", "knn", "nonsense"])
def test_routers_that_cannot_be_compared_are_refused_by_name(run, name):
    with pytest.raises(AgainstError, match=f"'{name}'.*best-single, cheapest"):
        report_run(run.root, "run", against=(name,))


def test_an_unknown_fixed_pair_is_refused(run):
    with pytest.raises(RouterError, match="no pair 'nobody@@none'"):
        report_run(run.root, "run", against=("fixed:nobody@@none",))


def test_an_unknown_run_is_refused(run):
    with pytest.raises(WarehouseError, match=r"no run 'other'.*atlas runs list"):
        report_run(run.root, "other")


def test_a_profiling_run_is_refused(small):
    ledger = open_ledger(small.root)
    now = datetime(2026, 1, 1, tzinfo=UTC)
    ledger.create_run(RunRecord("p", "profile", "complete", "b", "s", "{}", "c", "v", now), [])
    ledger.close()

    with pytest.raises(WarehouseError, match="atlas profile show"):
        report_run(small.root, "p")


# ----------------------------------------------------------------------------- formulas


def test_nineteen_of_twenty_leads_fall_inside_their_interval():
    """A router that gives one topic of two to each pair, against the first pair alone."""
    rng = np.random.default_rng(3)
    skill = np.array([[0.8, 0.5], [0.4, 0.7]])
    labels = np.repeat([0, 1], 60)
    inside, trials, n = 0, 500, 300
    for _ in range(trials):
        seen = (rng.random((120, 2)) < skill[labels]).astype(float)
        quantity = measured(np.hstack([seen, np.full((120, 1), np.nan)]), labels, 2)
        place = rng.integers(0, 2, n)
        truth = (rng.random((n, 2)) < skill[place]).astype(float)
        rows = Answered(place, place, place, truth[np.arange(n), place], np.full(n, np.nan))
        tables = Tables(_two_pairs(), score_cells(quantity), cost_cells(quantity))
        change = compare_run(rows, tables, ("fixed:a@@none",))[0].accuracy_change
        real = (truth[np.arange(n), place] - truth[:, 0]).mean()
        inside += change.low <= real <= change.high

    assert inside / trials >= 0.93


def test_nineteen_of_twenty_cost_changes_fall_inside_their_interval():
    rng = np.random.default_rng(4)
    labels = np.repeat([0, 1], 60)
    mean = np.array([[1.0, 3.0], [2.0, 5.0]])
    inside, trials, n = 0, 400, 200
    for _ in range(trials):
        seen = np.column_stack(
            [drawn_costs(rng, 120, 1.0, 0.6) * mean[labels, pair] for pair in (0, 1)]
        )
        quantity = measured(np.hstack([seen, np.full((120, 1), np.nan)]), labels, 2)
        place = rng.integers(0, 2, n)
        paid = drawn_costs(rng, n, 1.0, 0.6) * mean[place, place]
        other = drawn_costs(rng, n, 1.0, 0.6) * mean[place, 0]
        other[place == 0] = paid[place == 0]
        rows = Answered(place, place, place, np.full(n, np.nan), paid)
        tables = Tables(_two_pairs(), score_cells(quantity), cost_cells(quantity))
        change = compare_run(rows, tables, ("fixed:a@@none",))[0].cost_change
        inside += change.low <= paid.sum() / other.sum() - 1 <= change.high

    assert 0.92 <= inside / trials <= 0.98


def _two_pairs():
    from profiles.pool import Pair, Pool
    from profiles.routers.pool_only import unprofiled

    return unprofiled(Pool("p", {}, {}, (Pair("a", "none"), Pair("b", "none")), "f"))


def test_a_mix_of_a_cheap_and_a_dear_pair_spends_the_budget():
    mix = best_mix(np.array([0.4, 0.8, 0.5]), np.array([1.0, 3.0, 2.5]), 2.0)

    # Half and half of the ends of the hull scores 0.6; the third pair lies under it.
    assert [(0, 0.5), (1, 0.5)] == mix


def test_no_mix_is_cheaper_than_the_cheapest_pair():
    assert best_mix(np.array([0.4, 0.8]), np.array([1.0, 3.0]), 0.5) is None
    assert best_mix(np.array([0.4, np.nan]), np.array([1.0, 0.1]), 0.5) is None


@settings(max_examples=60)
@given(
    st.lists(st.tuples(st.floats(0, 1), st.floats(0.001, 10)), min_size=1, max_size=6),
    st.floats(0.001, 12),
)
def test_the_best_mix_keeps_the_budget_and_beats_every_pair_within_it(points, budget):
    score, cost = (np.array(column) for column in zip(*points, strict=True))

    mix = best_mix(score, cost, budget)

    affordable = [s for s, c in points if c <= budget]
    assert (mix is None) == (not affordable)
    if mix is not None:
        assert 1.0 == pytest.approx(sum(share for _, share in mix))
        assert sum(share * cost[pair] for pair, share in mix) <= budget * (1 + 1e-9)
        assert sum(share * score[pair] for pair, share in mix) >= max(affordable) - 1e-9


def test_a_pair_the_profile_does_not_know_leaves_nothing_to_expect(small):
    tables = tables_of(small.profile(SCORES, COSTS))
    stranger = np.array([-1, -1])
    nothing = np.full(2, np.nan)
    rows = Answered(np.array([0, 1]), stranger, stranger, nothing, nothing)

    best = compare_run(rows, tables, ("best-single",))[0]

    assert best.accuracy is not None
    assert best.accuracy_change is None
    assert cost_drift(rows, tables) is None


# ------------------------------------------------------------------------- presentation


def test_the_panel_names_the_best_single_pair_as_an_estimate(run):
    text = " ".join(route_panel(report_run(run.root, "run").facts()).plain().split())

    assert "against best single (calm + none), estimated from the profile: −97 % cost" in text
    assert "+18.0 points of accuracy" in text
    assert "11 queries · 11 answered" in text


def test_money_over_time_ends_at_what_was_spent(run):
    data = report_run(run.root, "run")

    assert 10 == len(data.spend)
    assert data.ledger_usd == data.spend[-1].spent_usd


def test_the_report_as_text_has_every_part_and_fits_the_terminal(run):
    text = report_document(report_run(run.root, "run"), ("atlas runs list",)).plain()

    assert all(len(line) <= 80 for line in text.splitlines())
    words = " ".join(text.split())
    for part in (
        "10 questions asked · 10 scored · 0 unscored · accuracy 0.80 [0.49, 0.94]",
        "dataset asked failed scored",
        "expected score n mean realised 95 %",
        "calibration: realised minus expected",
        "estimated from the profile, accuracy in points",
        "oracle*",
        "best-single: best single (calm + none)",
        "next: atlas runs list",
    ):
        assert part in words


def test_a_comparison_without_figures_says_why(run):
    bare = replace(report_profile(run), train=None)

    text = report_document(report_run(run.root, "run", profile=bare)).plain()

    assert "against oracle (a bound): the profile keeps no training rows" in " ".join(text.split())


def test_a_report_has_a_json_form(run):
    plain = json.loads(json.dumps(report_run(run.root, "run").as_json(), default=str))

    assert "0.000360000" == plain["calls"]["settled_usd"]
    assert {"value", "low", "high"} == set(plain["questions"]["accuracy"])
    assert ["best-single", "cheapest", "random", "random-same-cost", "oracle"] == [
        other["name"] for other in plain["against"]
    ]
    assert 10 == plain["calibration"]["n"]


def test_versus_is_none_without_figures(run):
    data = report_run(run.root, "run", against=("cheapest",))

    assert data.versus() is None
    assert isinstance(data.versus("cheapest").accuracy, Interval)
