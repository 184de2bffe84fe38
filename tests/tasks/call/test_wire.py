from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.call.base import (
    CallOrigin,
    ChatRequest,
    ChatResponse,
    FunctionSchema,
    Message,
    ToolCall,
    Usage,
)
from tasks.call.classify import Asked
from tasks.call.errors import CallError, Fate
from tasks.call.wire import parse_completion, request_body
from tasks.call.wire_server import BadBody, completion_body, parse_request

ASKED = Asked("small", "small-7b", "http://host/v1/chat/completions", "KEY", ("hunter2",))
ORIGIN = CallOrigin("", "small-7b", "none")
REQUEST = ChatRequest("small-7b", (Message("user", "2+2?"),), 64, ORIGIN)

texts = st.text(st.characters(exclude_categories=()), max_size=30)
whole_texts = st.text(max_size=30)
"""Without halves of surrogate pairs, which an answer may bring but not keep."""
names = st.text(min_size=1, max_size=10)
calls = st.lists(st.builds(ToolCall, names, names, texts), max_size=3).map(tuple)
schemas = st.dictionaries(texts, st.integers() | texts | st.booleans(), max_size=3)
messages = st.builds(
    Message,
    st.sampled_from(["system", "user", "assistant", "tool"]),
    texts,
    calls,
    st.none() | names,
)
requests = st.builds(
    ChatRequest,
    model=st.just("small-7b"),
    messages=st.lists(messages, min_size=1, max_size=4).map(tuple),
    max_output_tokens=st.integers(1, 10**6),
    origin=st.just(ORIGIN),
    temperature=st.floats(0, 2),
    seed=st.none() | st.integers(0, 2**63),
    functions=st.lists(st.builds(FunctionSchema, names, texts, schemas), max_size=2).map(tuple),
)
counts = st.none() | st.integers(0, 10**9)
usages = st.builds(Usage, counts, counts, counts, counts).filter(
    lambda usage: usage.input_tokens is not None or usage.output_tokens is not None
)
responses = st.builds(
    ChatResponse,
    text=whole_texts.filter(str.strip),
    usage=usages | st.just(Usage(None, None)),
    tool_calls=st.lists(st.builds(ToolCall, names, names, whole_texts), max_size=3).map(tuple),
    finish_reason=st.sampled_from(["stop", "length", "tool_calls"]),
    response_model=names,
    response_id=whole_texts,
    http_status=st.just(200),
)


@given(requests)
def test_a_request_comes_out_of_the_wire_as_it_went_in(request: ChatRequest) -> None:
    body = json.loads(json.dumps(request_body(request)).encode())

    assert request == parse_request(body)


@given(responses)
def test_a_response_comes_out_of_the_wire_as_it_went_in(response: ChatResponse) -> None:
    body = json.dumps(completion_body(response, "small-7b")).encode()

    assert response == parse_completion(body, ASKED)


def test_a_body_asks_for_no_stream_and_leaves_out_what_was_not_asked() -> None:
    expected = {
        "model": "small-7b",
        "messages": [{"role": "user", "content": "2+2?"}],
        "max_tokens": 64,
        "temperature": 0.0,
        "stream": False,
    }

    assert expected == request_body(REQUEST)


def test_a_body_carries_functions_calls_and_results() -> None:
    request = dataclasses.replace(
        REQUEST,
        seed=3,
        functions=(FunctionSchema("add", "adds", {"type": "object"}),),
        messages=(
            Message("assistant", "", (ToolCall("c1", "add", '{"a":1}'),)),
            Message("tool", "2", tool_call_id="c1"),
        ),
    )

    body = request_body(request, max_tokens_name="max_completion_tokens")

    function = {"name": "add", "description": "adds", "parameters": {"type": "object"}}
    call = {"id": "c1", "type": "function", "function": {"name": "add", "arguments": '{"a":1}'}}
    assert [{"type": "function", "function": function}] == body["tools"]
    assert body["messages"] == [
        {"role": "assistant", "content": "", "tool_calls": [call]},
        {"role": "tool", "content": "2", "tool_call_id": "c1"},
    ]
    assert (body["max_completion_tokens"], body["seed"]) == (64, 3)
    assert "max_tokens" not in body


