"""Paying for calls: what is settled is never sent again, what is in doubt is never hidden."""

from __future__ import annotations

import asyncio
import contextlib
import random
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from profiles.pool import Limits, ModelSpec, Pair, Pool, Prices, ToolSpec
from profiles.prices import worst_case_cost
from tasks.call.base import CallOrigin, ChatRequest, ChatResponse, Message, Usage
from tasks.call.cashier import Cashier
from tasks.call.errors import FatalError, Fate, RetryableError, RowError
from tasks.call.limiter import ModelLimiter
from tasks.call.paid import PairCalls, estimate_tokens
from tasks.call.retry import RetryPolicy
from tasks.query import Query
from tasks.tools.base import ToolResult
from tests.instant_clock import InstantClock
from warehouse.budget import Budget, BudgetExhaustedError
from warehouse.ledger import LedgerWriter, RunRecord, open_ledger
from warehouse.money import to_nano

PRICES = Prices(Decimal(1), Decimal(2))
ANSWER = ChatResponse("42", Usage(100, 50), response_id="r-1")
COST = Decimal("0.000200000")


class Client:
    """Answers from a list; an exception in it is raised."""

    provider = "scripted"

    def __init__(self, *script):
        self.script = list(script)
        self.keys = []

    async def complete(self, request):
        self.keys.append(request.idempotency_key)
        step = self.script.pop(0)
        if isinstance(step, Exception):
            raise step
        return step

    async def close(self):
        pass


def refused(error_type="rate_limited", retry_after_s=None):
    return RetryableError(
        "no", error_type=error_type, fate=Fate.REFUSED, retry_after_s=retry_after_s
    )


def lost(error_type="connection_reset"):
    return RetryableError("cut", error_type=error_type, fate=Fate.UNKNOWN)


def pool(prices=PRICES):
    models = {
        key: ModelSpec(key, "scripted", f"name-{key}", prices, limits=Limits(max_output_tokens=100))
        for key in ("a", "b")
    }
    return Pool("p", models, {"none": ToolSpec("none", "none")}, (Pair("a", "none"),), "f" * 64)


class Desk:
    """A cashier with a real ledger, a scripted provider and a clock that never waits."""

    def __init__(self, root, client, *, resend=True, cap=None, prices=PRICES, in_flight=64):
        self.ledger = open_ledger(root)
        if self.ledger.run("r1") is None:
            now = datetime(2026, 1, 1, tzinfo=UTC)
            self.ledger.create_run(
                RunRecord("r1", "route", "running", "b", "s", "{}", "c", "v", now), ["000000"]
            )
        self.clock = InstantClock()
        self.client = client
        self.pool = pool(prices)
        self.cashier = Cashier(
            run_id="r1",
            pool=self.pool,
            clients={"a": client, "b": client},
            ledger=LedgerWriter(self.ledger),
            budget=Budget(cap, to_nano(self.ledger.spend("r1").total_usd)),
            limiter=ModelLimiter({k: m.limits for k, m in self.pool.models.items()}, self.clock),
            retry=RetryPolicy(max_tries=3, base_s=1.0, cap_s=60.0),
            clock=self.clock,
            rng=random.Random(0),
            in_flight=asyncio.Semaphore(in_flight),
            resend=resend,
        )

    def calls(self, round_=0):
        stored = {r.request_id: r for r in self.ledger.requests("r1", chunk_id="000000")}
        query = Query("q1", "row-1", "What is six times seven?")
        return PairCalls(self.cashier, query, Pair("a", "none"), "000000", stored, round_)

    async def ask(self, calls):
        return await calls.chat(request())


def request():
    return ChatRequest("name-a", (Message("user", "hello"),), 100, CallOrigin("q1", "a", "none"))


async def test_an_answer_is_settled_at_its_price(tmp_path):
    desk = Desk(tmp_path, Client(ANSWER))
    calls = desk.calls()

    assert ANSWER == await desk.ask(calls)
    assert COST == desk.ledger.spend("r1").total_usd
    assert [("ok", COST, 100, 50)] == [
        (row["status"], row["cost_usd"], row["input_tokens"], row["output_tokens"])
        for row in calls.attempts
    ]


async def test_a_settled_call_is_replayed_not_sent(tmp_path):
    first = Desk(tmp_path, Client(ANSWER))
    before = first.calls()
    await first.ask(before)
    again = Desk(tmp_path, Client())
    calls = again.calls()

    assert ANSWER == await again.ask(calls)
    assert [] == again.client.keys
    assert before.attempts == calls.attempts


async def test_every_call_of_a_pair_has_its_own_key(tmp_path):
    desk = Desk(tmp_path, Client(ANSWER, ANSWER))
    calls = desk.calls()
    await desk.ask(calls)
    await desk.ask(calls)

    assert 2 == len(set(desk.client.keys))


