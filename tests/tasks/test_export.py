from __future__ import annotations

import csv
import json
import random
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.export import FORMATS, batch_line, export
from warehouse.commits import write_file
from warehouse.errors import WarehouseError
from warehouse.query import scan
from warehouse.tables import schema, to_arrow
from warehouse.tables.routing import ANSWER_STATUS

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
AWKWARD = 'a,"b"\r\nc\x00\td\u2028e\x85\\n =1+1 é😀\x1f'


def row(number: int, **changes: Any) -> dict[str, Any]:
    return {
        "run_id": "run",
        "chunk_id": "00000",
        "custom_id": f"c-{number}",
        "query_id": f"q-{number}",
        "row_index": number,
        "answer": f"answer {number}",
        "status": "answered",
        "pair_id": "small@@none",
        "model": "small",
        "tool": "none",
        "attempts": 1,
        "cost_usd": Decimal("0.000123"),
        "doubt_usd": Decimal(0),
        "input_tokens": 10,
        "output_tokens": 2,
        "answered_at": NOW,
    } | changes


def frame(rows: list[dict[str, Any]]) -> pl.LazyFrame:
    data = pl.from_arrow(to_arrow("answers", rows))
    assert isinstance(data, pl.DataFrame)
    return data.lazy()


def read_lines(path: Path) -> list[dict[str, Any]]:
    text = path.read_bytes().decode("utf-8")
    assert text == "" or text.endswith("\n")
    return [json.loads(line) for line in text.splitlines()]


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def custom_ids(path: Path, format_: str) -> list[str]:
    if format_ == "parquet":
        return pq.read_table(path)["custom_id"].to_pylist()
    rows = read_lines(path) if format_ == "openai-jsonl" else read_csv(path)
    return [one["custom_id"] for one in rows]


def test_an_answered_row_is_a_line_of_the_openai_batch_output(tmp_path: Path) -> None:
    target = tmp_path / "out.jsonl"

    report = export(frame([row(7, answer="42", finish_reason="length")]), target, "openai-jsonl")

    assert (target, 1) == report
    assert read_lines(target) == [
        {
            "id": "run-7",
            "custom_id": "c-7",
            "response": {
                "status_code": 200,
                "request_id": "q-7",
                "body": {
                    "id": "chatcmpl-run-7",
                    "object": "chat.completion",
                    "created": int(NOW.timestamp()),
                    "model": "small",
                    "choices": [
                        {
                            "index": 0,
                            "message": {"role": "assistant", "content": "42"},
                            "finish_reason": "length",
                        }
                    ],
                    "usage": {"prompt_tokens": 10, "completion_tokens": 2, "total_tokens": 12},
                },
            },
            "error": None,
        }
    ]


def test_a_failed_row_carries_its_error(tmp_path: Path) -> None:
    failed = row(
        0, status="failed", answer=None, error_type="rate_limited", error_message="too many"
    )

    export(frame([failed]), tmp_path / "out", "openai-jsonl")

    line = read_lines(tmp_path / "out")[0]
    assert line["response"] is None
    assert line["error"] == {"code": "rate_limited", "message": "too many"}


@pytest.mark.parametrize("status", [one for one in ANSWER_STATUS if one != "answered"])
def test_every_unanswered_status_has_a_code_and_a_sentence(status: str) -> None:
    line = batch_line(row(0, status=status, answer=None, error_type=None, error_message=None))

    assert line["error"]["code"] == status
    assert line["error"]["message"].endswith(".")
    assert line["error"]["message"] != "Not answered."


@pytest.mark.parametrize(
    ("given_", "made", "usage"),
    [
        (None, None, None),
        (5, None, {"prompt_tokens": 5, "completion_tokens": None, "total_tokens": None}),
        (0, 0, {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}),
    ],
)
def test_unknown_tokens_are_null_and_never_zero(
    given_: int | None, made: int | None, usage: object
) -> None:
    line = batch_line(row(0, input_tokens=given_, output_tokens=made, finish_reason=None))

    assert usage == line["response"]["body"]["usage"]


@pytest.mark.parametrize("format_", FORMATS)
@pytest.mark.parametrize("batch_rows", [1, 3, 100])
def test_rows_come_in_the_order_of_the_backlog_in_any_batch_size(
    tmp_path: Path, format_: Any, batch_rows: int
) -> None:
    numbers = [3 * number for number in range(20)]
    shuffled = random.Random(4).sample(numbers, len(numbers))

    report = export(
        frame([row(number) for number in shuffled]),
        tmp_path / "out",
        format_,
        batch_rows=batch_rows,
    )

    assert report.rows == 20
    assert [f"c-{number}" for number in numbers] == custom_ids(tmp_path / "out", format_)


