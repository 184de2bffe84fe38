from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from warehouse.checks import CheckFailed, check_chunk
from warehouse.errors import WarehouseError
from warehouse.tables import schema, to_arrow

NOW = datetime(2026, 11, 20, tzinfo=UTC)
STAMP = {"run_id": "run", "chunk_id": "00000"}
Rows = dict[str, list[dict[str, Any]]]


def query(number: int, **changes: Any) -> dict[str, Any]:
    return {
        **STAMP,
        "query_id": f"q-{number}",
        "custom_id": f"c-{number}",
        "row_index": number,
        "prompt": "1 + 1?",
        "ingested_at": NOW,
    } | changes


def attempt(number: int, cost: str | None = "0.1", **changes: Any) -> dict[str, Any]:
    return {
        **STAMP,
        "attempt_id": f"a-{number}",
        "query_id": f"q-{number}",
        "custom_id": f"c-{number}",
        "step": 0,
        "call_index": 0,
        "attempt_number": 1,
        "pair_id": "small@@none",
        "operation_name": "chat",
        "cost_usd": None if cost is None else Decimal(cost),
        "charge_kind": "settled",
        "status": "ok",
        "started_at": NOW,
    } | changes


def answer(
    number: int, cost: str | None = "0.1", doubt: str | None = "0", **changes: Any
) -> dict[str, Any]:
    return {
        **STAMP,
        "custom_id": f"c-{number}",
        "query_id": f"q-{number}",
        "row_index": number,
        "status": "answered",
        "attempts": 1,
        "cost_usd": None if cost is None else Decimal(cost),
        "doubt_usd": None if doubt is None else Decimal(doubt),
        "answered_at": NOW,
    } | changes


def good() -> Rows:
    """Two asked rows, a duplicate of the first, one skipped; the second was sent twice."""
    return {
        "queries": [query(0), query(1), query(2, query_id="q-0"), query(3)],
        "attempts": [
            attempt(0),
            attempt(1, "0.2", charge_kind="doubt", status="unknown"),
            attempt(1, "0.3", attempt_id="a-1b", attempt_number=2),
        ],
        "answers": [
            answer(0),
            answer(1, "0.3", "0.2", attempts=2),
            answer(2, "0", query_id="q-0", duplicate_of="c-0", attempts=0),
            answer(3, "0", status="skipped_budget", attempts=0),
        ],
    }


def tables(rows: Rows) -> dict[str, pa.Table]:
    return {name: to_arrow(name, listed) for name, listed in rows.items()}


def test_a_chunk_that_adds_up_passes() -> None:
    check_chunk(tables(good()))


def test_an_empty_chunk_passes() -> None:
    check_chunk(tables({"queries": [], "attempts": [], "answers": [], "grades": []}))


def test_tables_that_are_not_there_are_not_compared() -> None:
    check_chunk(tables({"attempts": good()["attempts"]}))


def change(table: str, number: int, **changes: Any) -> Callable[[Rows], None]:
    return lambda rows: rows[table][number].update(changes)