async def test_another_round_is_another_request(tmp_path):
    desk = Desk(tmp_path, Client(ANSWER, ANSWER))
    await desk.ask(desk.calls(0))
    await desk.ask(desk.calls(1))

    assert 2 == len(set(desk.client.keys))


async def test_a_refused_call_is_tried_again_under_the_same_key_for_nothing(tmp_path):
    desk = Desk(tmp_path, Client(refused(), refused("server_error"), ANSWER))
    calls = desk.calls()

    assert ANSWER == await desk.ask(calls)
    assert 1 == len(set(desk.client.keys))
    assert [Decimal(0), Decimal(0), COST] == [row["cost_usd"] for row in calls.attempts]
    assert COST == desk.ledger.spend("r1").total_usd


async def test_retry_after_is_a_floor(tmp_path):
    desk = Desk(tmp_path, Client(refused(retry_after_s=30.0), ANSWER))
    await desk.ask(desk.calls())

    assert desk.clock.monotonic() >= 30.0


async def test_a_rate_limit_is_waited_for_longer_than_an_error(tmp_path):
    desk = Desk(tmp_path, Client(*[refused()] * 10, ANSWER))

    assert ANSWER == await desk.ask(desk.calls())


async def test_tries_end_and_the_failure_is_final(tmp_path):
    desk = Desk(tmp_path, Client(*[refused("server_error")] * 3))
    with pytest.raises(RetryableError):
        await desk.ask(desk.calls())
    again = Desk(tmp_path, Client())

    with pytest.raises(RetryableError):
        await again.ask(again.calls())
    assert [] == again.client.keys


async def test_a_lost_answer_is_sent_once_more_and_both_charges_stay(tmp_path):
    desk = Desk(tmp_path, Client(lost(), ANSWER))
    calls = desk.calls()

    assert ANSWER == await desk.ask(calls)
    (doubtful,) = desk.ledger.requests("r1", in_doubt=True)
    worst = doubtful.doubt_usd
    assert worst > COST == doubtful.cost_usd
    assert worst + COST == desk.ledger.spend("r1").total_usd
    assert [("unknown", "doubt", worst), ("ok", "settled", COST)] == [
        (row["status"], row["charge_kind"], row["cost_usd"]) for row in calls.attempts
    ]


async def test_a_request_lost_twice_is_never_sent_a_third_time(tmp_path):
    desk = Desk(tmp_path, Client(lost(), lost()))

    with pytest.raises(RowError) as caught:
        await desk.ask(desk.calls())
    assert ("in_doubt", 2) == (caught.value.error_type, len(desk.client.keys))


async def test_on_hold_a_lost_answer_is_not_sent_again(tmp_path):
    desk = Desk(tmp_path, Client(lost()), resend=False)

    with pytest.raises(RowError) as caught:
        await desk.ask(desk.calls())
    assert ("in_doubt", 1) == (caught.value.error_type, len(desk.client.keys))


async def test_a_request_whose_owner_died_is_sent_again_with_the_same_key(tmp_path):
    class Dying(Client):
        async def complete(self, request):
            self.keys.append(request.idempotency_key)
            raise KeyboardInterrupt

    desk = Desk(tmp_path, Dying())
    with pytest.raises(KeyboardInterrupt):
        await desk.calls().chat(request())
    assert 1 == desk.ledger.doubt_orphans("r1")
    again = Desk(tmp_path, Client(ANSWER))
    calls = again.calls()

    assert ANSWER == await again.ask(calls)
    assert desk.client.keys == again.client.keys
    assert [("killed", "doubt"), (None, "settled")] == [
        (row.get("error_type"), row["charge_kind"]) for row in calls.attempts
    ]
    total = sum(row["cost_usd"] for row in calls.attempts)
    assert total == again.ledger.spend("r1").total_usd


async def test_a_fatal_error_closes_the_account_and_leaves_the_request_open(tmp_path):
    broke = FatalError("no credit", error_type="quota_exhausted", fate=Fate.REFUSED)
    desk = Desk(tmp_path, Client(broke))
    with pytest.raises(FatalError):
        await desk.ask(desk.calls())

    assert [False, False] == [desk.cashier.open_for(key) for key in ("a", "b")]
    again = Desk(tmp_path, Client(ANSWER))
    assert ANSWER == await again.ask(again.calls())


async def test_a_missing_model_closes_only_itself(tmp_path):
    gone = FatalError("no such model", error_type="model_not_found", fate=Fate.REFUSED)
    desk = Desk(tmp_path, Client(gone))
    with pytest.raises(FatalError):
        await desk.ask(desk.calls())

    assert [False, True] == [desk.cashier.open_for(key) for key in ("a", "b")]


async def test_nothing_is_sent_past_the_budget(tmp_path):
    desk = Desk(tmp_path, Client(), cap=10)

    with pytest.raises(BudgetExhaustedError):
        await desk.ask(desk.calls())
    assert [] == desk.client.keys