@pytest.mark.parametrize("format_", FORMATS)
def test_rows_at_the_same_place_are_neither_lost_nor_doubled(tmp_path: Path, format_: Any) -> None:
    """Several runs in one export have the same positions."""
    rows = [row(number // 5, custom_id=f"c-{number:02}") for number in range(20)]

    export(frame(rows[::-1]), tmp_path / "out", format_, batch_rows=3)

    assert [f"c-{number:02}" for number in range(20)] == custom_ids(tmp_path / "out", format_)


@pytest.mark.parametrize("format_", FORMATS)
def test_no_rows_make_an_empty_file_that_can_be_read(tmp_path: Path, format_: Any) -> None:
    report = export(frame([]), tmp_path / "out", format_)

    assert report.rows == 0
    assert custom_ids(tmp_path / "out", format_) == []


def test_an_empty_csv_still_has_its_header(tmp_path: Path) -> None:
    export(frame([]), tmp_path / "out", "csv")

    header = next(csv.reader([(tmp_path / "out").read_text()]))
    assert schema("answers").names == header


def test_parquet_keeps_the_declared_types(tmp_path: Path) -> None:
    rows = [row(number, answer=AWKWARD) for number in range(5)]

    export(frame(rows), tmp_path / "out.parquet", "parquet", batch_rows=2)

    found = pq.read_table(tmp_path / "out.parquet")
    assert schema("answers") == found.schema
    assert to_arrow("answers", rows).equals(found)


def test_csv_tells_null_from_empty_text_and_keeps_money_exact(tmp_path: Path) -> None:
    rows = [row(0, answer="", custom_id="007"), row(1, answer=None, cost_usd=None)]

    export(
        frame(rows).select("row_index", "custom_id", "answer", "cost_usd"), tmp_path / "o", "csv"
    )

    assert (tmp_path / "o").read_text().splitlines()[1:] == ['0,"007","",0.000123000', '1,"c-1",,']


def test_csv_times_say_that_they_are_utc(tmp_path: Path) -> None:
    export(frame([row(0)]), tmp_path / "out", "csv")

    assert read_csv(tmp_path / "out")[0]["answered_at"] == "2026-11-20T12:00:00.000000Z"


text = st.text(max_size=30) | st.sampled_from(["", AWKWARD, "=cmd()", '"', "\r", "\n", "\x00", ","])


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(text.filter(bool), text), min_size=1, max_size=5))
def test_awkward_text_comes_back_verbatim_from_every_format(
    tmp_path_factory: pytest.TempPathFactory, pairs: list[tuple[str, str]]
) -> None:
    folder = tmp_path_factory.mktemp("export")
    rows = [
        row(n, custom_id=custom_id, answer=answer) for n, (custom_id, answer) in enumerate(pairs)
    ]
    answers = frame(rows)

    export(answers, folder / "jsonl", "openai-jsonl", batch_rows=2)
    export(answers, folder / "csv", "csv", batch_rows=2)
    export(answers, folder / "parquet", "parquet", batch_rows=2)

    lines = read_lines(folder / "jsonl")
    assert pairs == [
        (line["custom_id"], line["response"]["body"]["choices"][0]["message"]["content"])
        for line in lines
    ]
    assert pairs == [(one["custom_id"], one["answer"]) for one in read_csv(folder / "csv")]
    table = pq.read_table(folder / "parquet")
    assert pairs == list(
        zip(table["custom_id"].to_pylist(), table["answer"].to_pylist(), strict=True)
    )


def test_a_line_is_one_line_to_every_reader(tmp_path: Path) -> None:
    export(frame([row(0, answer="a\u2028b\x85c\u2029d\x1ee\x0bf")]), tmp_path / "o", "openai-jsonl")

    assert len((tmp_path / "o").read_text(encoding="utf-8").splitlines()) == 1


def test_an_export_replaces_a_file_whole(tmp_path: Path) -> None:
    target = tmp_path / "out"
    target.write_text("a much longer file than the one that takes its place" * 100)

    export(frame([]), target, "openai-jsonl")

    assert target.read_text() == ""
    assert [target] == list(tmp_path.iterdir())


def test_a_damaged_source_is_a_sentence_and_leaves_the_target_as_it_was(tmp_path: Path) -> None:
    record = write_file(
        tmp_path,
        table="answers",
        run_id="run",
        chunk_id="00000",
        data=to_arrow("answers", [row(0)]),
        code_version="0.1.0",
        now=NOW,
    )
    answers = scan(tmp_path, [record], "answers")
    (tmp_path / record.path).unlink()
    target = tmp_path / "out"
    target.write_text("old")

    with pytest.raises(WarehouseError, match=r"cannot be read.*chunk-00000.parquet"):
        export(answers, target, "csv")

    assert target.read_text() == "old"
    assert {"answers", "out"} == {path.name for path in tmp_path.iterdir()}


@pytest.mark.parametrize("format_", FORMATS)
def test_a_target_that_cannot_be_written_is_a_sentence(tmp_path: Path, format_: Any) -> None:
    for target in (tmp_path / "missing" / "out", tmp_path):
        with pytest.raises(WarehouseError, match="Check the path"):
            export(frame([row(0)]), target, format_)


def test_unknown_formats_and_missing_columns_are_named(tmp_path: Path) -> None:
    with pytest.raises(WarehouseError, match=r"'xlsx'; the formats are openai-jsonl, csv, parquet"):
        export(frame([]), tmp_path / "out", "xlsx")  # type: ignore[arg-type]
    with pytest.raises(WarehouseError, match="lack the columns answered_at"):
        export(frame([]).drop("answered_at"), tmp_path / "out", "openai-jsonl")
