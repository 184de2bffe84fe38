"""Running tools: free ones at once, priced ones through the ledger like any paid call."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from tasks.call.attempts import tool_row
from tasks.call.request_key import request_id
from tasks.call.stored import pack_value, unpack_value
from tasks.call.text import storable
from tasks.tools.base import ToolResult
from warehouse.ledger import Claim, Settlement
from warehouse.money import to_nano

if TYPE_CHECKING:
    from tasks.call.paid import PairCalls
    from tasks.tools.base import Tool
    from warehouse.ledger import StoredRequest


async def run_tool(
    owner: PairCalls,
    tool: Tool,
    tool_key: str,
    arguments: Mapping[str, Any],
    tool_call_id: str | None,
    index: int,
) -> ToolResult:
    """Run a tool once and write its attempt; a priced one is claimed before and settled after.

    A priced tool run that was killed half-way is in doubt like a request: it is run once more
    only if the run may resend, and its first charge stays.

    Raises:
        BudgetExhaustedError: the tool's price does not fit the budget.
    """
    if tool.price_per_call_usd == 0:
        return await _timed(owner, tool, tool_key, arguments, tool_call_id, index)
    identity = request_id(
        owner.cashier.run_id, owner.query.query_id, f"{owner.pair.pair_id}#tool", index, owner.round
    )
    stored = owner.stored.get(identity)
    if stored is not None and stored.state == "settled" and stored.payload:
        row, fields = unpack_value(stored.payload)
        owner.attempts.extend([*_doubt_rows(stored, row), row])
        return ToolResult(**fields)
    if stored is not None and stored.state == "in_doubt" and not _may_resend(owner, stored):
        return ToolResult(
            "The tool's earlier answer was lost and it is not paid for again.",
            ok=False,
            error_type="in_doubt",
        )
    return await _pay(owner, tool, tool_key, arguments, tool_call_id, index, identity, stored)


def _may_resend(owner: PairCalls, stored: StoredRequest) -> bool:
    return owner.cashier.resend and stored.doubts < 2


async def _pay(
    owner: PairCalls,
    tool: Tool,
    tool_key: str,
    arguments: Mapping[str, Any],
    tool_call_id: str | None,
    index: int,
    identity: str,
    stored: StoredRequest | None,
) -> ToolResult:
    cashier = owner.cashier
    reserved = to_nano(tool.price_per_call_usd) or 0
    await cashier.budget.reserve(reserved)
    charged = 0
    try:
        text = json.dumps(arguments, sort_keys=True, default=str)
        await cashier.ledger.write(
            Claim(
                request_id=identity,
                run_id=cashier.run_id,
                chunk_id=owner.chunk_id,
                query_id=owner.query.query_id,
                pair_id=owner.pair.pair_id,
                call_index=index,
                request_key=hashlib.sha256(f"{tool_key}\0{text}".encode()).hexdigest(),
                reserved_nano=reserved,
                at=cashier.clock.now(),
            )
        )
        result = await _timed(owner, tool, tool_key, arguments, tool_call_id, index)
        row = owner.attempts[-1]
        row["request_id"] = identity
        if stored is not None and stored.doubts:
            owner.attempts[-1:] = [*_doubt_rows(stored, row), row]
        charged = to_nano(result.cost_usd) or 0
        await cashier.ledger.write(
            Settlement(
                identity,
                to_nano(result.cost_usd),
                pack_value([row, asdict(result)]),
                cashier.clock.now(),
            )
        )
    finally:
        await cashier.budget.settle(reserved, charged)
    cashier.on_charge(charged)
    return result


def _doubt_rows(stored: StoredRequest, row: Mapping[str, Any]) -> list[dict[str, Any]]:
    if not stored.doubts:
        return []
    return [
        {
            **row,
            "attempt_id": f"{row['attempt_id']}.killed",
            "cost_usd": stored.doubt_usd,
            "status": "unknown",
            "charge_kind": "doubt",
            "error_type": "killed",
            "error_class": "retryable",
            "error_message": stored.doubt_reason,
            "output_text": None,
        }
    ]


async def _timed(
    owner: PairCalls,
    tool: Tool,
    tool_key: str,
    arguments: Mapping[str, Any],
    tool_call_id: str | None,
    index: int,
) -> ToolResult:
    clock = owner.cashier.clock
    started, began = clock.now(), clock.monotonic()
    result = await tool.run(arguments)
    if not result.output.isascii():
        result = replace(result, output=storable(result.output))
    if result.cost_usd is None and tool.price_per_call_usd is not None:
        result = _priced(result, tool.price_per_call_usd)
    owner.attempts.append(
        tool_row(
            owner,
            index=index,
            tool_name=tool_key,
            tool_call_id=tool_call_id,
            result=result,
            started_at=started,
            duration_s=clock.monotonic() - began,
        )
    )
    return result


def _priced(result: ToolResult, price: Decimal) -> ToolResult:
    fields = asdict(result)
    fields["cost_usd"] = price
    return ToolResult(**fields)
