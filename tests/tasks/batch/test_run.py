"""A batch run's promises, on scripted models: every row answered for, every dollar accounted."""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from decimal import Decimal

import pytest

from tasks.batch.chunk import ChunkReport
from tasks.batch.run import _walk
from tasks.batch.stop import StopFlag
from tasks.call.base import ChatResponse, Usage
from tasks.call.errors import FatalError, Fate, RetryableError, RowError
from tasks.call.scripted import ScriptedClient
from warehouse.errors import LedgerBusyError, WarehouseError
from warehouse.ledger import ChunkCounts, open_ledger
from warehouse.query import answers, attempts, committed
from warehouse.run_lock import run_lock

PRICED = ChatResponse("Answer: 42", Usage(100, 50))
COST = Decimal("0.000200000")
"""100 input tokens at $1 and 50 output tokens at $2 a million."""


def rows_of(workshop):
    return answers(workshop.root, "run").sort("row_index").collect()


def charged(workshop):
    ledger = open_ledger(workshop.root)
    try:
        return ledger.spend("run").total_usd
    finally:
        ledger.close()


def test_every_row_of_a_backlog_is_answered(workshop):
    workshop.backlog(25)
    report = workshop.route()

    rows = rows_of(workshop)
    assert ("complete", 25) == (report.state, report.counts.answered)
    assert [f"row-{n}" for n in range(25)] == rows["custom_id"].to_list()
    assert {"Answer: 42"} == set(rows["answer"])


def test_the_same_command_again_does_nothing(workshop):
    workshop.backlog(5)
    workshop.route()
    client = ScriptedClient()
    report = workshop.route(client)

    assert ("complete", 5, 0.0) == (report.state, report.resumed, report.wall_s)
    assert [] == client.requests


def test_costs_add_up_from_attempts_to_answers_to_ledger(workshop):
    workshop.backlog(7)
    workshop.route(ScriptedClient(default=PRICED))

    total = 7 * COST
    assert total == charged(workshop)
    assert total == rows_of(workshop)["cost_usd"].sum()
    assert total == attempts(workshop.root, "run").collect()["cost_usd"].sum()


def test_rows_that_ask_the_same_are_paid_once_and_all_answered(workshop):
    workshop.write(
        [
            {"custom_id": "one", "prompt": "Same question?"},
            {"custom_id": "two", "prompt": "Same question?  "},
            {"custom_id": "three", "prompt": "Another?"},
        ]
    )
    client = ScriptedClient(default=PRICED)
    workshop.route(client)

    rows = {row["custom_id"]: row for row in rows_of(workshop).to_dicts()}
    assert 2 == len(client.requests)
    assert ("one", Decimal(0), "Answer: 42") == (
        rows["two"]["duplicate_of"], rows["two"]["cost_usd"], rows["two"]["answer"],
    )  # fmt: skip


def test_a_failed_pair_gives_way_to_the_next_best(workshop):
    workshop.backlog(1)
    client = ScriptedClient()
    client.enqueue(RowError("too long", error_type="context_too_long", fate=Fate.REFUSED))
    client.enqueue("Answer: 2")
    workshop.route(client)

    (row,) = rows_of(workshop).to_dicts()
    decisions = committed(workshop.root, "decisions", "run").sort("rank").collect()
    assert ("answered", "b@@none") == (row["status"], row["pair_id"])
    assert ["a@@none", "b@@none"] == decisions["pair_id"].to_list()
    assert "fallback" in decisions["reason"][1]


def test_a_row_that_no_pair_answers_is_a_failed_row_not_a_failed_run(workshop):
    workshop.backlog(3)
    client = ScriptedClient(default="Answer: 1")
    bad = RowError("no", error_type="bad_request", fate=Fate.REFUSED)

    def answer(request):
        return bad if "1 plus" in request.messages[-1].content else "Answer: 1"

    client = ScriptedClient(default=answer)
    report = workshop.route(client)

    rows = rows_of(workshop)
    assert ("complete", 2, 1) == (report.state, report.counts.answered, report.counts.failed)
    assert [(None, "bad_request")] == [
        (row["answer"], row["error_type"]) for row in rows.to_dicts() if row["status"] == "failed"
    ]


