"""Plans: what is left of a backlog is counted, priced and timed, and nothing is spent."""

from __future__ import annotations

import json
import math
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from profiles.clusters import ClusterSettings
from profiles.pool import Limits, ModelSpec, Pair, Pool, Prices, ToolSpec
from profiles.pool_file import load_pool
from profiles.profile import ProfileSettings
from profiles.prompts import prompt
from tasks.batch.spec import config_sha
from tasks.plan.estimates import LEAST_CV, Term, estimates, measured, sum_of, upper_share
from tasks.plan.plan import plan_route
from tasks.plan.result import UNKNOWN
from tasks.plan.worst_case import Texts, bounds, first_call_bytes
from tasks.query import Query
from tasks.report.facts import Range
from tasks.report.terminal import plan_table
from tasks.route import stage
from tests.tasks.small_runs import PAIRS, POOL, Small, drawn_costs, lines_of, question
from warehouse.ledger import Claim, RunRecord, Settlement, open_ledger
from warehouse.query import committed

SHARED = Path(__file__).parents[3] / "shared" / "data" / "outcomes" / "routerbench"
SCORES = ((0.9, 0.2), (0.2, 0.9))
"""The calm model knows water, the wild one sums."""
COSTS = ((0.001, 0.002), (0.003, 0.004))


@pytest.fixture
def small(tmp_path):
    return Small(tmp_path)


def test_rows_clusters_and_pairs_are_counted(small):
    profile = small.profile(SCORES, COSTS)
    small.backlog(
        [*lines_of(0, 0, 0, 1, 1), {"custom_id": "again", "prompt": question(0, 1)}, "{no json"]
    )

    plan = small.plan()

    water = int(profile.clusters.assign(profile.train.embeddings[:1]).labels[0])
    assert (7, 5, 1, 1) == (plan.rows, plan.unique, plan.duplicates, plan.bad)
    assert (5, 0, Decimal(0)) == (plan.planned, plan.finished, plan.spent_usd)
    assert {water: 3, 1 - water: 2} == {one.cluster_id: one.rows for one in plan.clusters}
    assert all(one.words for one in plan.clusters)
    assert 0 == plan.out_of_distribution
    assert [(PAIRS[0], 3), (PAIRS[1], 2)] == [(pair.pair_id, pair.rows) for pair in plan.pairs]


def test_the_expected_cost_is_rows_times_the_profiled_mean_of_their_cluster(small):
    small.profile(SCORES, COSTS)
    small.backlog(lines_of(0, 0, 0, 1, 1))

    plan = small.plan()

    # 3 · $0.001 and 2 · $0.004; costs without any spread leave no interval below.
    assert Decimal("0.011") == plan.cost_usd.expected == plan.cost_usd.low
    assert ["profile", "profile"] == [pair.basis for pair in plan.pairs]
    assert [20, 20] == [pair.profiled for pair in plan.pairs]
    assert (500, 50) == (plan.input_tokens.expected, plan.output_tokens.expected)


def test_the_high_figure_allows_for_failures_even_where_none_was_seen(small):
    small.profile(SCORES, COSTS)
    small.backlog(lines_of(0, 0, 0))

    plan = small.plan()

    z2 = 1.6448536269514722**2
    share = z2 / 40 / (1 + z2 / 40)  # Wilson's upper end for 0 of 40
    assert float(plan.cost_usd.high) == pytest.approx(3 * 0.001 + share * 3 * 0.002, abs=1e-9)


def test_failures_seen_send_rows_to_their_second_choice(small):
    small.profile(SCORES, COSTS, failed={PAIRS[0]: 4})
    small.backlog(lines_of(0, 0, 0))

    plan = small.plan()

    # 4 of the pair's 40 outcomes failed: a tenth of the rows is asked once more, for $0.002.
    assert Decimal("0.0036") == plan.cost_usd.expected
    assert float(plan.cost_usd.high) == pytest.approx(0.003 + upper_share(0.1, 40) * 0.006)


def test_spread_costs_give_the_documented_interval(small):
    small.profile(SCORES, COSTS, noise=0.5)
    small.backlog(lines_of(0, 0, 0))

    plan = small.plan()

    # The pair's CV, pooled over its clusters: 0.5·√(20/19) in either.
    cv = 0.5 * math.sqrt(20 / 19)
    factor = math.exp(1.6448536269514722 * cv * math.sqrt(1 / 3 + 1 / 20))
    assert float(plan.cost_usd.low) == pytest.approx(0.003 / factor)
    assert Decimal("0.003") == plan.cost_usd.expected