async def test_a_paid_but_useless_answer_is_charged_once(tmp_path):
    empty = RowError(
        "no choices", error_type="empty_choices", fate=Fate.ANSWERED, usage=Usage(100, 50)
    )
    desk = Desk(tmp_path, Client(empty))
    with pytest.raises(RowError):
        await desk.ask(desk.calls())
    again = Desk(tmp_path, Client())
    with pytest.raises(RowError):
        await again.ask(again.calls())

    assert ([], COST) == (again.client.keys, again.ledger.spend("r1").total_usd)


@pytest.mark.parametrize(
    ("said", "usage"),
    [(ChatResponse, Usage(None, None)), (ChatResponse, Usage(100, None)), (RowError, None)],
    ids=["no-tokens", "half-told", "useless"],
)
async def test_an_answer_that_tells_no_tokens_is_charged_with_what_was_reserved(
    tmp_path, said, usage
):
    empty = RowError("no choices", error_type="empty_choices", fate=Fate.ANSWERED, usage=usage)
    answer = empty if said is RowError else ChatResponse("Answer: 42", usage)
    desk = Desk(tmp_path, Client(answer, answer), cap=10**9)
    notes = []
    desk.cashier.note = notes.append
    reserved = worst_case_cost(estimate_tokens(request()), 100, PRICES)
    calls = desk.calls()
    for number in (1, 2):
        with contextlib.suppress(RowError):
            await desk.ask(calls)

        assert number * reserved == desk.ledger.spend("r1").total_usd
        assert to_nano(number * reserved) == desk.cashier.budget.spent_nano
    assert [reserved] * 2 == [row["cost_usd"] for row in calls.attempts]
    assert (said is ChatResponse) == len(notes)


async def test_a_call_that_waits_is_not_sent_once_others_have_passed_the_cap(tmp_path):
    desk = Desk(tmp_path, Client(ANSWER), cap=10**6)
    turn = desk.cashier._ahead["a"] = asyncio.Semaphore(0)
    budget = desk.cashier.budget
    waiting = asyncio.ensure_future(desk.ask(desk.calls()))
    await asyncio.sleep(0)
    assert budget.reserved_nano
    budget.spent_nano = 10**6
    turn.release()

    with pytest.raises(BudgetExhaustedError):
        await waiting
    assert [] == desk.client.keys
    assert (0, True) == (budget.reserved_nano, budget.exhausted)


async def test_a_charge_above_its_reservation_counts_before_it_is_written(tmp_path):
    desk = Desk(tmp_path, Client(ChatResponse("Answer: 42", Usage(10**6, 10**6))), cap=10**6)
    write, seen = desk.cashier.ledger.write, []

    async def look(entry):
        seen.append(desk.cashier.budget.reserved_nano)
        await write(entry)

    desk.cashier.ledger.write = look
    await desk.ask(desk.calls())

    assert 3 * 10**9 == seen[-1] == desk.cashier.budget.spent_nano
    assert 0 == desk.cashier.budget.reserved_nano


async def test_an_unknown_price_stays_unknown(tmp_path):
    desk = Desk(tmp_path, Client(ANSWER), prices=Prices(None, None))
    calls = desk.calls()
    await desk.ask(calls)

    assert [None] == [row["cost_usd"] for row in calls.attempts]
    assert 1 == desk.ledger.spend("r1").unpriced


class PricedTool:
    kind = "search"
    tier = "in-process"
    price_per_call_usd = Decimal("0.005")

    def __init__(self):
        self.runs = 0

    async def run(self, arguments):
        self.runs += 1
        return ToolResult(f"snippets for {arguments['query']}", cost_usd=Decimal("0.005"))

    async def close(self):
        pass


async def test_a_priced_tool_is_paid_once_and_replayed(tmp_path):
    desk = Desk(tmp_path, Client())
    tool = PricedTool()
    await desk.calls().tool(tool, "web", {"query": "x"}, "c1")
    again = Desk(tmp_path, Client())
    calls = again.calls()
    result = await calls.tool(tool, "web", {"query": "x"}, "c1")

    assert ("snippets for x", 1) == (result.output, tool.runs)
    assert Decimal("0.005") == again.ledger.spend("r1").total_usd
    assert [Decimal("0.005")] == [row["cost_usd"] for row in calls.attempts]


async def test_a_tools_output_can_be_stored_whatever_it_is(tmp_path):
    calls = Desk(tmp_path, Client()).calls()
    result = await calls.tool(PricedTool(), "web", {"query": "half \ud83d"}, "c1")

    assert "snippets for half \ufffd" == result.output == calls.attempts[0]["output_text"]


def test_the_token_estimate_is_never_below_one_token_a_byte():
    text = "naïve 漢字 " * 50
    asked = ChatRequest("m", (Message("user", text),), 10, CallOrigin("q", "a", "none"))

    assert estimate_tokens(asked) >= len(text.encode())