def test_the_pools_parameters_win_and_null_leaves_a_field_out() -> None:
    body = request_body(REQUEST, parameters={"top_p": 0.9, "temperature": None})

    assert body["top_p"] == 0.9
    assert "temperature" not in body


def completion(**changes: Any) -> dict[str, Any]:
    message = {"role": "assistant", "content": "4"}
    body: dict[str, Any] = {
        "id": "r1",
        "model": "small-7b-2026",
        "choices": [{"message": message, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 7, "completion_tokens": 1},
    }
    return body | changes


def choice(content: object = None, finish_reason: str = "stop", **message: Any) -> dict[str, Any]:
    return {"message": {"content": content, **message}, "finish_reason": finish_reason}


def failure(body: bytes | dict[str, Any]) -> CallError:
    with pytest.raises(CallError) as caught:
        parse_completion(body, ASKED)
    return caught.value


@pytest.mark.parametrize(
    ("choices", "error_type"),
    [
        pytest.param([], "empty_choices", id="empty-list"),
        pytest.param(None, "empty_choices", id="null"),
        pytest.param([{}], "empty_answer", id="choice-without-message"),
        pytest.param([{"message": None}], "empty_answer", id="null-message"),
        pytest.param([choice(None)], "empty_answer", id="null-content"),
        pytest.param([choice(" \n")], "empty_answer", id="blank-content"),
        pytest.param([choice(None, tool_calls=[])], "empty_answer", id="no-calls-either"),
        pytest.param([choice("x", "content_filter")], "refused_by_provider", id="filtered"),
        pytest.param([choice(None, refusal="I can't")], "refused_by_provider", id="refusal"),
    ],
)
def test_an_answer_of_no_use_is_charged_and_ends_the_row(choices: Any, error_type: str) -> None:
    error = failure(completion(choices=choices))

    assert (error_type, "row", Fate.ANSWERED) == (error.error_type, error.error_class, error.fate)
    assert Usage(7, 1) == error.usage


@pytest.mark.parametrize("spelled", [b"\\ud83d", b"\\uDE00", b"\xed\xa0\xbd"])
def test_half_of_a_surrogate_pair_becomes_a_character_that_can_be_stored(spelled: bytes) -> None:
    body = json.dumps(
        {
            "id": "HALF",
            "model": "HALF",
            "choices": [
                {
                    "message": {
                        "content": "cut \U0001f600 HALF",
                        "tool_calls": [
                            {"id": "HALF", "function": {"name": "f", "arguments": "HALF"}}
                        ],
                    }
                }
            ],
        }
    ).encode()

    response = parse_completion(body.replace(b"HALF", spelled), ASKED)

    half = "\ufffd"
    assert f"cut \U0001f600 {half}" == response.text
    assert (half, half) == (response.response_id, response.response_model)
    assert (ToolCall(half, "f", half),) == response.tool_calls


def test_half_of_a_surrogate_pair_in_an_error_can_be_stored() -> None:
    body = b'{"error": {"message": "cut \\ud83d here"}}'

    with pytest.raises(CallError, match="cut \ufffd here"):
        parse_completion(body, ASKED)


def test_an_answer_cut_by_the_limit_says_what_to_raise() -> None:
    error = failure(completion(choices=[choice("", "length")]))

    assert "raise max_output_tokens" in str(error)


@pytest.mark.parametrize(
    ("body", "error_type"),
    [
        pytest.param(b"", "truncated_body", id="nothing"),
        pytest.param(b'{"id": "r1", "choices": [{"mess', "truncated_body", id="cut-in-a-string"),
        pytest.param(b'{"id": {"a": 1}', "truncated_body", id="cut-after-a-brace"),
        pytest.param(json.dumps(completion())[:-1].encode(), "truncated_body", id="one-byte-short"),
        pytest.param(b'}"id": 1}', "malformed_body", id="no-json"),
        pytest.param(b"upstream says hi", "malformed_body", id="text"),
        pytest.param(b'{"a": "\xff"}', "malformed_body", id="bad-utf-8"),
        pytest.param(b"[1, 2]", "malformed_body", id="a-list"),
        pytest.param(b"{}", "malformed_body", id="no-choices"),
        pytest.param(b'{"choices": {"a": 1}}', "malformed_body", id="choices-are-an-object"),
        pytest.param(b'{"choices": ["a"]}', "malformed_body", id="choices-are-text"),
        pytest.param(b'{"a":' * 100_000, "truncated_body", id="nested-without-end"),
    ],
)
def test_a_body_that_cannot_be_read_may_have_been_charged(body: bytes, error_type: str) -> None:
    error = failure(body)

    assert (error_type, "retryable") == (error.error_type, error.error_class)
    assert Fate.UNKNOWN is error.fate


@given(st.integers(1, 200))
def test_every_proper_beginning_of_an_answer_is_known_as_cut(length: int) -> None:
    whole = json.dumps(completion()).encode()

    assert failure(whole[: min(length, len(whole) - 1)]).error_type == "truncated_body"


def test_an_error_under_status_200_is_read_by_its_own_code() -> None:
    limited = failure({"error": {"code": 429, "message": "slow down"}})
    vague = failure({"error": {"message": "provider hiccup, key hunter2"}})

    assert (limited.error_type, limited.fate) == ("rate_limited", Fate.REFUSED)
    assert (vague.error_type, vague.fate) == ("server_error", Fate.UNKNOWN)
    assert "provider hiccup" in str(vague)
    assert "hunter2" not in str(vague)


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        pytest.param(None, Usage(None, None), id="missing"),
        pytest.param("many", Usage(None, None), id="text"),
        pytest.param({"prompt_tokens": -1, "completion_tokens": True}, Usage(None, None), id="bad"),
        pytest.param({"prompt_tokens": float("nan")}, Usage(None, None), id="nan"),
        pytest.param({"prompt_tokens": 10**18}, Usage(None, None), id="absurd"),
        pytest.param({"prompt_tokens": 5.0}, Usage(5, None), id="half-known"),
        pytest.param(
            {
                "prompt_tokens": 9,
                "completion_tokens": 8,
                "prompt_tokens_details": {"cached_tokens": 4},
                "completion_tokens_details": {"reasoning_tokens": 7},
            },
            Usage(9, 8, 4, 7),
            id="details",
        ),
        pytest.param(
            {"prompt_tokens": 9, "completion_tokens": 8, "prompt_tokens_details": None},
            Usage(9, 8),
            id="null-details",
        ),
    ],
)
def test_tokens_that_are_not_told_are_unknown_never_zero(usage: Any, expected: Usage) -> None:
    assert expected == parse_completion(completion(usage=usage), ASKED).usage


