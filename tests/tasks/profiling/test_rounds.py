"""A budget of cells or dollars: spent in rounds that a killed run replays, and spent once."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pytest

from tasks.batch.stop import StopFlag
from tasks.profiling import rounds
from tasks.profiling.cells import load_plan
from tasks.profiling.planning import plan_path
from tests.tasks.profiling.bench import Bench
from warehouse.ledger import open_ledger
from warehouse.query import committed


class Killed(BaseException):
    """What a kill looks like from inside: nothing handles it."""


@pytest.fixture
def bench(tmp_path):
    """24 questions, 18 of them to learn from, × 4 pairs."""
    return Bench(tmp_path, rows=24)


def state(bench, run_id):
    """How the ledger calls a run."""
    ledger = open_ledger(bench.root)
    try:
        return ledger.run(run_id).state
    finally:
        ledger.close()


def test_a_share_of_the_cells_is_never_exceeded_and_makes_a_profile(bench):
    report = bench.run(budget="50%")
    plan = load_plan(plan_path(bench.root, report.run.run_id))

    assert 36.0 == plan.allowance
    assert 1 < len(plan.rounds)
    assert sum(map(len, plan.rounds)) == sum(bench.asked.values()) == report.new_cells <= 36
    assert (report.stopped, "complete") == (plan.stopped, report.run.state)
    assert "complete" == state(bench, report.run.run_id)
    assert report.new_cells == committed(bench.root, "outcomes").collect().height
    assert sum(map(len, plan.rounds)) == report.profile.statistics.n[-1].sum()


def test_few_cells_are_spent_on_whole_questions(bench):
    report = bench.run(budget="7%")
    outcomes = committed(bench.root, "outcomes").collect()

    assert "whole questions" in report.stopped
    assert (4, {4}) == (outcomes.height, set(outcomes.group_by("query_id").len()["len"]))


def test_dollars_are_spent_at_what_the_cells_really_cost(bench):
    # A cell costs 0.00012 dollars: 100 tokens in, 10 out. A guess would say four times as much.
    report = bench.run(budget="0.006")
    plan = load_plan(plan_path(bench.root, report.run.run_id))

    assert Decimal("0.0055") <= report.run.spend.total_usd <= Decimal("0.006")
    assert (1, [0.00012] * 4) == (plan.prepared, pytest.approx(plan.expected_usd))
    assert bench.progress.notes[0].startswith("pilot")


def test_the_same_budget_again_spends_nothing_and_names_the_run_that_spent_it(bench):
    first = bench.run(budget="50%")
    planned = bench.plan(budget="50%")
    again = bench.run(budget="50%")

    assert ({}, None, first.run.run_id) == (bench.asked, again.run, planned.spent_by)
    assert first.profile.profile_id == again.profile.profile_id


def test_a_higher_budget_goes_on_where_the_first_one_ended(bench):
    first = bench.run(budget="25%")
    second = bench.run(budget="60%")

    assert first.new_cells + sum(bench.asked.values()) <= 43
    assert 0 < sum(bench.asked.values()) == second.new_cells


def test_new_questions_have_a_budget_of_their_own(bench):
    bench.run(budget="50%")
    bench.questions.append(bench.questions[0] | {"query_id": "new", "text": "What is 9 minus 8?"})

    assert bench.plan(budget="50%").spent_by is None


@pytest.mark.parametrize("where", ["before_round", "after_round", "observed"])
def test_a_run_killed_between_rounds_plays_the_same_rounds_and_asks_nothing_twice(
    tmp_path, monkeypatch, where
):
    for name in ("whole", "killed"):
        (tmp_path / name).mkdir()
    whole = Bench(tmp_path / "whole", rows=24)
    expected = whole.run(budget="50%")
    expected_rounds = load_plan(plan_path(whole.root, expected.run.run_id)).rounds
    killed = Bench(tmp_path / "killed", rows=24)
    left = [4]

    def die(name):
        if name == where:
            left[0] -= 1
            if not left[0]:
                raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(rounds, "fault_point", die)
        if where == "observed":
            end = rounds._Rounds.end
            patched.setattr(rounds._Rounds, "end", lambda self: (die("observed"), end(self)))
        with pytest.raises(Killed):
            killed.run(budget="50%")
    asked = killed.asked
    assert "running" == state(killed, expected.run.run_id)
    report = killed.run(budget="50%")
    plan = load_plan(plan_path(killed.root, report.run.run_id))

    assert expected_rounds == plan.rounds
    total = sum(asked.values()) + sum(killed.asked.values())
    assert expected.new_cells == total == report.new_cells
    np.testing.assert_array_equal(expected.profile.train.scores, report.profile.train.scores)


def test_a_stop_between_rounds_publishes_nothing_and_is_taken_up(bench):
    stop = StopFlag()
    note = bench.progress.note

    def stop_at_the_third(text):
        note(text)
        if text.startswith("round 3"):
            stop.request()

    bench.progress.note = stop_at_the_third
    report = bench.run(budget="50%", stop=stop)
    before = sum(bench.asked.values())
    bench.progress.note = note

    assert ("cancelled", None) == (report.run.state, report.profile)
    report = bench.run(budget="50%")
    assert ("complete", report.new_cells) == (
        report.run.state,
        before + sum(bench.asked.values()),
    )


def test_a_cap_on_money_stops_the_rounds_and_a_higher_one_goes_on(bench):
    report = bench.run(budget="50%", max_cost_usd=Decimal("0.003"))
    before = sum(bench.asked.values())

    assert ("paused_budget", None) == (report.run.state, report.profile)
    assert report.run.spend.total_usd <= Decimal("0.003")
    report = bench.run(budget="50%", max_cost_usd=Decimal(1))
    assert ("complete", report.new_cells) == (report.run.state, before + sum(bench.asked.values()))


def test_held_out_questions_are_left_out_of_a_budget_and_counted(bench):
    planned = bench.plan(budget="50%")

    assert (72, 24) == (len(planned.cells), planned.left_out)


def test_a_budget_that_reaches_nothing_says_so_and_asks_nobody(bench):
    bench.run()
    bench.models["c"] = {}
    bench.client.answers["c"] = 1
    report = bench.run(budget="0")

    assert ({}, None) == (bench.asked, report.run)
    assert report.stopped is not None