def test_questions_unlike_anything_profiled_are_priced_by_the_pair_as_a_whole(small):
    small.profile(SCORES, COSTS)
    small.backlog([{"custom_id": "odd", "prompt": "quantum chromodynamics of stars"}])

    plan = small.plan(router="cluster")

    pair = plan.pairs[0]
    overall = {PAIRS[0]: "0.002", PAIRS[1]: "0.003"}
    assert 1 == plan.out_of_distribution == plan.clusters[0].out_of_distribution
    assert Decimal(overall[pair.pair_id]) == plan.cost_usd.expected
    assert any("unlike anything profiled" in note for note in plan.notes)


def test_the_plan_decides_as_the_run_does(small):
    small.profile(SCORES, COSTS)
    small.backlog(lines_of(*[0, 1, 1, 0, 1] * 6, custom="x"))

    plan = small.plan(alpha=0.3)
    small.route(alpha=0.3)

    answers = committed(small.root, "answers", "run").collect()
    assert Counter(answers.get_column("pair_id").to_list()) == {
        pair.pair_id: pair.rows for pair in plan.pairs
    }


def test_planning_records_and_spends_nothing(small):
    small.profile(SCORES, COSTS)
    small.backlog(lines_of(0, 1))

    small.plan()

    ledger = open_ledger(small.root)
    assert [] == ledger.runs()
    ledger.close()


def test_the_same_plan_twice_is_the_same(small):
    small.profile(SCORES, COSTS, noise=0.3)
    small.backlog(lines_of(0, 1, 1))

    assert small.plan() == small.plan()


def test_an_empty_backlog_costs_nothing(small):
    small.profile(SCORES, COSTS)
    small.backlog(["{broken"])

    plan = small.plan()

    assert (0, 1) == (plan.planned, plan.bad)
    assert Range(Decimal(0), Decimal(0), Decimal(0)) == plan.cost_usd
    assert Range(0.0, 0.0, 0.0) == plan.time_s


# --------------------------------------------------------------- pairs nobody profiled


