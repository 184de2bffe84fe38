"""`atlas route --policy`: found once, kept by the run, priced, stepped down, or refused."""

from __future__ import annotations

import json
from dataclasses import replace

import polars as pl
import pytest

import tasks.registry.registry as registry_module
from profiles.policies.policy import CASCADE, POLICY, SINGLE
from profiles.policies.policy_file import write_policy
from tests.flows.policy_shelf import Shelf
from tests.tasks.small_policies import small_policy
from tests.tasks.small_runs import Small, lines_of
from warehouse.ledger import open_ledger
from warehouse.query import answers, attempts, committed

POOL = """\
name: three
models:
  a: &model
    provider: scripted
    name: model-a
    prices: {input_usd: 1, output_usd: 2}
    limits: {max_output_tokens: 100}
    parameters: {answer: "Answer: 41"}
  b: {<<: *model, name: model-b, parameters: {answer: "Answer: 42"}}
  c: {<<: *model, name: model-c, parameters: {answer: "Answer: 42"}}
tools:
  none: {kind: none}
"""
SCORES = ((0.5, 0.6, 0.7), (0.7, 0.6, 0.5))
COSTS = ((0.001, 0.001, 0.001), (0.001, 0.001, 0.001))
ROUTE = ("route", "backlog.jsonl", "--root", "data", "--chunk-size", "4", "--json")
AWAY = {"custom_id": "odd", "prompt": "quantum chromodynamics of stars"}


class Bench:
    """A profiled pool of three, a backlog of eight questions, and policies on a shelf.

    Versions 1 and 2 call a, b and c until two agree, which they do after three calls; version 3
    calls c alone.
    """

    def __init__(self, atlas, shelf):
        self.atlas, self.shelf = atlas, shelf
        self.small = Small(atlas.folder, POOL)
        self.root = self.small.root
        self.profile = self.small.profile(SCORES, COSTS)
        self.small.backlog(lines_of(*[0, 1] * 4))
        one = replace(
            small_policy(self.profile, strategy=SINGLE, costs=(0.5, 0.5, 0.5)),
            accuracy=small_policy(self.profile).accuracy * 0 + [0.0, 0.0, 1.0],
        )
        shelf.policies += [small_policy(self.profile), small_policy(self.profile, seed=7), one]
        shelf.aliases |= {"champion": 1, "challenger": 3}

    def __call__(self, *words):
        return self.atlas(*ROUTE, *words)

    def id_of(self, version):
        return self.shelf.policies[version - 1].policy_id

    def policies_of(self, run_id):
        """Policies that the answers and decisions of a run name."""
        rows = [answers(self.root, run_id), committed(self.root, "decisions", run_id)]
        return {one for row in rows for one in row.collect()["policy_version"]}


@pytest.fixture
def bench(atlas, monkeypatch):
    shelf = Shelf([])
    monkeypatch.setattr(registry_module, "PolicyRegistry", lambda *_where: shelf)
    return Bench(atlas, shelf)


def test_the_champion_routes_a_backlog_in_many_steps(bench):
    result = bench("--policy", "champion")

    assert 0 == result.code, result.err
    run_id = result.json()["run_id"]
    rows = answers(bench.root, run_id).collect()
    assert (8, {"Answer: 42"}, {"hybrid"}) == (
        rows.height, set(rows["answer"]), set(rows["router"].cast(str)),
    )  # fmt: skip
    assert {bench.id_of(1)} == bench.policies_of(run_id)
    steps = committed(bench.root, "trajectories", run_id).collect()
    assert (8 * 4, {CASCADE}, {0.01}) == (
        steps.height, set(steps["strategy"].cast(str)), set(steps["price"]),
    )  # fmt: skip
    decisions = committed(bench.root, "decisions", run_id).collect()
    assert {"atlas-policy/1"} == set(decisions["policy_name"])
    assert {bench.profile.profile_id} == set(decisions["profile_id"])
    assert 24 == attempts(bench.root, run_id).collect().height
    assert "policy: atlas-policy/1 (policy-" in result.err
    assert "1.75 calls and $0.001500 a question expected" in result.err