def test_contents_in_parts_and_arguments_as_objects_are_understood() -> None:
    function = {"name": "add", "arguments": {"a": 1}}
    parts = [{"type": "text", "text": "fo"}, {"type": "image"}, {"type": "text", "text": "ur"}]
    body = completion(choices=[choice(parts, tool_calls=[{"function": function}, {}, None])])

    response = parse_completion(body, ASKED)

    assert response.text == "four"
    assert response.tool_calls == (ToolCall("call_0", "add", '{"a": 1}'),)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        pytest.param([], "JSON object", id="a-list"),
        pytest.param({}, "model", id="no-model"),
        pytest.param({"model": 3}, "model", id="model-is-a-number"),
        pytest.param({"model": "m"}, "messages", id="no-messages"),
        pytest.param({"model": "m", "messages": []}, "messages", id="empty-messages"),
        pytest.param({"model": "m", "messages": ["hi"]}, r"messages\[0\]", id="text-message"),
        pytest.param({"model": "m", "messages": [{"role": "king"}]}, "role", id="unknown-role"),
        pytest.param(
            {"model": "m", "messages": [{"role": "user", "content": 3}]}, "content", id="content"
        ),
    ],
)
def test_a_request_that_makes_no_sense_is_refused_by_the_name_of_the_field(
    body: object, field: str
) -> None:
    with pytest.raises(BadBody, match=field):
        parse_request(body)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"stream": True}, "stream"),
        ({"n": 2}, "n:"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": "9"}, "max_tokens"),
        ({"temperature": "hot"}, "temperature"),
        ({"seed": 1.5}, "seed"),
        ({"tools": {}}, "tools"),
        ({"tools": [{"function": {}}]}, r"tools\[0\]\.function\.name"),
        ({"tools": [3]}, r"tools\[0\]\.function"),
    ],
    ids=str,
)
def test_a_field_out_of_its_range_is_refused_by_name(change: dict[str, Any], field: str) -> None:
    with pytest.raises(BadBody, match=field):
        parse_request(request_body(REQUEST) | change)
