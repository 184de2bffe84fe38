from __future__ import annotations

import dataclasses
from collections import OrderedDict
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.call.base import CallOrigin, ChatRequest, FunctionSchema, Message, ToolCall
from tasks.call.request_key import IDENTITY_FIELDS, RUNTIME_FIELDS, request_id, request_key

FUNCTION = FunctionSchema("add", "adds", {"type": "object", "properties": {"a": {}, "b": {}}})
REQUEST = ChatRequest(
    model="m",
    messages=(Message("system", "be brief"), Message("user", "2+2?")),
    max_output_tokens=64,
    origin=CallOrigin("q", "m", "none"),
    functions=(FUNCTION,),
)


def test_every_field_of_a_request_is_either_identity_or_runtime() -> None:
    fields = {field.name for field in dataclasses.fields(ChatRequest)}

    assert fields == IDENTITY_FIELDS | RUNTIME_FIELDS
    assert not IDENTITY_FIELDS & RUNTIME_FIELDS


@pytest.mark.parametrize(
    "change",
    [
        {"model": "n"},
        {"messages": REQUEST.messages[1:]},
        {"messages": REQUEST.messages[::-1]},
        {"messages": (REQUEST.messages[0], Message("user", "2+3?"))},
        {"messages": (REQUEST.messages[0], Message("assistant", "2+2?"))},
        {"messages": (REQUEST.messages[0], Message("user", "2+2?", tool_call_id="c"))},
        {"messages": (REQUEST.messages[0], Message("user", "2+2?", (ToolCall("c", "f", "{}"),)))},
        {"max_output_tokens": 65},
        {"temperature": 0.1},
        {"seed": 0},
        {"functions": ()},
        {"functions": (FunctionSchema("add", "adds numbers", FUNCTION.parameters),)},
    ],
    ids=lambda change: next(iter(change)),
)
def test_every_change_of_what_is_asked_changes_the_key(change: dict[str, object]) -> None:
    assert set(change) <= IDENTITY_FIELDS
    assert request_key(REQUEST) != request_key(dataclasses.replace(REQUEST, **change))


@pytest.mark.parametrize(
    "change",
    [
        {"origin": CallOrigin("other", "m", "python", 3)},
        {"idempotency_key": "k"},
        {"timeout_s": 1.0},
        {"temperature": 0},
        {"temperature": -0.0},
    ],
    ids=str,
)
def test_who_asks_and_how_long_it_may_take_leaves_the_key_alone(change: dict[str, object]) -> None:
    assert request_key(REQUEST) == request_key(dataclasses.replace(REQUEST, **change))


def test_the_key_does_not_depend_on_the_order_or_kind_of_a_schemas_mapping() -> None:
    properties = MappingProxyType(OrderedDict([("b", {}), ("a", {})]))
    function = FunctionSchema("add", "adds", {"properties": properties, "type": "object"})

    same = dataclasses.replace(REQUEST, functions=(function,))

    assert request_key(REQUEST) == request_key(same)


def test_the_key_is_a_known_constant_so_that_ledgers_of_earlier_versions_still_match() -> None:
    expected = "11de2916eb10b9c7ccc5564d4ee4f928f6d97840f5032a3d92dff5fd8ccfd6fb"

    assert expected == request_key(REQUEST)


def test_a_schema_that_is_no_json_is_refused_by_name() -> None:
    broken = dataclasses.replace(REQUEST, functions=(FunctionSchema("f", "", {"a": {1, 2}}),))

    with pytest.raises(TypeError, match="cannot hold a set"):
        request_key(broken)


@given(st.text(st.characters(exclude_categories=())))
def test_any_text_at_all_has_a_key(text: str) -> None:
    request = dataclasses.replace(REQUEST, messages=(Message("user", text),))

    assert len(request_key(request)) == 64


ids = st.tuples(st.text(), st.text(), st.text(), st.integers(0, 9), st.integers(0, 9))


@given(ids, ids)
def test_request_ids_are_equal_exactly_when_all_their_parts_are(
    one: tuple[str, str, str, int, int], other: tuple[str, str, str, int, int]
) -> None:
    assert (one == other) == (request_id(*one) == request_id(*other))
    assert len(request_id(*one)) <= 64
    assert request_id(*one).isascii()


def test_parts_do_not_run_into_each_other() -> None:
    assert request_id("run", "1", "2", 0, 0) != request_id("run", "12", "", 0, 0)
