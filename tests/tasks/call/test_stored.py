"""What the ledger keeps of a call comes back as it was, whatever a provider wrote."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from tasks.call.base import ChatResponse, RecordedOutcome, ToolCall, Usage
from tasks.call.errors import Fate, RowError
from tasks.call.stored import pack, pack_value, unpack, unpack_value

ATTEMPT = {
    "attempt_id": "a.1",
    "cost_usd": Decimal("0.000000001"),
    "started_at": datetime(2026, 11, 3, 4, 5, 6, 789, tzinfo=UTC),
    "duration_s": 0.1 + 0.2,
    "queue_s": 1e-9,
    "input_tokens": None,
}


def test_an_answer_comes_back_as_it_was() -> None:
    response = ChatResponse(
        "Añswer: 42 \u2028\0",
        Usage(10, None, 3),
        (ToolCall("c1", "calculator", '{"expression": "6*7"}'),),
        "tool_calls",
        recorded=RecordedOutcome(0.5, Decimal("1E-9")),
    )

    assert (response, None, [ATTEMPT]) == unpack(pack([ATTEMPT], response=response))


def test_an_error_comes_back_as_it_was() -> None:
    error = RowError("no", error_type="refused", fate=Fate.ANSWERED, usage=Usage(1, 2))

    _, found, attempts = unpack(pack([ATTEMPT], error=error))

    assert [ATTEMPT] == attempts
    assert isinstance(found, RowError)
    assert ("no", "refused", Fate.ANSWERED) == (str(found), found.error_type, found.fate)
    assert Usage(1, 2) == found.usage


@pytest.mark.parametrize("odd", ["half a pair: \ud83d", 2**70, -(2**65), [[["deep"]]], {"1": {}}])
def test_odd_values_survive(odd: object) -> None:
    assert {"odd": odd, "cost": Decimal(1)} == unpack_value(
        pack_value({"odd": odd, "cost": Decimal(1)})
    )


def test_what_an_earlier_release_wrote_is_read() -> None:
    earlier = json.dumps(
        {"response": None, "error": None, "attempts": [{"cost_usd": {"$decimal": "0.1"}}]},
        ensure_ascii=True,
    )

    assert [{"cost_usd": Decimal("0.1")}] == unpack(earlier).attempts


def test_what_cannot_be_stored_is_refused() -> None:
    with pytest.raises(TypeError, match="object cannot be stored"):
        pack_value({"thing": object()})