def test_reports_say_how_many_calls_questions_took_and_how_sure_answers_are(bench):
    run_id = bench("--policy", "champion").json()["run_id"]

    told = bench.atlas("report", run_id, "--root", "data")
    whole = bench.atlas("report", run_id, "--root", "data", "--json").json()
    shown = bench.atlas("runs", "show", run_id, "--root", "data", "--json").json()

    assert "3.00 a question · 100% took 3 · mean confidence" in " ".join(told.out.split())
    assert bench.id_of(1) in told.out.replace("\n", "")
    confidence = answers(bench.root, run_id).collect()["confidence"].mean()
    assert [{"calls": 3, "rows": 8, "share": 1.0}] == whole["steps"]["shares"]
    assert pytest.approx(confidence) == whole["steps"]["confidence"]
    assert (3.0, 1.0) == (
        shown["steps"]["calls_per_question"], shown["steps"]["share_with_3_calls"],
    )  # fmt: skip
    assert bench.id_of(1) == shown["settings"]["policy"]


@pytest.mark.parametrize("how", ["version", "id", "folder"])
def test_a_policy_is_named_by_alias_version_id_or_folder(bench, how):
    policy = bench.shelf.policies[1]
    write_policy(policy, bench.atlas.folder / "mine")
    reference = {"version": "2", "id": policy.policy_id, "folder": "./mine"}[how]

    result = bench("--policy", reference)

    assert 0 == result.code, result.err
    assert {policy.policy_id} == bench.policies_of(result.json()["run_id"])


def test_a_resumed_run_keeps_its_policy_though_the_alias_moved(bench):
    first = bench("--policy", "champion", "--max-cost", "0.0008")
    assert 3 == first.code, first.err
    begun = first.json()
    bench.shelf.set_alias("champion", 2)

    resumed = bench("--policy", "champion", "--max-cost", "1")

    assert 0 == resumed.code, resumed.err
    assert begun["run_id"] == resumed.json()["run_id"]
    assert {bench.id_of(1)} == bench.policies_of(begun["run_id"])
    assert "kept from when this run began" in resumed.err


def test_once_complete_the_same_command_routes_by_the_new_champion(bench):
    old = bench("--policy", "champion").json()["run_id"]
    again = bench("--policy", "champion").json()
    bench.shelf.set_alias("champion", 2)

    new = bench("--policy", "champion").json()

    assert (old, False) == (again["run_id"], again["did_work"])
    assert new["run_id"] != old
    assert {bench.id_of(2)} == bench.policies_of(new["run_id"])


def test_a_run_with_requests_in_doubt_on_hold_is_not_over(bench):
    """Held rows are taken up by the same command, so its alias must not begin another run."""
    begun = bench("--policy", "champion", "--in-doubt", "hold").json()["run_id"]
    ledger = open_ledger(bench.root)
    chunk_id, (_, _, counts) = next(iter(ledger.chunk_states(begun).items()))
    held = replace(counts, answered=counts.answered - 1, in_doubt=1)
    ledger.commit_chunk(begun, chunk_id, records=[], counts=held, complete=True)
    ledger.close()
    bench.shelf.set_alias("champion", 2)

    held_still, resent = (
        bench.atlas("plan", *ROUTE[1:], "--policy", "champion", "--in-doubt", how).json()["run_id"]
        for how in ("hold", "resend")
    )

    assert begun != held_still, "nothing was left to do in the first one"
    assert begun == resent


def test_an_unfinished_run_of_the_challenger_is_not_the_champions(bench):
    stopped = bench("--policy", "challenger", "--max-cost", "0.0003")
    assert 3 == stopped.code, stopped.err

    result = bench("--policy", "champion")

    assert stopped.json()["run_id"] != result.json()["run_id"]
    assert {bench.id_of(1)} == bench.policies_of(result.json()["run_id"])