CASES = [
    pytest.param(
        lambda rows: rows["answers"].append(rows["answers"][0]),
        "answers",
        r"several rows have the same \(run_id, custom_id\).*custom_id 'c-0'",
        id="answer twice",
    ),
    pytest.param(
        change("attempts", 1, attempt_id="a-0"),
        "attempts",
        r"several rows have the same \(attempt_id\).*'a-0'",
        id="attempt twice",
    ),
    pytest.param(
        change("answers", 1, status="done"),
        "answers",
        r"'status' holds 'done'; accepted are answered, failed.*row 1 \(custom_id 'c-1'\)",
        id="unknown status",
    ),
    pytest.param(
        change("attempts", 0, charge_kind="gift"),
        "attempts",
        "'charge_kind' holds 'gift'",
        id="unknown charge",
    ),
    pytest.param(
        lambda rows: rows["answers"].pop(3),
        "answers",
        "1 of 4 queries have no row.*custom_id 'c-3'",
        id="lost answer",
    ),
    pytest.param(
        lambda rows: rows["queries"].pop(3),
        "answers",
        "1 rows answer no query.*custom_id 'c-3'",
        id="invented answer",
    ),
    pytest.param(
        change("answers", 0, cost_usd=Decimal(0)),
        "answers",
        r"not what the attempts were charged with.*'q-0' \(answers \$0E-9, attempts \$0.1",
        id="lost money",
    ),
    pytest.param(
        change("answers", 1, doubt_usd=Decimal(0)),
        "answers",
        "charged with.*'q-1'",
        id="forgotten doubt",
    ),
    pytest.param(
        change("answers", 2, cost_usd=Decimal("0.1")),
        "answers",
        "charged with.*'q-0'",
        id="duplicate charged too",
    ),
    pytest.param(
        change("attempts", 0, cost_usd=None),
        "answers",
        "'q-0'.*attempts an unknown price",
        id="unknown price told as known",
    ),
    pytest.param(
        change("answers", 0, cost_usd=None),
        "answers",
        "'q-0'.*answers an unknown price",
        id="known price told as unknown",
    ),
    pytest.param(
        lambda rows: rows["attempts"].append(attempt(9, "0")),
        "answers",
        "charged with.*'q-9'",
        id="attempt of nobody",
    ),
    pytest.param(
        change("answers", 0, run_id="other"), "queries", "rows of several run_ids", id="two runs"
    ),
    pytest.param(
        change("attempts", 0, chunk_id="9"), "queries", "rows of several chunk_ids", id="two chunks"
    ),
]


@pytest.mark.parametrize(("spoil", "table", "words"), CASES)
def test_contradictions_name_table_rows_and_what_to_do(
    spoil: Callable[[Rows], None], table: str, words: str
) -> None:
    rows = good()
    spoil(rows)

    with pytest.raises(CheckFailed, match=words) as caught:
        check_chunk(tables(rows))

    assert table == caught.value.table
    assert caught.value.ids
    assert "the same command works this chunk again" in str(caught.value)


def test_an_unknown_price_goes_through_when_both_sides_say_so() -> None:
    rows = good()
    rows["attempts"][0]["cost_usd"] = None
    rows["answers"][0]["cost_usd"] = None

    check_chunk(tables(rows))


def test_a_null_in_a_required_column_is_found_even_past_the_conversion() -> None:
    data = to_arrow("answers", good()["answers"])
    number = data.schema.get_field_index("status")
    nulls = pa.array([None, "answered", "answered", "answered"], pa.string())
    spoilt = data.set_column(number, pa.field("status", pa.string()), nulls)

    with pytest.raises(CheckFailed, match=r"'status' is null.*row 0 \(custom_id 'c-0'\)"):
        check_chunk({"answers": spoilt})


def test_a_missing_column_is_found() -> None:
    data = to_arrow("answers", []).drop_columns(["answer"])

    with pytest.raises(CheckFailed, match="column 'answer' is missing"):
        check_chunk({"answers": data})


def test_an_unknown_table_is_an_error() -> None:
    with pytest.raises(WarehouseError, match="no table 'replies'"):
        check_chunk({"replies": schema("answers").empty_table()})


def test_many_bad_rows_are_counted_but_only_some_are_shown() -> None:
    rows = [query(number) for number in range(20)]

    with pytest.raises(CheckFailed, match=r"20 of 20 queries.*'c-4', \.\.\.") as caught:
        check_chunk(tables({"queries": rows, "answers": []}))

    assert len(caught.value.ids) == 20


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.lists(st.decimals(0, 10, places=13).map(Decimal), min_size=1, max_size=6), max_size=6
    )
)
def test_rounding_alone_never_fails_a_chunk(charges: list[list[Decimal]]) -> None:
    """Attempts are rounded one by one and an answer's sum once."""
    rows: Rows = {"attempts": [], "answers": []}
    for number, amounts in enumerate(charges):
        rows["attempts"] += [
            attempt(number, str(amount), attempt_id=f"{number}.{place}")
            for place, amount in enumerate(amounts)
        ]
        rows["answers"].append(answer(number, str(sum(amounts))))

    check_chunk(tables(rows))


def test_a_full_chunk_is_checked_in_milliseconds() -> None:
    numbers = range(500)
    chunk = tables(
        {
            "queries": [query(number) for number in numbers],
            "attempts": [attempt(number) for number in numbers],
            "answers": [answer(number) for number in numbers],
        }
    )

    began = time.process_time()
    check_chunk(chunk)

    assert time.process_time() - began < 0.25
