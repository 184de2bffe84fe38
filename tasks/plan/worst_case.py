"""What calls may cost at most: what the engine sets aside before it sends them.

A reservation counts every UTF-8 byte of the messages as an input token and every allowed output
token as written (`tasks.call.paid.estimate_tokens`, `profiles.prices.worst_case_cost`). A pair
with a tool makes up to `MAX_ROUNDS` + 2 calls, each of which carries what came before: of a
model's own words four bytes a token are counted, of a tool's output as much as is ever shown.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, NamedTuple

from profiles.prices import call_cost, worst_case_cost
from profiles.prompts import tool_prompt
from tasks.call.base import CallOrigin, ChatRequest, Message
from tasks.call.paid import estimate_tokens
from tasks.execute import MAX_ROUNDS, TOOL_OUTPUT_LIMIT
from tasks.report.facts import Range

if TYPE_CHECKING:
    from profiles.pool import Pair, Pool, ToolSpec
    from tasks.call.base import FunctionSchema
    from tasks.query import Query

PLAIN_KINDS = ("none", "recorded")
"""Kinds of tools whose pairs make one call a question."""
BYTES_A_TOKEN = 4
"""Of running text; what a text's length says of its tokens before a model has counted them."""


@dataclass(slots=True)
class Texts:
    """First calls of the rows of one pair: how many, their bytes in all, the longest."""

    rows: int = 0
    size: int = 0
    longest: int = 0

    def add(self, size: int) -> None:
        """Count one first call of so many bytes."""
        self.rows += 1
        self.size += size
        self.longest = max(self.longest, size)


class Bounds(NamedTuple):
    """What a pair's rows may cost.

    Attributes:
        total_usd: if every row used all it may; None where a price is unknown.
        first_call_usd: the largest sum set aside for a first call; None likewise.
        reservation_usd: the largest sum that any of its calls could need; None likewise.
        cost_usd: `total_usd` as expected and high; low is the text alone at four bytes a token,
            asked once, with nothing answered.
        input_tokens, output_tokens: the tokens behind these.
    """

    total_usd: Decimal | None
    first_call_usd: Decimal | None
    reservation_usd: Decimal | None
    cost_usd: Range
    input_tokens: Range
    output_tokens: Range


def first_call_bytes(query: Query, tool: ToolSpec) -> int:
    """Size of the first request that a pair with this tool sends for the query."""
    system = [tool_prompt(tool)]
    if query.context:
        system.append(query.context)
    schema = _schema(tool.kind)
    return estimate_tokens(
        ChatRequest(
            model="",
            messages=(Message("system", "\n\n".join(system)), Message("user", query.prompt)),
            max_output_tokens=0,
            origin=CallOrigin("", "", ""),
            functions=() if schema is None else (schema,),
        )
    )


def bounds(pair: Pair, pool: Pool, texts: Texts) -> Bounds:
    """What the rows of one pair may cost at most, fallbacks and retries left out."""
    spec, tool = pool.models[pair.model], pool.tools[pair.tool]
    allowed = spec.limits.max_output_tokens
    calls = 1 if tool.kind in PLAIN_KINDS else MAX_ROUNDS + 2
    carried = allowed * BYTES_A_TOKEN + TOOL_OUTPUT_LIMIT
    growth = carried * calls * (calls - 1) // 2
    most_input = calls * texts.size + texts.rows * growth
    most_output = calls * texts.rows * allowed
    least_input = texts.size // BYTES_A_TOKEN
    total = worst_case_cost(most_input, most_output, spec.prices)
    largest = worst_case_cost(texts.longest + (calls - 1) * carried, allowed, spec.prices)
    price = tool.price_per_call_usd
    if calls > 1 and price != 0:
        total = None if price is None or total is None else total + texts.rows * MAX_ROUNDS * price
        largest = None if price is None or largest is None else max(largest, price)
    low = call_cost(least_input, 0, None, spec.prices)
    return Bounds(
        total,
        worst_case_cost(texts.longest, allowed, spec.prices),
        largest,
        Range(None, None, None) if total is None else Range(low, total, total),
        Range(least_input, most_input, most_input),
        Range(0, most_output, most_output),
    )


def _schema(kind: str) -> FunctionSchema | None:
    if kind == "calculator":
        from tasks.tools.calculator import SCHEMA as CALCULATOR

        return CALCULATOR
    if kind == "python":
        from tasks.tools.python_tool import SCHEMA as PYTHON

        return PYTHON
    if kind == "search":
        from tasks.tools.search import SCHEMA as SEARCH

        return SEARCH
    return None