def test_a_named_run_keeps_its_policy_and_is_retried_with_it(bench):
    bench.small.backlog([*lines_of(0, 1), AWAY])
    assert 0 == bench("--policy", "champion", "--name", "run").code
    bench.shelf.set_alias("champion", 2)

    again = bench("--policy", "champion", "--name", "run")
    other = bench("--policy", "2", "--name", "run")

    assert (0, False) == (again.code, again.json()["did_work"])
    assert 1 == other.code
    assert "exists with another configuration" in other.err
    assert bench.id_of(1) in other.err
    assert "no failed rows" in bench.atlas("runs", "retry", "run", "--root", "data").err


def test_a_budget_for_a_question_chooses_the_price(bench):
    # The grid expects 2, 1.5 and 1 thousandths of a dollar at prices 0.002, 0.01 and 0.3.
    result = bench("--policy", "champion", "--max-cost-per-query", "0.0012")

    assert 0 == result.code, result.err
    steps = committed(bench.root, "trajectories", result.json()["run_id"]).collect()
    assert {0.3} == set(steps["price"])
    assert "price 0.3 a unit of cost" in result.err


def test_a_price_is_part_of_what_a_run_is(bench):
    runs = {
        bench("--policy", "champion", *words).json()["run_id"]
        for words in ((), ("--price", "0.01"), ("--price", "0.02"))
    }

    assert 3 == len(runs)


def test_a_question_unlike_any_other_is_left_to_the_cascade(bench):
    near = small_policy(bench.profile, strategy=POLICY)
    write_policy(near, bench.atlas.folder / "near")
    bench.small.backlog([*lines_of(0, 1), AWAY])

    run_id = bench("--policy", "./near").json()["run_id"]

    decisions = committed(bench.root, "decisions", run_id).collect()
    steps = committed(bench.root, "trajectories", run_id).collect()
    away = decisions.filter(is_out_of_distribution=True)
    assert 1 == away["query_id"].n_unique()
    assert all("so by cascade instead of policy" in reason for reason in away["reason"])
    odd = away["query_id"][0]
    assert {CASCADE} == set(steps.filter(query_id=odd)["strategy"].cast(str))
    assert {POLICY} == set(steps.filter(pl.col("query_id") != odd)["strategy"].cast(str))
    others = decisions.filter(is_out_of_distribution=False)
    assert all("instead of" not in reason for reason in others["reason"])


def test_a_plan_prices_a_backlog_by_the_calls_that_are_expected(bench):
    result = bench.atlas("plan", *ROUTE[1:], "--policy", "champion")

    assert 0 == result.code, result.err
    plan = result.json()
    assert (8, 1.75, 0.8) == (
        plan["planned"], plan["calls_per_question"], plan["expected_score"],
    )  # fmt: skip
    assert pytest.approx(8 * 0.0015) == float(plan["cost_usd"]["expected"])
    assert float(plan["cost_usd"]["low"]) < 8 * 0.0015 < float(plan["cost_usd"]["high"])
    assert [("a@@none", 8)] == [(pair["pair_id"], pair["rows"]) for pair in plan["pairs"]]
    assert any("1.75 calls, at most 3" in note for note in plan["notes"])
    assert plan["router"].startswith("hybrid · atlas-policy/1 (policy-")


def test_a_plan_counts_rows_that_are_half_paid_as_a_whole(bench):
    words = ("--policy", "champion", "--name", "run")
    assert 3 == bench(*words, "--max-cost", "0.0008").code
    left = [s for s in answers(bench.root, "run").collect()["status"].cast(str) if s != "answered"]

    plan = bench.atlas("plan", *ROUTE[1:], *words).json()

    done = 8 - plan["planned"]
    assert (plan["planned"], done) == (plan["planned"], plan["finished"])
    assert plan["planned"] >= len(left) > 0


