"""Rows of the `attempts` table: one for every provider or tool call, whatever became of it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Protocol

from profiles.prompts import text_version, tool_prompt
from tasks.call.errors import Fate

if TYPE_CHECKING:
    from profiles.pool import ModelSpec
    from tasks.call.base import ChatRequest, ChatResponse
    from tasks.call.errors import CallError
    from tasks.call.paid import PairCalls
    from tasks.tools.base import ToolResult
    from warehouse.ledger import StoredRequest


PRICE_ID = 12
"""Digits of the pool's fingerprint that say which price list an attempt was charged by."""


class CallInfo(Protocol):
    """What a row needs to know of the call it belongs to."""

    identity: str
    key: str
    index: int
    spec: ModelSpec
    request: ChatRequest
    rows: list[dict[str, Any]]


def _base(owner: PairCalls, attempt_id: str, index: int) -> dict[str, Any]:
    return {
        "attempt_id": attempt_id,
        "run_id": owner.cashier.run_id,
        "chunk_id": owner.chunk_id,
        "query_id": owner.query.query_id,
        "custom_id": owner.query.custom_id,
        "step": 0,
        "pair_id": owner.pair.pair_id,
        "call_index": index,
    }


def attempt_row(
    owner: PairCalls,
    call: CallInfo,
    *,
    response: ChatResponse | None,
    error: CallError | None,
    cost_usd: Decimal | None,
    started_at: datetime,
    duration_s: float,
    queue_s: float,
) -> dict[str, Any]:
    """Row of one request that was sent: its tokens, money and time, or its error."""
    number = len(call.rows) + 1
    usage = response.usage if response is not None else error.usage if error else None
    row = _base(owner, f"{call.identity}.{number}", call.index)
    row |= {
        "attempt_number": number,
        "request_id": call.identity,
        "request_key": call.key,
        "request_model": call.spec.name,
        "provider_name": call.spec.provider,
        "operation_name": "chat",
        "cost_usd": cost_usd,
        "price_id": owner.cashier.pool.fingerprint[:PRICE_ID],
        "prompt_template_sha": _prompt_of(owner),
        "billing_mode": "standard",
        "status": "ok",
        "charge_kind": "settled",
        "started_at": started_at,
        "duration_s": duration_s,
        "queue_s": queue_s,
        "params_json": _parameters(
            call.request.temperature, call.request.seed, call.request.max_output_tokens
        ),
    }
    if usage is not None:
        row |= {
            "input_tokens": usage.input_tokens,
            "output_tokens": usage.output_tokens,
            "cache_read_input_tokens": usage.cached_input_tokens,
            "reasoning_output_tokens": usage.reasoning_output_tokens,
        }
    if response is not None:
        row |= {
            "response_model": response.response_model or call.spec.name,
            "response_id": response.response_id,
            "finish_reason": response.finish_reason,
            "http_status_code": response.http_status,
            "output_text": response.text or _calls_as_text(response),
        }
    if error is not None:
        row |= _error_fields(error)
    return row


@lru_cache(maxsize=256)
def _parameters(temperature: float, seed: int | None, max_output_tokens: int) -> str:
    return json.dumps(
        {"temperature": temperature, "seed": seed, "max_output_tokens": max_output_tokens}
    )


def _prompt_of(owner: PairCalls) -> str | None:
    """Version of the instructions the pair was given; None for a judge, which has a template."""
    tool = owner.cashier.pool.tools.get(owner.pair.tool)
    return None if tool is None else text_version(tool_prompt(tool))


def _calls_as_text(response: ChatResponse) -> str:
    return "\n".join(f"{call.name}({call.arguments})" for call in response.tool_calls)


def _error_fields(error: CallError) -> dict[str, Any]:
    kinds = {Fate.REFUSED: "free", Fate.UNKNOWN: "doubt", Fate.ANSWERED: "settled"}
    return {
        "status": "unknown" if error.fate is Fate.UNKNOWN else "error",
        "charge_kind": kinds[error.fate],
        "error_type": error.error_type,
        "error_class": error.error_class,
        "error_message": str(error)[:500],
        "http_status_code": error.http_status,
        "retry_after_s": error.retry_after_s,
    }


def orphan_rows(
    owner: PairCalls,
    call: CallInfo,
    stored: StoredRequest,
    known: Sequence[Mapping[str, Any]],
) -> list[dict[str, Any]]:
    """Rows of sends that nobody lived to write down: the run was killed while they were out.

    The ledger counts every doubt; those without a row of their own get one here, with the charge
    that the ledger kept for them.
    """
    written = [row for row in known if row["charge_kind"] == "doubt"]
    missing = stored.doubts - len(written)
    if missing <= 0:
        return []
    kept = stored.doubt_usd - sum((row["cost_usd"] or Decimal(0) for row in written), Decimal(0))
    rows = []
    for extra in range(missing):
        number = len(known) + extra + 1
        row = _base(owner, f"{call.identity}.{number}", call.index)
        row |= {
            "attempt_number": number,
            "request_id": call.identity,
            "request_model": call.spec.name,
            "provider_name": call.spec.provider,
            "operation_name": "chat",
            # One amount was kept for all of them together.
            "cost_usd": kept if extra == 0 else Decimal(0),
            "billing_mode": "standard",
            "status": "unknown",
            "charge_kind": "doubt",
            "error_type": "killed",
            "error_class": "retryable",
            "error_message": stored.doubt_reason,
        }
        rows.append(row)
    return rows


def tool_row(
    owner: PairCalls,
    *,
    index: int,
    tool_name: str,
    tool_call_id: str | None,
    result: ToolResult,
    started_at: datetime,
    duration_s: float,
) -> dict[str, Any]:
    """Row of one tool run."""
    row = _base(
        owner, f"{owner.query.query_id}.{owner.pair.pair_id}.r{owner.round}.t{index}", index
    )
    row |= {
        "attempt_number": 1,
        "provider_name": "atlas",
        "operation_name": "execute_tool",
        "tool_name": tool_name,
        "tool_call_id": tool_call_id,
        "tool_exit_code": result.exit_code,
        "tool_tier": result.tier,
        "tool_ok": result.ok,
        "tool_error_where": result.error_where,
        "tool_error_cause": result.error_cause,
        "cost_usd": result.cost_usd,
        "billing_mode": "local" if result.cost_usd == 0 else "standard",
        "status": "ok" if result.ok else "error",
        "charge_kind": "free" if result.cost_usd == 0 else "settled",
        "error_type": result.error_type,
        "error_class": None if result.ok else "row",
        "error_message": None if result.ok else result.output[:500],
        "output_text": result.output,
        "started_at": started_at,
        "duration_s": duration_s,
        "queue_s": 0.0,
    }
    return row
