"""Paying for calls: claim in the ledger before, settle after, replay what is settled.

One loop, the only one that ever sends a request twice:

1. A request the ledger has settled or given up is replayed from it; nothing is sent.
2. A request in doubt (sent, fate unknown) is sent again once, under the same idempotency key, if
   the user allows it; its first charge stays beside the second.
3. Otherwise: reserve the worst case in the budget, wait for the model's limiter, claim durably,
   send, settle durably. Refused requests wait and try again; `Retry-After` is a floor.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from profiles.prices import worst_case_cost
from tasks.call.attempts import attempt_row, orphan_rows
from tasks.call.charge import charge_of
from tasks.call.errors import CallError, FatalError, Fate, RetryableError, RowError
from tasks.call.paid_tools import run_tool
from tasks.call.request_key import request_id, request_key
from tasks.call.stored import pack, unpack
from warehouse.fault_points import fault_point
from warehouse.ledger import Claim, Doubt, Failure, Refusal, Settlement
from warehouse.money import to_nano

if TYPE_CHECKING:
    from profiles.pool import Pair
    from tasks.call.base import ChatRequest, ChatResponse
    from tasks.call.cashier import Cashier
    from tasks.call.limiter import Slot
    from tasks.query import Query
    from tasks.tools.base import Tool, ToolResult
    from warehouse.ledger import StoredRequest

RATE_LIMIT_PATIENCE = 5
"""So many times more tries where the provider only says "not now": it costs nothing to wait, and a
fallback to another pair costs accuracy or money."""
MAX_SENDS_IN_DOUBT = 2
"""A request of unknown fate is sent at most once more."""


@dataclass(slots=True)
class PairCalls:
    """The calls of one pair on one query, in order; collects a row for every attempt.

    Attributes:
        stored: what the ledger knows of this query's requests, by request id.
        round: 0, or how often the user asked to retry this query.
        judged: the pair whose answer these calls judge: a judge may be asked about every pair's
            answer to one query, and each of these is paid work of its own.
        attempts: rows for the `attempts` table, in the order they happened.
    """

    cashier: Cashier
    query: Query
    pair: Pair
    chunk_id: str
    stored: Mapping[str, StoredRequest]
    round: int = 0
    attempts: list[dict[str, Any]] = field(default_factory=list)
    calls: int = 0
    judged: str | None = None

    async def chat(self, request: ChatRequest, *, model_key: str | None = None) -> ChatResponse:
        """Send one request, or replay it.

        Raises:
            CallError: no answer is to be had; retryable ones have been retried.
            BudgetExhaustedError: the call does not fit the budget; nothing was sent.
        """
        index = self.calls
        self.calls += 1
        who = self.pair.pair_id if self.judged is None else f"{self.pair.pair_id}#{self.judged}"
        identity = request_id(self.cashier.run_id, self.query.query_id, who, index, self.round)
        call = _Call(self, model_key or self.pair.model, index, identity)
        call.request = replace(request, idempotency_key=identity)
        call.key = request_key(request)
        return await call.run(self.stored.get(identity))

    async def tool(
        self, tool: Tool, tool_key: str, arguments: Mapping[str, Any], tool_call_id: str | None
    ) -> ToolResult:
        """Run a tool; a priced one is claimed and settled like a request.

        Raises:
            BudgetExhaustedError: the tool's price does not fit the budget.
        """
        index = self.calls
        self.calls += 1
        return await run_tool(self, tool, tool_key, arguments, tool_call_id, index)


class _Call:
    """One request on its way; `rows` are its attempts so far."""

    request: ChatRequest
    key: str

    def __init__(self, owner: PairCalls, model_key: str, index: int, identity: str) -> None:
        self.owner = owner
        self.cashier = owner.cashier
        self.model_key = model_key
        self.spec = owner.cashier.pool.models[model_key]
        self.index = index
        self.identity = identity
        self.rows: list[dict[str, Any]] = []
        self.doubts = 0

    async def run(self, stored: StoredRequest | None) -> ChatResponse:
        replayed = self._replay(stored)
        if replayed is not None:
            return replayed
        first = len(self.rows)
        try:
            return await self._send_until_answered()
        finally:
            self.owner.attempts.extend(self.rows[first:])

    def _replay(self, stored: StoredRequest | None) -> ChatResponse | None:
        if stored is None:
            return None
        record = unpack(stored.payload)
        self.doubts = stored.doubts
        self.rows = [*record.attempts, *orphan_rows(self.owner, self, stored, record.attempts)]
        self.owner.attempts.extend(self.rows)
        if stored.state == "settled" and record.response is not None:
            return record.response
        if stored.state in ("settled", "failed"):
            raise record.error or RowError(
                f"request {self.identity} ended without an answer",
                error_type="no_answer",
                fate=Fate.REFUSED,
            )
        if stored.state == "in_doubt":
            self._check_doubt()
        return None

    def _check_doubt(self, cause: CallError | None = None) -> None:
        if self.cashier.resend and self.doubts < MAX_SENDS_IN_DOUBT:
            return
        raise RowError(
            f"request {self.identity} was sent and its answer never came; it may have been "
            "charged, so it is not sent again (atlas runs show --in-doubt lists it)",
            error_type="in_doubt",
            fate=Fate.UNKNOWN,
        ) from cause

    async def _send_until_answered(self) -> ChatResponse:
        failures = 0
        while True:
            self._check_open()
            try:
                return await self._send_once()
            except RetryableError as error:
                failures += 1
                if error.fate is Fate.UNKNOWN:
                    self._check_doubt(error)
                elif failures >= self._patience(error):
                    await self._give_up(error)
                delay = self.cashier.retry.delay_s(failures, error.retry_after_s, self.cashier.rng)
                await self.cashier.clock.sleep(delay)

    def _patience(self, error: RetryableError) -> int:
        """Tries before giving up: a provider that only asks to wait is waited for longer."""
        tries = self.cashier.retry.max_tries
        return tries * RATE_LIMIT_PATIENCE if error.error_type == "rate_limited" else tries

    def _check_open(self) -> None:
        if self.cashier.open_for(self.model_key):
            return
        raise FatalError(
            f"model {self.model_key!r} is closed for the rest of this run after a fatal error",
            error_type="provider_closed",
            fate=Fate.REFUSED,
        )

    async def _send_once(self) -> ChatResponse:
        cashier = self.cashier
        tokens = estimate_tokens(self.request)
        worst = worst_case_cost(tokens, self.request.max_output_tokens, self.spec.prices)
        reserved = to_nano(worst) or 0
        await cashier.budget.reserve(reserved)
        charged = 0
        try:
            queued = cashier.clock.monotonic()
            turn = cashier.ahead(self.model_key)
            await turn.acquire()
            waiting = True
            try:
                cashier.budget.check(reserved)
                await self._claim(reserved)
                slots = cashier.limiter.slot(
                    self.model_key, tokens + self.request.max_output_tokens
                )
                async with slots as slot, cashier.in_flight:
                    turn.release()
                    waiting = False
                    cashier.note_sent(self.identity)
                    started, began = cashier.clock.now(), cashier.clock.monotonic()
                    response, error = await self._complete()
                    duration = cashier.clock.monotonic() - began
                    self._tell_limiter(slot, response, error)
            finally:
                if waiting:
                    turn.release()
            fault_point("after_call")
            # Whoever waited for this connection sends first; the bookkeeping can be done meanwhile.
            # One turn wakes them, the next is for those who are woken in this very moment.
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            row = attempt_row(
                self.owner,
                self,
                response=response,
                error=error,
                cost_usd=self._charge(response, error, reserved),
                started_at=started,
                duration_s=duration,
                queue_s=began - queued,
            )
            self.rows.append(row)
            charged = to_nano(row["cost_usd"]) or 0
            reserved = cashier.budget.grown(reserved, charged)
            fault_point("before_settle")
            await self._record(response, error, row["cost_usd"], charged)
        finally:
            await cashier.budget.settle(reserved, charged)
        if error is not None:
            raise error
        assert response is not None
        return response

    async def _complete(self) -> tuple[ChatResponse | None, CallError | None]:
        try:
            return await self.cashier.clients[self.model_key].complete(self.request), None
        except CallError as error:
            return None, error

    async def _claim(self, reserved: int) -> None:
        fault_point("before_claim")
        await self.cashier.ledger.write(
            Claim(
                request_id=self.identity,
                run_id=self.cashier.run_id,
                chunk_id=self.owner.chunk_id,
                query_id=self.owner.query.query_id,
                pair_id=self.owner.pair.pair_id,
                call_index=self.index,
                request_key=self.key,
                reserved_nano=reserved,
                at=self.cashier.clock.now(),
            )
        )
        fault_point("after_claim")

    def _tell_limiter(
        self,
        slot: Slot,
        response: ChatResponse | None,
        error: CallError | None,
    ) -> None:
        usage = response.usage if response is not None else error.usage if error else None
        if usage is not None and usage.input_tokens is not None:
            slot.used(usage.input_tokens + (usage.output_tokens or 0))
        elif error is not None and error.fate is Fate.REFUSED:
            slot.used(0)
        if error is not None and error.error_type == "rate_limited":
            self.cashier.limiter.rate_limited(self.model_key, error.retry_after_s)
        elif response is not None:
            self.cashier.limiter.succeeded(self.model_key)

    def _charge(
        self, response: ChatResponse | None, error: CallError | None, reserved: int
    ) -> Decimal | None:
        if reserved and response is not None and response.recorded is None:
            usage = response.usage
            if usage.input_tokens is None or usage.output_tokens is None:
                self.cashier.tell_unmetered(self.model_key)
        return charge_of(response, error, reserved, self.spec.prices)

    async def _record(
        self,
        response: ChatResponse | None,
        error: CallError | None,
        cost: Decimal | None,
        charged: int,
    ) -> None:
        now = self.cashier.clock.now()
        if response is not None or (error is not None and error.fate is Fate.ANSWERED):
            payload = pack(self.rows, response=response, error=error)
            entry: Settlement | Doubt | Refusal | Failure = Settlement(
                self.identity, to_nano(cost), payload, now
            )
        else:
            assert error is not None
            payload = pack(self.rows, error=error)
            if error.fate is Fate.UNKNOWN:
                self.doubts += 1
                entry = Doubt(self.identity, f"{error.error_type}: {error}", payload, now)
            elif isinstance(error, RetryableError):
                entry = Refusal(self.identity, payload, now)
            else:
                entry = Failure(self.identity, payload, now)
                if isinstance(error, FatalError):
                    self.cashier.close(self.model_key, error)
                    # A closed provider can be opened again by a person: leave it claimable.
                    entry = Refusal(self.identity, payload, now)
        await self.cashier.ledger.write(entry)
        self.cashier.on_charge(charged)

    async def _give_up(self, error: CallError) -> None:
        await self.cashier.ledger.write(
            Failure(self.identity, pack(self.rows, error=error), self.cashier.clock.now())
        )
        raise error


def estimate_tokens(request: ChatRequest) -> int:
    """Upper bound of a request's input tokens: a token is never shorter than one UTF-8 byte."""
    text = sum(len(message.content.encode()) + 8 for message in request.messages)
    calls = sum(len(c.arguments) + len(c.name) + 16 for m in request.messages for c in m.tool_calls)
    functions = sum(
        len(f.name) + len(f.description) + len(str(f.parameters)) for f in request.functions
    )
    return text + calls + functions + 8