def test_an_unprofiled_pair_is_priced_as_its_worst_case_and_marked(small):
    small.backlog(lines_of(0, 1))

    plan = small.plan(router="fixed:calm@@none")

    # As the engine reserves: a byte a token, 8 for every message and 8 for the request.
    sizes = [len(question(topic, 0)) + len(prompt("none")) + 24 for topic in (0, 1)]
    worst = (Decimal(sum(sizes)) + 2 * 100 * 2) / 1_000_000
    low = Decimal(sum(sizes) // 4) / 1_000_000
    assert ["worst_case"] == [pair.basis for pair in plan.pairs]
    assert Range(low, worst, worst) == plan.cost_usd
    assert worst == plan.worst_case_usd
    assert (Decimal(max(sizes)) + 200) / 1_000_000 == plan.reservation_usd == plan.first_call_usd
    assert Range(sum(sizes) // 4, sum(sizes), sum(sizes)) == plan.input_tokens
    assert Range(0, 200, 200) == plan.output_tokens
    assert UNKNOWN == plan.time_s
    assert any("never profiled" in note and PAIRS[0] in note for note in plan.notes)


def test_a_budget_of_one_reservation_lets_a_row_through_and_a_nanodollar_less_does_not(small):
    small.backlog(lines_of(0))
    reservation = small.plan(router="fixed:calm@@none").first_call_usd

    less = small.route(router="fixed:calm@@none", max_cost_usd=reservation - Decimal("0.000000001"))
    enough = small.route(router="fixed:calm@@none", max_cost_usd=reservation)

    assert ("paused_budget", "complete") == (less.state, enough.state)
    assert enough.spend.total_usd <= reservation


def test_a_router_that_needs_no_profile_is_priced_by_one_of_the_same_pool(small):
    small.profile(SCORES, COSTS)
    small.backlog(lines_of(0, 1))

    plan = small.plan(router="fixed:calm@@none")

    # No cluster: the pair's overall mean, ($0.001 + $0.003) / 2.
    assert Decimal("0.004") == plan.cost_usd.expected
    assert "profile" == plan.pairs[0].basis
    assert [None] == [one.cluster_id for one in plan.clusters]
    assert plan.profile_id is None


def test_a_profile_of_another_pool_prices_nothing(small, tmp_path):
    small.profile(SCORES, COSTS)
    dearer = Small(tmp_path, POOL.replace('input_usd: "1"', 'input_usd: "3"'))
    dearer.backlog(lines_of(0))

    assert ["worst_case"] == [p.basis for p in dearer.plan(router="fixed:calm@@none").pairs]


UNPRICED = POOL.replace(
    "wild: {<<: *model, name: model-wild,", "wild: {<<: *model, name: model-wild, prices: {},"
)


def test_an_unknown_price_is_unknown_and_never_zero(tmp_path):
    small = Small(tmp_path, UNPRICED)
    small.backlog(lines_of(0, 1))

    plan = small.plan(router="fixed:wild@@none", allow_unpriced=True)

    assert UNKNOWN == plan.cost_usd == plan.pairs[0].cost_usd
    assert (PAIRS[1],) == plan.unpriced
    assert (None, None) == (plan.worst_case_usd, plan.reservation_usd)
    assert (None, None) == (plan.least_cap_usd, plan.ample_cap_usd)
    assert "price unknown, counted in no sum" in plan_table(plan.facts()).plain()


def test_pairs_of_known_price_are_summed_beside_an_unknown_one(tmp_path):
    small = Small(tmp_path, UNPRICED)
    small.backlog(lines_of(*[0] * 10, *[1] * 10))

    plan = small.plan(router="random", allow_unpriced=True)

    known = {pair.pair_id: pair for pair in plan.pairs}
    assert set(PAIRS) == set(known)
    assert known[PAIRS[0]].cost_usd == plan.cost_usd
    assert UNKNOWN == known[PAIRS[1]].cost_usd
    assert plan.worst_case_usd is None
    assert plan.reservation_usd > 0


def test_an_unpriced_profile_knows_tokens_and_time_but_no_cost(tmp_path):
    small = Small(tmp_path, UNPRICED)
    small.profile(((0.1, 0.9), (0.1, 0.9)), ((0.001, None), (0.001, None)))
    small.backlog(lines_of(0, 1))

    plan = small.plan(allow_unpriced=True)

    assert (PAIRS[1],) == plan.unpriced
    assert UNKNOWN == plan.cost_usd
    assert (200, 1.0) == (plan.input_tokens.expected, plan.time_s.expected)


def test_free_models_cost_nothing_at_all(tmp_path):
    free = POOL.replace('{input_usd: "1", output_usd: "2"}', '{input_usd: "0", output_usd: "0"}')
    small = Small(tmp_path, free)
    small.profile(SCORES, ((0.0, 0.0), (0.0, 0.0)))
    small.backlog(lines_of(0, 1))

    plan = small.plan()

    assert Range(Decimal(0), Decimal(0), Decimal(0)) == plan.cost_usd
    assert (Decimal(0), Decimal(0)) == (plan.worst_case_usd, plan.reservation_usd)


def test_a_pair_with_a_tool_may_call_six_times_and_carries_what_came_before():
    tools = {"calc": ToolSpec("calc", "calculator", price_per_call_usd=Decimal("0.01"))}
    prices = Prices(Decimal(1), Decimal(2))
    spec = ModelSpec("m", "scripted", "m", prices, limits=Limits(max_output_tokens=100))
    pool = Pool("p", {"m": spec}, tools, (Pair("m", "calc"),), "f" * 64)
    texts = Texts()
    texts.add(1_000)
    texts.add(3_000)

    found = bounds(pool.pairs[0], pool, texts)

    carried = 100 * 4 + 8_000
    tokens_in, tokens_out = 6 * 4_000 + 2 * 15 * carried, 6 * 2 * 100
    total = (Decimal(tokens_in) + 2 * tokens_out) / 1_000_000 + 2 * 4 * Decimal("0.01")
    assert total == found.total_usd
    # The last call of the longest row would be 3,000 + 5 · 8,400 tokens; the tool costs less.
    assert (Decimal(45_000) + 200) / 1_000_000 == found.reservation_usd
    assert (Decimal(3_000) + 200) / 1_000_000 == found.first_call_usd
    assert Range(1_000, tokens_in, tokens_in) == found.input_tokens


def test_a_tool_of_unknown_price_makes_its_pairs_unknown():
    tools = {"calc": ToolSpec("calc", "calculator", price_per_call_usd=None)}
    spec = ModelSpec("m", "scripted", "m", Prices(Decimal(1), Decimal(2)))
    pool = Pool("p", {"m": spec}, tools, (Pair("m", "calc"),), "f" * 64)

    found = bounds(pool.pairs[0], pool, Texts(1, 100, 100))

    assert (None, None, UNKNOWN) == (found.total_usd, found.reservation_usd, found.cost_usd)
    assert found.first_call_usd is not None


@pytest.mark.parametrize("kind", ["calculator", "python", "search"])
def test_the_first_call_of_a_tool_counts_the_function_it_offers(kind):
    query = Query("q", "c", "How much is it?", context="Be brief.")

    plain = first_call_bytes(query, ToolSpec("none", "none"))
    tool = first_call_bytes(query, ToolSpec(kind, kind))

    offered = tool - len(prompt(kind).encode()) - (plain - len(prompt("none").encode()))
    assert 300 < offered < 5_000


# ------------------------------------------------------------------- runs begun already


def test_a_finished_run_leaves_nothing_to_pay(small):
    small.profile(SCORES, COSTS)
    small.backlog(lines_of(0, 0, 1, 1, 0))
    report = small.route()

    plan = small.plan()

    assert (0, 5) == (plan.planned, plan.finished)
    assert report.spend.total_usd == plan.spent_usd > 0
    assert Decimal(0) == plan.cost_usd.high
    assert any("finished already" in note for note in plan.notes)


def test_a_run_stopped_at_its_budget_is_planned_from_where_it_stands(small):
    small.profile(SCORES, COSTS)
    small.backlog(lines_of(*[0] * 10))
    report = small.route(max_cost_usd=Decimal("0.0006"), concurrency=1)

    plan = small.plan()

    assert "paused_budget" == report.state
    assert 0 < report.pending < 10
    assert (report.pending, 10 - report.pending) == (plan.planned, plan.finished)
    assert plan.planned * Decimal("0.001") == plan.cost_usd.expected
    assert report.spend.total_usd == plan.spent_usd
    assert plan.ample_cap_usd > plan.spent_usd + plan.cost_usd.high


def test_calls_settled_before_a_crash_are_not_planned_again(small):
    small.profile(SCORES, COSTS)
    small.backlog(lines_of(0, 0, 0))
    prepared = small.prepared()
    staged = stage(prepared)
    now = datetime(2026, 1, 1, tzinfo=UTC)
    ledger = open_ledger(small.root)
    sha = config_sha(prepared.identity)
    run = RunRecord("run", "route", "running", "b", "s", "{}", sha, "v", now)
    ledger.create_run(run, ["000000"])
    from tasks.read import load_chunk

    paid = load_chunk(prepared.folder, 0)[1].query_id
    ledger.apply(
        [
            Claim("r-1", "run", "000000", paid, PAIRS[0], 0, "k", 300_000, now),
            Settlement("r-1", 250_000, "", now),
        ]
    )

    plan = plan_route(prepared, staged, ledger=ledger)
    ledger.close()

    assert (2, 1) == (plan.planned, plan.finished)
    assert Decimal("0.00025") == plan.spent_usd
    assert Decimal("0.002") == plan.cost_usd.expected


def test_a_run_of_another_configuration_is_told_and_takes_nothing_off(small):
    small.profile(SCORES, COSTS)
    small.backlog(lines_of(0, 0))
    small.route(alpha=0.5)

    plan = small.plan(alpha=0.0)

    assert (2, 0, Decimal(0)) == (plan.planned, plan.finished, plan.spent_usd)
    assert any("another configuration" in note for note in plan.notes)


def test_without_a_ledger_everything_is_planned(small):
    small.profile(SCORES, COSTS)
    small.backlog(lines_of(0, 1))
    small.route()
    prepared = small.prepared()

    assert 2 == plan_route(prepared, stage(prepared), ledger=None).planned


# ------------------------------------------------------------------------------- time


def test_time_is_the_tightest_of_the_limits(small, tmp_path):
    small.profile(SCORES, COSTS, durations=(2.0,))
    small.backlog(lines_of(*[0] * 12))

    # 12 rows of 2 s: the model takes 4 at once, the run 2, and no row less than 2 s.
    assert 6.0 == small.plan(concurrency=64).time_s.expected
    assert 12.0 == small.plan(concurrency=2).time_s.expected
    small.backlog(lines_of(0))
    assert 2.0 == small.plan(name="one").time_s.expected


def test_requests_and_tokens_per_minute_hold_time_up(tmp_path):
    limits = "{max_output_tokens: 100, concurrency: 4"
    slow = Small(tmp_path, POOL.replace(limits, f"{limits}, requests_per_minute: 6"))
    slow.profile(SCORES, COSTS)
    slow.backlog(lines_of(*[0] * 12))
    assert 120.0 == slow.plan().time_s.low

    other = Small(tmp_path, POOL.replace(limits, f"{limits}, tokens_per_minute: 110"))
    other.profile(SCORES, COSTS)
    assert 720.0 == other.plan(name="tokens").time_s.low


def test_low_expected_and_high_time_are_median_mean_and_95th_percentile(small):
    small.profile(SCORES, COSTS, durations=(1.0, 1.0, 1.0, 5.0))
    small.backlog(lines_of(0))

    low, expected, high = small.plan().time_s

    sigma = math.log(5.0) / 1.6448536269514722
    assert (1.0, 5.0) == (low, high)
    assert expected == pytest.approx(min(5.0, math.exp(sigma**2 / 2)))


# -------------------------------------------------------------------------- intervals


def test_a_sum_of_terms_by_hand():
    total = sum_of([Term(100, 0.02, 0.5, 25), Term(10, 1.0, 0.2, 400)])

    variance = (100 * 0.02 * 0.5) ** 2 * (1 / 100 + 1 / 25) + (10 * 0.2) ** 2 * (1 / 10 + 1 / 400)
    factor = math.exp(1.6448536269514722 * math.sqrt(variance) / 12)
    assert total.expected == pytest.approx(12)
    assert total.low == pytest.approx(12 / factor)
    assert total.high == pytest.approx(12 * factor)


def test_nothing_costs_nothing():
    assert (0.0, 0.0, 0.0) == sum_of([])
    assert (0.0, 0.0, 0.0) == sum_of([Term(5, 0.0, 0.0, 10)])


def test_upper_share_is_wilson_at_95_percent_one_sided():
    assert 1.0 == upper_share(0.0, 0)
    assert upper_share(0.0, 100) == pytest.approx(2.7055 / 102.7055, rel=1e-4)
    # The root of (p̂ − p)² = z²·p(1 − p)/n above p̂.
    p = upper_share(0.1, 50)
    assert (0.1 - p) ** 2 == pytest.approx(2.70554 * p * (1 - p) / 50, rel=1e-4)


@pytest.mark.parametrize("cv", [0.3, 0.75, 1.0])
def test_nine_of_ten_backlogs_fall_inside_the_interval(cv):
    rng = np.random.default_rng(7)
    means = np.array([0.5, 1.0, 4.0, 0.2, 2.0])
    sizes, planned = [30, 60, 25, 80, 40], [400, 20, 90, 3, 700]
    labels = np.repeat(np.arange(5), sizes)
    inside, trials = 0, 600
    for _ in range(trials):
        costs = np.concatenate(
            [drawn_costs(rng, m, mean, cv) for m, mean in zip(sizes, means, strict=True)]
        )
        known = measured(costs[:, None], labels, 5)
        total = sum_of(known.term(k, 0, n) for k, n in enumerate(planned))
        real = sum(
            drawn_costs(rng, n, mean, cv).sum() for n, mean in zip(planned, means, strict=True)
        )
        inside += total.low <= real <= total.high

    assert 0.86 <= inside / trials <= 0.94


def test_a_cell_of_few_outcomes_borrows_the_pairs_overall_figures():
    labels = np.repeat([0, 1], [4, 16])
    known = measured(np.concatenate([np.full(4, 9.0), np.full(16, 1.0)])[:, None], labels, 2)

    assert (2, 1, 2) == tuple(known.row(row, 0) for row in range(3))
    assert 2.6 == pytest.approx(known.term(2, 0, 1).mean)


def test_a_pair_without_any_known_cost_has_no_row():
    known = measured(np.full((6, 1), np.nan), np.zeros(6, np.int64), 1)

    assert known.row(0, 0) is None


def test_without_training_rows_the_spread_is_read_off_the_90th_percentile(small):
    kept = small.profile(SCORES, COSTS, noise=0.8)
    bare = replace(kept, train=None)

    cost = estimates(bare).cost

    # Half of the costs are 1.8 times the mean, so that is the 90th percentile: (1.8 − 1)/1.2816.
    assert 0.8 / 1.2815515655446004 == pytest.approx(cost.cv[0, 0])
    assert np.array_equal(kept.statistics.cost_mean_usd, cost.mean)


def test_costs_that_show_no_spread_in_their_percentiles_get_the_least_there_is(small):
    bare = replace(small.profile(SCORES, COSTS), train=None)

    assert LEAST_CV == estimates(bare).cost.cv[0, 0]


# ----------------------------------------------------------------------- presentation


def test_caps_are_rounded_up_to_the_cent(small):
    small.profile(SCORES, COSTS)
    small.backlog(lines_of(*[0] * 20))

    plan = small.plan(max_cost_usd=Decimal(1))

    assert Decimal("0.01") == plan.least_cap_usd
    needed = plan.cost_usd.high + plan.reservation_usd
    assert needed <= plan.ample_cap_usd < needed + Decimal("0.01")


def test_the_terminal_shows_the_plan(small):
    small.profile(SCORES, COSTS)
    small.backlog(lines_of(0, 0, 1))

    text = plan_table(small.plan(max_cost_usd=Decimal(1)).facts(("atlas route x",))).plain()

    assert "3 queries · 3 distinct" in text
    assert "$1.00: enough even if it comes high" in text
    assert "calm + none" in text
    assert "next: atlas route x" in text


def test_a_plan_has_a_json_form(small):
    small.profile(SCORES, COSTS)
    small.backlog(lines_of(0, 1))

    plain = json.loads(json.dumps(small.plan().as_json(), default=str))

    assert {"low", "expected", "high"} == set(plain["cost_usd"])
    assert {PAIRS[0], PAIRS[1]} == {pair["pair_id"] for pair in plain["pairs"]}
    assert "0.005000000" == plain["cost_usd"]["expected"]
    assert 2 == sum(cluster["rows"] for cluster in plain["clusters"])


# -------------------------------------------------------------- recorded, real outcomes


@pytest.mark.shared
@pytest.mark.slow
@pytest.mark.skipif(not SHARED.is_dir(), reason="the recorded tables are not here")
@pytest.mark.parametrize(
    ("router", "alpha"), [("cluster", 0.0), ("cluster", 0.3), ("best-single", 0.0)]
)
def test_the_recorded_cost_of_a_held_out_backlog_is_inside_its_plan(tmp_path, router, alpha):
    from profiles.build_profile import build_profile, train_queries
    from profiles.routers.registry import build_router
    from tasks.embedder import cached_embedder
    from tasks.evaluate.backlog import stage_split
    from tasks.evaluate.table import read_table, recorded_pool
    from tasks.profiling.store import publish_profile
    from tasks.route import Prepared, RouteJob

    table = read_table(SHARED)
    pool = recorded_pool(table)
    embedder = cached_embedder(tmp_path, "hashing")
    profile = build_profile(
        queries=table.queries,
        outcomes=table.outcomes,
        embeddings=embedder(train_queries(table.queries).get_column("text").to_list()),
        pairs=table.pairs,
        pool_fingerprint=pool.fingerprint,
        encoder_fingerprint=embedder.fingerprint,
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
        settings=ProfileSettings(ClusterSettings(8, n_init=1)),
    )
    publish_profile(tmp_path, profile)
    split = stage_split(table, "test", tmp_path, chunk_size=500)
    job = RouteJob(
        backlog=str(SHARED), pool=Path(), root=tmp_path, router=router, alpha=alpha, chunk_size=500
    )
    prepared = Prepared(
        job,
        pool,
        build_router(router, profile),
        profile.profile_id,
        embedder,
        split.folder.name,
        {},
        table.sha256,
    )

    plan = plan_route(prepared, split.staged, ledger=None)

    realised = _recorded_cost(prepared, split)
    assert 953 == plan.planned
    assert float(plan.cost_usd.low) <= realised <= float(plan.cost_usd.high)
    assert realised == pytest.approx(float(plan.cost_usd.expected), rel=0.04)
    assert float(plan.cost_usd.high) / float(plan.cost_usd.expected) < 1.08


def _recorded_cost(prepared, split):
    from tasks.batch.backlog_source import BacklogSource

    source = BacklogSource(
        prepared.folder,
        split.staged.chunks,
        prepared.pool,
        prepared.router,
        prepared.embed,
        alpha=prepared.job.alpha,
    )
    items = [item for chunk in source.chunk_ids() for item in source.load(chunk)]
    return sum(
        split.outcomes.costs_usd[split.place[item.query.query_id], item.candidates[0]]
        for item in items
    )


def test_the_pool_of_these_tests_is_what_they_say(small):
    assert PAIRS == tuple(pair.pair_id for pair in load_pool(small.pool_path).pairs)
