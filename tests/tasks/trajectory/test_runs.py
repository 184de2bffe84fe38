"""Rows of many steps keep every promise of rows of one: answered for, paid once, resumed."""

from __future__ import annotations

import re
from collections import Counter
from decimal import Decimal

import pytest

import tasks.call.paid as paid
from tasks.batch.stop import StopFlag
from tasks.call.base import ChatResponse, Usage
from tasks.call.errors import FatalError, Fate, RetryableError, RowError
from tests.tasks.trajectory.conftest import until_two_agree
from warehouse.ledger import open_ledger
from warehouse.query import answers, attempts, committed

COST = Decimal("0.000200000")
"""100 input tokens at $1 and 50 output tokens at $2 a million."""
BROKEN = RowError("no", error_type="bad_request", fate=Fate.REFUSED)


def said(text):
    return ChatResponse(text, Usage(100, 50))


def by_model(**texts):
    """Every model always says the same; an error is raised."""

    def answer(request):
        text = texts[request.origin.model]
        return said(text) if isinstance(text, str) else text

    return answer


def agree_on_even(request):
    """a and b agree on even questions; on odd ones c sides with b."""
    number = int(re.search(r"\d+", request.messages[-1].content)[0])
    wrong = number % 2 == 1 and request.origin.model == "a"
    return said("Answer: 9" if wrong else "Answer: 4")


def table(expedition, name):
    return committed(expedition.root, name, "run").collect()


def rows_of(expedition):
    return answers(expedition.root, "run").sort("row_index").collect()


def asked(requests):
    return Counter((r.origin.query_id, r.origin.model) for r in requests)


def charged(expedition):
    ledger = open_ledger(expedition.root)
    try:
        return ledger.spend("run").total_usd
    finally:
        ledger.close()


def check_money(expedition, calls):
    """Every call is an attempt, and every cent of it is in the answers and in the ledger."""
    assert calls * COST == charged(expedition)
    assert calls * COST == rows_of(expedition)["cost_usd"].sum()
    assert calls == attempts(expedition.root, "run").collect().height


def test_rows_take_as_many_steps_as_they_need(expedition):
    report, requests = expedition.route(agree_on_even)

    rows = rows_of(expedition)
    assert ("complete", 4) == (report.state, report.counts.answered)
    assert {"Answer: 4"} == set(rows["answer"])
    assert ["a@@none", "b@@none", "a@@none", "b@@none"] == rows["pair_id"].to_list()
    assert {"q0": 2, "q1": 3, "q2": 2, "q3": 3} == Counter(r.origin.query_id for r in requests)
    assert [1.0, 2 / 3, 1.0, 2 / 3] == pytest.approx(rows["confidence"].to_list())
    assert {"policy-test"} == set(rows["policy_version"])
    check_money(expedition, 10)


def test_every_step_is_written_with_what_was_believed_before_it(expedition):
    expedition.route(agree_on_even, rows=2)

    steps = table(expedition, "trajectories").filter(query_id="q1").sort("step").to_dicts()
    assert ["a@@none", "b@@none", "c@@none", None] == [step["pair_id"] for step in steps]
    assert ["n:9e0", "n:4e0", "n:4e0", "n:4e0"] == [step["answer_key"] for step in steps]
    assert [0, 1, 1, 2] == [step["supporters"] for step in steps]
    assert [0.0, 1.0, 0.5, 2 / 3] == pytest.approx([step["confidence"] for step in steps])
    assert {("cascade", 0.01)} == {(step["strategy"], step["price"]) for step in steps}
    decisions = table(expedition, "decisions").filter(query_id="q1").sort("step")
    assert [0, 1, 2] == decisions["step"].to_list()
    assert [0.5, 0.6, 0.7] == pytest.approx(decisions["expected_score"].to_list())
    assert [Decimal("0.000001"), Decimal("0.000002"), None] == (
        decisions["expected_cost_usd"].to_list()
    )
    calls = attempts(expedition.root, "run").collect().filter(query_id="q1").sort("step")
    assert ["a@@none", "b@@none", "c@@none"] == calls["pair_id"].to_list()
    assert [0, 1, 2] == calls["step"].to_list()


def test_rows_in_flight_are_decided_together(expedition):
    expedition.route(agree_on_even, rows=8)

    assert 8 == expedition.navigator.largest


def test_a_failed_call_is_an_observation_not_a_failed_row(expedition):
    report, _ = expedition.route(by_model(a=BROKEN, b="Answer: 4", c="Answer: 4"), rows=1)

    (row,) = rows_of(expedition).to_dicts()
    assert ("complete", "answered", "Answer: 4", None) == (
        report.state, row["status"], row["answer"], row["error_type"],
    )  # fmt: skip
    steps = table(expedition, "trajectories").sort("step")
    assert [None, "n:4e0", "n:4e0", "n:4e0"] == steps["answer_key"].to_list()
    assert 2 / 3 == pytest.approx(row["confidence"])


def test_a_row_without_any_answer_fails_with_the_last_error(expedition):
    last = RowError("too long", error_type="context_too_long", fate=Fate.REFUSED)
    report, requests = expedition.route(by_model(a=BROKEN, b=BROKEN, c=last), rows=1)

    (row,) = rows_of(expedition).to_dicts()
    assert ("complete", 1, 3) == (report.state, report.counts.failed, len(requests))
    assert ("failed", "context_too_long", None, "c@@none") == (
        row["status"], row["error_type"], row["answer"], row["pair_id"],
    )  # fmt: skip


def test_no_pair_is_left_untried_while_there_is_no_answer(expedition):
    _, requests = expedition.route(
        by_model(a=BROKEN, b="unused", c="Answer: 4"), rows=1, guide=until_two_agree(order=(0,))
    )

    assert ["a", "c"] == [request.origin.model for request in requests]
    assert ["Answer: 4"] == rows_of(expedition)["answer"].to_list()