def test_a_spent_budget_stops_the_run_and_a_higher_one_finishes_it(workshop):
    workshop.backlog(30)
    client = ScriptedClient(default=PRICED)
    cap = Decimal("0.0030")
    report = workshop.route(client, max_cost_usd=cap)
    first = len(client.requests)

    assert "paused_budget" == report.state
    assert charged(workshop) <= cap
    assert 0 < first < 30
    report = workshop.route(client, max_cost_usd=Decimal(1))
    assert ("complete", 30, 30) == (report.state, report.counts.answered, len(client.requests))
    assert 30 * COST == charged(workshop)
    assert 30 == rows_of(workshop).height


def test_a_polite_stop_keeps_what_is_done_and_resumes(workshop):
    workshop.backlog(40)
    stop = StopFlag()
    seen = []

    def answer(request):
        seen.append(request)
        if len(seen) == 12:
            stop.request()
        return PRICED

    report = workshop.route(ScriptedClient(default=answer), stop=stop, concurrency=4)
    assert "cancelled" == report.state
    assert 12 <= len(seen) < 40
    again = ScriptedClient(default=PRICED)
    report = workshop.route(again, concurrency=4)

    assert ("complete", 40) == (report.state, report.counts.answered)
    assert 40 == len(seen) + len(again.requests)


def test_a_dead_provider_stops_the_run_and_leaves_its_rows_for_later(workshop):
    workshop.backlog(20)
    broke = FatalError("quota exhausted", error_type="quota_exhausted", fate=Fate.REFUSED)
    report = workshop.route(ScriptedClient(default=broke))

    assert ("failed", 20) == (report.state, report.pending)
    assert "quota exhausted" in next(iter(report.fatal.values()))
    report = workshop.route(ScriptedClient(default=PRICED))
    assert ("complete", 20) == (report.state, report.counts.answered)


def test_a_request_in_doubt_on_hold_is_kept_and_listed_and_may_be_resent_later(workshop):
    workshop.backlog(1)
    lost = RetryableError("cut", error_type="connection_reset", fate=Fate.UNKNOWN)
    client = ScriptedClient()
    client.enqueue(lost)
    report = workshop.route(client, in_doubt="hold")

    (row,) = rows_of(workshop).to_dicts()
    assert ("complete", 1, "in_doubt") == (report.state, report.counts.in_doubt, row["status"])
    assert row["doubt_usd"] > 0
    again = ScriptedClient(default=PRICED)
    report = workshop.route(again, in_doubt="resend")
    (row,) = rows_of(workshop).to_dicts()
    assert ("complete", "answered", COST) == (report.state, row["status"], row["cost_usd"])
    assert row["doubt_usd"] > 0
    assert client.requests[0].idempotency_key == again.requests[0].idempotency_key


def test_reopened_rows_are_asked_again_and_keep_their_history(workshop):
    workshop.backlog(2)
    bad = RowError("no", error_type="bad_request", fate=Fate.REFUSED)

    def answer(request):
        return bad if "1 plus" in request.messages[-1].content else PRICED

    workshop.route(ScriptedClient(default=answer))
    failed = {row["query_id"]: row["chunk_id"] for row in rows_of(workshop).to_dicts()
              if row["status"] == "failed"}  # fmt: skip
    ledger = open_ledger(workshop.root)
    ledger.reopen("run", failed)
    ledger.close()
    client = ScriptedClient(default=PRICED)
    report = workshop.route(client)

    assert (2, 1) == (report.counts.answered, len(client.requests))
    assert {"ok", "error"} == set(attempts(workshop.root, "run").collect()["status"])


def test_another_configuration_under_the_same_name_is_refused(workshop):
    workshop.backlog(2)
    workshop.route()

    with pytest.raises(WarehouseError, match="router: 'fixed:a@@none' then, 'random' now"):
        workshop.route(router="random")


def test_a_backlog_that_another_process_reads_in_is_left_alone(workshop):
    workshop.backlog(5)
    with (
        run_lock(workshop.root, "run"),
        pytest.raises(LedgerBusyError, match=f"being worked on by process {os.getpid()}"),
    ):
        workshop.route()
    assert not (workshop.root / "staging").exists()

    report = workshop.route()

    assert ("complete", 5) == (report.state, report.counts.answered)


class Slow:
    """Answers after some turns of the loop; one question breaks it."""

    provider = "scripted"

    def __init__(self, breaks_at):
        self.breaks_at = breaks_at

    async def complete(self, request):
        if self.breaks_at in request.messages[-1].content:
            raise ArithmeticError("nobody thought of this")
        for _ in range(20):
            await asyncio.sleep(0)
        return PRICED

    async def close(self):
        pass