def test_a_plan_of_a_strategy_without_figures_says_that_it_knows_no_cost(bench):
    plan = bench.atlas("plan", *ROUTE[1:], "--policy", "champion", "--router", "policy").json()

    assert (None, None) == (plan["cost_usd"]["expected"], plan["calls_per_question"])
    assert any("not what its strategy 'policy' did" in note for note in plan["notes"])


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (("--policy", "chmpion"), 1, "There is no policy 'chmpion'"),
        (("--policy", "./nowhere"), 1, "there is no policy in nowhere"),
        (("--policy", "champion", "--price", "0"), 2, "price cannot be '0'"),
        (("--policy", "champion", "--price", "2"), 1, "for prices from 0.002 to 0.3"),
        (("--price", "0.01"), 2, "only a policy has a price"),
        (("--max-cost-per-query", "0.01"), 2, "only a policy has a price"),
        (
            ("--policy", "champion", "--price", "0.01", "--max-cost-per-query", "1"),
            2,
            "leave out one of the two",
        ),
        (
            ("--policy", "champion", "--max-cost-per-query", "0.0001"),
            1,
            "the least is $0.001000, at price 0.3",
        ),
        (
            ("--policy", "champion", "--router", "cascade", "--max-cost-per-query", "1"),
            1,
            "says nothing of --router cascade alone",
        ),
        (("--policy", "champion", "--alpha", "0.3"), 2, "a policy weighs cost by its price"),
        (("--policy", "champion", "--explore", "0.1"), 2, "leave explore out"),
        (("--policy", "champion", "--router", "cluster"), 2, "decides without a policy"),
        (("--router", "hybrid"), 2, "is a strategy of a policy"),
        (
            ("--policy", "champion", "--encoder", "minilm"),
            1,
            "route with that encoder, or profile again",
        ),
        (("--policy", ""), 2, "policy cannot be ''"),
    ],
)
def test_what_cannot_be_meant_is_refused_before_anything_is_asked(bench, words, code, sentence):
    result = bench(*words)

    assert code == result.code, result.err
    assert sentence in " ".join(result.err.split())
    assert "Traceback" not in result.err
    assert not (bench.root / "attempts").exists()


def test_another_profile_is_refused_with_what_differs(bench):
    other = bench.small.profile(SCORES, ((0.002,) * 3, (0.003,) * 3))

    refused = bench("--policy", "champion", "--profile", other.profile_id)
    own = bench("--policy", "champion", "--profile", bench.profile.profile_id)

    assert 1 == refused.code
    said = " ".join(refused.err.split())
    assert f"was trained on {bench.profile.profile_id}, not on {other.profile_id}" in said
    assert 0 == own.code, own.err


def test_the_latest_profile_is_not_asked_beside_a_policy(bench):
    bench.small.profile(SCORES, ((0.002,) * 3, (0.003,) * 3))

    result = bench("--policy", "champion")

    assert 0 == result.code, result.err
    rows = answers(bench.root, result.json()["run_id"]).collect()
    assert {bench.profile.profile_id} == set(rows["profile_id"])


def test_a_policy_whose_profile_is_gone_is_refused(bench):
    gone = replace(bench.shelf.policies[0], profile_id="profile-00000000deadbeef")
    bench.shelf.policies.append(gone)

    result = bench("--policy", "4")

    assert 1 == result.code
    assert "was trained on profile-00000000deadbeef, which is not under" in result.err


def test_a_pool_that_changed_since_is_refused(bench):
    bench.atlas.write("pool.yaml", POOL.replace("model-c", "model-d"))

    result = bench("--policy", "champion")

    assert 1 == result.code
    assert "has changed since it was profiled" in " ".join(result.err.split())


def test_a_run_that_began_without_a_registry_goes_on_without_one(bench, monkeypatch):
    policy = bench.shelf.policies[0]
    write_policy(policy, bench.root / "policies" / policy.policy_id)
    assert 3 == bench("--policy", "champion", "--max-cost", "0.0008").code

    def down(*_where):
        raise AssertionError("a resumed run needs no registry")

    monkeypatch.setattr(registry_module, "PolicyRegistry", down)
    result = bench("--policy", "champion", "--max-cost", "1")

    assert 0 == result.code, result.err
    assert "atlas-policy/1" in result.err


def test_a_folder_is_remembered_by_where_it_is(bench, tmp_path_factory, monkeypatch):
    write_policy(bench.shelf.policies[0], bench.atlas.folder / "mine")
    assert 0 == bench("--policy", "./mine", "--name", "run").code
    kept = json.loads((bench.root / "staging" / "run" / "settings.json").read_text())

    assert str(bench.atlas.folder / "mine") == kept["policy"]
