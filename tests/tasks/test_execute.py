"""How a pair answers: the conversation each kind of tool leads to."""

from __future__ import annotations

import json

import pytest

from profiles.pool import ModelSpec, Pair, Pool, Prices, ToolSpec
from tasks.call.base import ChatResponse, FunctionSchema, ToolCall, Usage
from tasks.execute import MAX_ROUNDS, TOOL_OUTPUT_LIMIT, execute
from tasks.query import Query
from tasks.tools.base import ToolResult

KINDS = ("none", "recorded", "calculator", "python", "search")
QUERY = Query("q1", "row-1", "What is 6 times 7?", context="Be brief.")


class FakeTool:
    """Answers every call the same way and remembers its arguments."""

    def __init__(self, name, output="42"):
        self.schema = FunctionSchema(name, "does it", {"type": "object"})
        self.output = output


class FakeCalls:
    """Stands for the paying side: answers from a list, runs tools at once."""

    def __init__(self, *responses):
        self.responses = list(responses)
        self.requests = []
        self.tool_runs = []

    async def chat(self, request):
        self.requests.append(request)
        return self.responses.pop(0)

    async def tool(self, tool, tool_key, arguments, tool_call_id):
        self.tool_runs.append((tool_key, arguments, tool_call_id))
        return ToolResult(tool.output)


def says(text, *calls):
    return ChatResponse(text, Usage(1, 1), tool_calls=calls)


def call(name, number=0, **arguments):
    return ToolCall(f"c{number}", name, json.dumps(arguments))


async def run(kind, calls, tool=None):
    tools = {one: ToolSpec(one, one) for one in KINDS}
    spec = ModelSpec("m", "scripted", "model-m", Prices(None, None))
    pool = Pool("p", {"m": spec}, tools, (Pair("m", kind),), "f")
    running = {kind: tool} if tool else {}
    return await execute(QUERY, Pair("m", kind), pool=pool, tools=running, calls=calls, seed=7)


def roles(request):
    return [message.role for message in request.messages]


@pytest.mark.parametrize("kind", ["none", "recorded"])
async def test_without_a_tool_the_first_answer_is_the_answer(kind):
    calls = FakeCalls(says("Answer: 42"))
    execution = await run(kind, calls)

    assert "Answer: 42" == execution.answer
    assert () == calls.requests[0].functions
    assert "Be brief." in calls.requests[0].messages[0].content
    assert 7 == calls.requests[0].seed


async def test_a_function_call_is_run_and_its_result_shown():
    calls = FakeCalls(says("", call("calculator", expression="6*7")), says("Answer: 42"))
    execution = await run("calculator", calls, FakeTool("calculator"))

    assert "Answer: 42" == execution.answer
    assert [("calculator", {"expression": "6*7"}, "c0")] == calls.tool_runs
    assert ["system", "user", "assistant", "tool"] == roles(calls.requests[1])
    assert "42" == calls.requests[1].messages[-1].content


async def test_a_model_may_answer_without_its_tool():
    calls = FakeCalls(says("Answer: 42"))
    await run("search", calls, FakeTool("search"))

    assert [] == calls.tool_runs


async def test_several_calls_of_one_turn_are_all_run_in_order():
    first, second = call("search", 1, query="a"), call("search", 2, query="b")
    calls = FakeCalls(says("", first, second), says("Answer: x"))
    await run("search", calls, FakeTool("search"))

    assert ["c1", "c2"] == [run_[2] for run_ in calls.tool_runs]
    assert ["c1", "c2"] == [m.tool_call_id for m in calls.requests[1].messages[-2:]]


async def test_a_fenced_program_is_run_once_like_a_call():
    calls = FakeCalls(says("```python\nprint(6*7)\n```"), says("```python\ndone\n```"))
    execution = await run("python", calls, FakeTool("python"))

    assert [("python", {"program": "print(6*7)\n"}, "fenced-0")] == calls.tool_runs
    assert "user" == calls.requests[1].messages[-1].role
    assert "```python\ndone\n```" == execution.answer


async def test_a_model_that_never_stops_calling_must_answer_in_the_end():
    endless = [says("", call("search", n, query="again")) for n in range(MAX_ROUNDS + 1)]
    calls = FakeCalls(*endless, says("Answer: enough"))
    execution = await run("search", calls, FakeTool("search"))

    assert ("Answer: enough", MAX_ROUNDS) == (execution.answer, len(calls.tool_runs))
    assert () == calls.requests[-1].functions
    assert "tool" == calls.requests[-1].messages[-1].role


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (ToolCall("c", "calculator", "{not json"), "not valid JSON"),
        (ToolCall("c", "calculator", "[1]"), "must be a JSON object"),
        (ToolCall("c", "calculator", "[" * 200_000), "not valid JSON"),
        (ToolCall("c", "telephone", "{}"), "no function 'telephone'"),
    ],
    ids=["broken-json", "no-object", "too-deep", "unknown-function"],
)
async def test_a_call_that_cannot_be_run_is_told_to_the_model(asked, said):
    calls = FakeCalls(says("", asked), says("Answer: 42"))
    await run("calculator", calls, FakeTool("calculator"))

    assert said in calls.requests[1].messages[-1].content
    assert [] == calls.tool_runs


async def test_a_long_tool_output_is_cut():
    calls = FakeCalls(says("", call("search", query="x")), says("Answer: 42"))
    await run("search", calls, FakeTool("search", "y" * 100_000))

    assert TOOL_OUTPUT_LIMIT == len(calls.requests[1].messages[-1].content)