def states(workshop):
    ledger = open_ledger(workshop.root)
    try:
        return Counter(request.state for request in ledger.requests("run"))
    finally:
        ledger.close()


def test_an_error_in_one_row_costs_none_of_those_in_flight(workshop):
    workshop.backlog(10)
    with pytest.raises(ArithmeticError, match="nobody thought of this"):
        workshop.route(Slow("What is 3 plus"))
    assert {"settled": 9, "claimed": 1} == states(workshop)
    client = ScriptedClient(default=PRICED)

    report = workshop.route(client)

    assert ("complete", 10, 1) == (report.state, report.counts.answered, len(client.requests))


async def test_when_one_chunk_fails_the_others_stop_politely():
    halted, ended = asyncio.Event(), []

    async def work(chunk_id):
        if chunk_id == "damaged":
            raise WarehouseError("its file is damaged")
        await halted.wait()
        ended.append(chunk_id)
        return ChunkReport(chunk_id, ChunkCounts(), False, False)

    with pytest.raises(WarehouseError, match="its file is damaged"):
        await _walk(["whole", "damaged", "later"], work, halted.is_set, halted.set, 10.0)
    assert ["whole"] == ended


def test_labelled_rows_are_graded_and_unreadable_answers_are_not_wrong(workshop):
    workshop.write(
        [
            {"custom_id": "right", "prompt": "6*7?", "reference": "42", "grader": "numeric"},
            {"custom_id": "wrong", "prompt": "6*8?", "reference": "48", "grader": "numeric"},
            {"custom_id": "none", "prompt": "6*9?", "reference": "54", "grader": "numeric"},
        ]
    )

    def answer(request):
        return "I cannot read that." if "6*9" in request.messages[-1].content else "Answer: 42"

    workshop.route(ScriptedClient(default=answer))

    rows = rows_of(workshop)
    assert [1.0, 0.0, None] == rows["score"].to_list()
    assert ["scored", "scored", "unscored"] == rows["grade_status"].to_list()


def test_progress_counts_what_earlier_sessions_finished(workshop):
    workshop.backlog(30)
    workshop.route(ScriptedClient(default=PRICED), max_cost_usd=Decimal("0.0030"))
    done = workshop.progress.rows
    workshop.route(ScriptedClient(default=PRICED))

    assert (30, done) == workshop.progress.started
    assert 30 == done + workshop.progress.rows


def test_unknown_prices_stay_unknown_in_every_table(workshop):
    pool = workshop.folder / "pool.yaml"
    pool.write_text(
        pool.read_text().replace('prices: {input_usd: "1", output_usd: "2"}', "prices: {}")
    )
    workshop.backlog(2)
    workshop.route(allow_unpriced=True)

    assert [None, None] == rows_of(workshop)["cost_usd"].to_list()


def test_chunks_are_wrapped_one_by_one(workshop):
    workshop.backlog(25)
    seen = []

    def wrap(work):
        async def counted(chunk_id):
            seen.append(chunk_id)
            return await work(chunk_id)

        return counted

    workshop.route(wrap=wrap)

    assert ["000000", "000001", "000002"] == seen


def test_a_judge_is_paid_like_any_other_call_and_its_cost_counted(workshop):
    pool = workshop.folder / "pool.yaml"
    pool.write_text(
        pool.read_text().replace(
            "b: {<<: *model, name: model-b}",
            "b: {<<: *model, name: model-b, parameters: {judge: true}}",
        )
    )
    workshop.write([{"custom_id": "x", "prompt": "Why?", "reference": "So.", "grader": "judge"}])

    def answer(request):
        text = "VERDICT: CORRECT" if request.model == "model-b" else "Because so."
        return ChatResponse(text, Usage(100, 50))

    client = ScriptedClient(default=answer)
    workshop.route(client)

    (row,) = rows_of(workshop).to_dicts()
    assert (1.0, 2 * COST) == (row["score"], row["cost_usd"])
    assert 2 * COST == charged(workshop)
    assert {"a@@none", "b@@judge"} == set(attempts(workshop.root, "run").collect()["pair_id"])
    again = ScriptedClient()
    workshop.route(again)
    assert [] == again.requests


def test_without_a_judge_such_rows_are_unscored_with_the_reason(workshop):
    workshop.write([{"custom_id": "x", "prompt": "Why?", "reference": "So.", "grader": "judge"}])
    workshop.route()

    (grade,) = committed(workshop.root, "grades", "run").collect().to_dicts()
    assert (None, "no judge is configured") == (grade["score"], grade["unscored_reason"])