def test_answers_that_cannot_be_compared_are_still_answers(expedition):
    declined = "I cannot answer this question."
    expedition.route(by_model(a=BROKEN, b="", c=declined), rows=1)

    (row,) = rows_of(expedition).to_dicts()
    assert ("answered", declined, "c@@none", 0.0) == (
        row["status"], row["answer"], row["pair_id"], row["confidence"],
    )  # fmt: skip


def test_a_spent_budget_stops_inside_trajectories_and_a_higher_one_finishes_them(expedition):
    cap = 7 * COST
    report, first = expedition.route(agree_on_even, rows=6, max_cost_usd=cap, concurrency=2)

    assert "paused_budget" == report.state
    assert charged(expedition) <= cap
    assert report.counts.skipped > 0
    report, second = expedition.route(agree_on_even, rows=6, max_cost_usd=Decimal(1))

    assert ("complete", 6) == (report.state, report.counts.answered)
    assert {1} == set((asked(first) + asked(second)).values())
    check_money(expedition, 15)
    steps = table(expedition, "trajectories").group_by("query_id").len()
    assert {"q0": 3, "q1": 4, "q2": 3, "q3": 4, "q4": 3, "q5": 4} == dict(steps.iter_rows())


def test_a_polite_stop_finishes_trajectories_in_flight(expedition):
    stop = StopFlag()

    def answer(request):
        stop.request()
        return agree_on_even(request)

    report, first = expedition.route(answer, rows=6, stop=stop, concurrency=2)
    assert "cancelled" == report.state
    report, second = expedition.route(agree_on_even, rows=6)

    assert ("complete", 6) == (report.state, report.counts.answered)
    assert {1} == set((asked(first) + asked(second)).values())


def test_a_dead_provider_with_no_answer_in_hand_leaves_the_row_for_later(expedition):
    broke = FatalError("quota exhausted", error_type="quota_exhausted", fate=Fate.REFUSED)
    report, _ = expedition.route(by_model(a=broke, b=broke, c=broke))

    assert ("failed", 4) == (report.state, report.pending)
    report, _ = expedition.route(agree_on_even)
    assert ("complete", 4) == (report.state, report.counts.answered)


def test_a_provider_that_dies_later_does_not_take_the_answer_in_hand(expedition):
    broke = FatalError("quota exhausted", error_type="quota_exhausted", fate=Fate.REFUSED)
    report, _ = expedition.route(by_model(a="Answer: 4", b=broke, c=broke), rows=1)

    assert ("complete", ["Answer: 4"]) == (report.state, rows_of(expedition)["answer"].to_list())


def test_a_step_in_doubt_on_hold_holds_the_row_and_may_be_resent(expedition):
    lost = RetryableError("cut", error_type="connection_reset", fate=Fate.UNKNOWN)
    report, first = expedition.route(
        by_model(a="Answer: 4", b=lost, c="Answer: 4"), rows=1, resend=False
    )
    assert (1, ["in_doubt"]) == (report.counts.in_doubt, rows_of(expedition)["status"].to_list())

    report, second = expedition.route(agree_on_even, rows=1)

    (row,) = rows_of(expedition).to_dicts()
    assert ("complete", "answered") == (report.state, row["status"])
    assert row["doubt_usd"] > 0
    assert [["a", "b"], ["b"]] == [[r.origin.model for r in one] for one in (first, second)]


class Killed(BaseException):
    """Stands for a kill: nothing may catch it."""


@pytest.mark.parametrize("name", ["before_claim", "after_claim", "after_call", "before_settle"])
@pytest.mark.parametrize("passes", [4, 8])
def test_a_kill_inside_a_trajectory_repeats_no_settled_call(expedition, monkeypatch, name, passes):
    left = passes

    def fault_point(passed):
        nonlocal left
        left -= passed == name
        if left <= 0:
            raise Killed

    monkeypatch.setattr(paid, "fault_point", fault_point)
    first = []

    def counted(request):
        first.append(request)
        return agree_on_even(request)

    with pytest.raises(Killed):
        expedition.route(counted, concurrency=2)
    monkeypatch.undo()
    ledger = open_ledger(expedition.root)
    settled = {(r.query_id, r.pair_id[0]) for r in ledger.requests("run") if r.state == "settled"}
    ledger.close()
    report, second = expedition.route(agree_on_even)

    assert ("complete", 4) == (report.state, report.counts.answered)
    assert settled
    assert set() == settled & set(asked(second))
    assert [2, 3, 2, 3] == [
        len({r.origin.model for r in [*first, *second] if r.origin.query_id == f"q{n}"})
        for n in range(4)
    ]
    rows = rows_of(expedition)
    paid_for = rows["cost_usd"].sum() + rows["doubt_usd"].sum()
    assert (
        paid_for
        == charged(expedition)
        == (attempts(expedition.root, "run").collect()["cost_usd"].sum())
    )


def test_what_was_paid_for_is_looked_at_even_if_the_guide_changed_its_mind(expedition, monkeypatch):
    def fault_point(passed):
        if passed == "before_commit":
            raise Killed

    monkeypatch.setattr("tasks.batch.chunk.fault_point", fault_point)
    with pytest.raises(Killed):
        expedition.route(agree_on_even, rows=1)
    monkeypatch.undo()

    _, again = expedition.route(agree_on_even, rows=1, guide=until_two_agree(order=(2, 1, 0)))

    assert [] == again
    assert ["a@@none", "b@@none"] == (
        attempts(expedition.root, "run").sort("step").collect()["pair_id"].to_list()
    )
    check_money(expedition, 2)
