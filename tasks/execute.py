"""How a pair answers one query.

=============  =====================================================================
tool           conversation
=============  =====================================================================
none           question → answer
recorded       question → answer (the tool ran when the table was recorded)
calculator     question → function call → result → … → answer
python         question → program → output or error → … → answer
search         question → query → snippets → … → answer
=============  =====================================================================

The last three are one loop: the model may call the one function it is offered up to `MAX_ROUNDS`
times, then must answer. A model that writes its program as a fenced block instead of calling the
function is understood too. Every model call is claimed, settled and written as an attempt by
`tasks.call.paid`; every tool run is an attempt as well.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from profiles.prompts import tool_prompt
from tasks.call.base import CallOrigin, ChatRequest, ChatResponse, FunctionSchema, Message, ToolCall
from tasks.tools.base import Tool, ToolResult

if TYPE_CHECKING:
    from profiles.pool import Pair, Pool
    from tasks.call.paid import PairCalls
    from tasks.query import Query

MAX_ROUNDS = 4
"""Tool rounds before a model must answer without the tool."""
TOOL_OUTPUT_LIMIT = 8_000
"""Characters of a tool's output that a model is shown."""

_PLAIN_KINDS = ("none", "recorded")
_FENCED_PROGRAM = re.compile(r"```(?:python|py)\s*\n(.*?)```", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Execution:
    """What a pair made of a query."""

    answer: str
    response: ChatResponse
    """The last response: its text is the answer."""


async def execute(
    query: Query,
    pair: Pair,
    *,
    pool: Pool,
    tools: Mapping[str, Tool],
    calls: PairCalls,
    seed: int,
) -> Execution:
    """Let `pair` answer `query`.

    Args:
        query: what to answer.
        pair: the model and the tool.
        pool: where both are specified.
        tools: running tools by pool key; `none` and `recorded` kinds need no entry.
        calls: pays for the calls and collects their attempts.
        seed: sent to the provider and recorded.

    Raises:
        CallError: the model's answer is not to be had.
        BudgetExhaustedError: a call did not fit the budget.
    """
    kind = pool.tools[pair.tool].kind
    conversation = _Conversation(query, pair, pool, calls, seed)
    if kind in _PLAIN_KINDS:
        response = await conversation.ask()
        return Execution(response.text, response)
    tool = tools[pair.tool]
    response = await conversation.ask((tool.schema,))
    for _ in range(MAX_ROUNDS):
        wanted = _wanted_calls(response, kind, tool, conversation.rounds)
        if not wanted:
            return Execution(response.text, response)
        await conversation.run_tool(tool, response, wanted)
        response = await conversation.ask((tool.schema,))
    if response.tool_calls:
        conversation.refuse_more(response)
        response = await conversation.ask()
    return Execution(response.text, response)


class _Conversation:
    """Messages of one execution, growing."""

    def __init__(self, query: Query, pair: Pair, pool: Pool, calls: PairCalls, seed: int) -> None:
        system = [tool_prompt(pool.tools[pair.tool])]
        if query.context:
            system.append(query.context)
        self._query = query
        self._pair = pair
        self._spec = pool.models[pair.model]
        self._calls = calls
        self._seed = seed
        self._messages = [
            Message("system", "\n\n".join(system)),
            Message("user", query.prompt),
        ]
        self.rounds = 0

    async def ask(self, functions: tuple[FunctionSchema, ...] = ()) -> ChatResponse:
        return await self._calls.chat(
            ChatRequest(
                model=self._spec.name,
                messages=tuple(self._messages),
                max_output_tokens=self._spec.limits.max_output_tokens,
                origin=CallOrigin(self._query.query_id, self._pair.model, self._pair.tool),
                temperature=float(self._spec.parameters.get("temperature", 0.0)),
                seed=self._seed,
                functions=functions,
                timeout_s=self._spec.limits.timeout_s,
            )
        )

    async def run_tool(
        self, tool: Tool, response: ChatResponse, wanted: tuple[ToolCall, ...]
    ) -> None:
        """Run every call of one response; the results become messages."""
        self.rounds += 1
        called = bool(response.tool_calls)
        self._messages.append(
            Message("assistant", response.text, tool_calls=wanted if called else ())
        )
        for call in wanted:
            result = await self._run(tool, call)
            shown = result.output[:TOOL_OUTPUT_LIMIT]
            if called:
                self._messages.append(Message("tool", shown, tool_call_id=call.id))
            else:
                self._messages.append(Message("user", f"Output of your program:\n{shown}"))

    async def _run(self, tool: Tool, call: ToolCall) -> ToolResult:
        if call.name != tool.schema.name:
            return _not_run(
                "unknown_function",
                f"There is no function {call.name!r}; call {tool.schema.name!r}.",
            )
        try:
            arguments: Any = json.loads(call.arguments or "{}")
        except (ValueError, RecursionError) as error:
            return _not_run("bad_arguments", f"The arguments are not valid JSON: {error}.")
        if not isinstance(arguments, dict):
            return _not_run("bad_arguments", "The arguments must be a JSON object.")
        return await self._calls.tool(tool, self._pair.tool, arguments, call.id)

    def refuse_more(self, response: ChatResponse) -> None:
        """Answer pending calls with a refusal, so that the conversation stays well-formed."""
        self._messages.append(Message("assistant", response.text, tool_calls=response.tool_calls))
        for call in response.tool_calls:
            self._messages.append(
                Message("tool", "No more calls: answer now.", tool_call_id=call.id)
            )


def _wanted_calls(
    response: ChatResponse, kind: str, tool: Tool, rounds: int
) -> tuple[ToolCall, ...]:
    if response.tool_calls:
        return response.tool_calls
    if kind != "python" or rounds:
        return ()
    program = _FENCED_PROGRAM.search(response.text)
    if program is None:
        return ()
    arguments = json.dumps({"program": program.group(1)})
    return (ToolCall("fenced-0", tool.schema.name, arguments),)


def _not_run(error_type: str, output: str) -> ToolResult:
    return ToolResult(output, ok=False, error_type=error_type, error_cause=output)
