from __future__ import annotations

import os
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from warehouse.commits import CommitRecord, write_file
from warehouse.errors import WarehouseError
from warehouse.ledger import ChunkCounts, open_ledger
from warehouse.query import (
    answers,
    attempts,
    errors,
    pair_mix,
    polars_schema,
    scan,
    spend,
    status_counts,
)
from warehouse.tables import SCHEMAS, schema, to_arrow

NOW = datetime(2026, 11, 20, tzinfo=UTC)


def answer(number: int, **changes: Any) -> dict[str, Any]:
    return {
        "run_id": "run",
        "chunk_id": "00000",
        "custom_id": f"c-{number}",
        "query_id": f"q-{number}",
        "row_index": number,
        "answer": "42",
        "status": "answered",
        "pair_id": "small@@none",
        "attempts": 1,
        "cost_usd": Decimal("0.000000001"),
        "doubt_usd": Decimal(0),
        "answered_at": NOW,
    } | changes


def attempt(number: int, **changes: Any) -> dict[str, Any]:
    return {
        "run_id": "run",
        "chunk_id": "00000",
        "attempt_id": f"a-{number}",
        "query_id": f"q-{number}",
        "custom_id": f"c-{number}",
        "step": 0,
        "call_index": 0,
        "attempt_number": 1,
        "pair_id": "small@@none",
        "request_model": "small-7b",
        "operation_name": "chat",
        "input_tokens": 10,
        "output_tokens": 2,
        "cost_usd": Decimal("0.1"),
        "charge_kind": "settled",
        "status": "ok",
        "started_at": NOW,
        "duration_s": 0.5,
    } | changes


def write(
    root: Path, rows: list[dict[str, Any]], *, table: str = "answers", **changes: Any
) -> CommitRecord:
    arguments: dict[str, Any] = {"run_id": "run", "chunk_id": "00000", "code_version": "0.1.0"}
    return write_file(root, table=table, data=to_arrow(table, rows), now=NOW, **arguments | changes)


def frame(table: str, rows: list[dict[str, Any]]) -> pl.LazyFrame:
    data = pl.from_arrow(to_arrow(table, rows))
    assert isinstance(data, pl.DataFrame)
    return data.lazy()


def test_only_committed_files_exist(tmp_path: Path) -> None:
    first = write(tmp_path, [answer(0)])
    write(tmp_path, [answer(1)], chunk_id="00001")
    third = write(tmp_path, [answer(2)], chunk_id="00002")

    found = scan(tmp_path, [first, third], "answers").collect()

    assert found["custom_id"].to_list() == ["c-0", "c-2"]


@pytest.mark.parametrize("table", SCHEMAS)
def test_no_files_give_an_empty_frame_of_the_declared_schema(tmp_path: Path, table: str) -> None:
    found = scan(tmp_path, [], table).collect()

    assert (0, polars_schema(table)) == (found.height, found.schema)


def test_records_of_other_tables_are_passed_over(tmp_path: Path) -> None:
    records = [write(tmp_path, [answer(0)]), write(tmp_path, [attempt(0)], table="attempts")]

    assert scan(tmp_path, records, "answers").collect().height == 1


def test_types_survive_chunks_whose_column_is_all_null(tmp_path: Path) -> None:
    records = [
        write(tmp_path, [answer(0, score=None, cost_usd=None, answered_at=NOW)]),
        write(tmp_path, [answer(1, score=0.5)], chunk_id="00001"),
    ]

    found = scan(tmp_path, records, "answers").collect()

    assert polars_schema("answers") == found.schema
    assert found["cost_usd"].to_list() == [None, Decimal("0.000000001")]
    assert found["answered_at"].to_list() == [NOW, NOW]


def test_money_stays_exact_through_files_and_sums(tmp_path: Path) -> None:
    record = write(tmp_path, [answer(number) for number in range(1000)])

    total = scan(tmp_path, [record], "answers").select(pl.col("cost_usd").sum()).collect().item()

    assert Decimal("0.000001000") == total


def test_files_of_an_older_schema_get_null_for_later_columns(tmp_path: Path) -> None:
    record = write(tmp_path, [answer(0)])
    path = tmp_path / record.path
    pl.read_parquet(path).drop("doubt_usd").with_columns(gone=pl.lit(1)).write_parquet(path)
    older = replace(record, bytes=path.stat().st_size)

    found = scan(tmp_path, [older], "answers", check_content=False).collect()

    assert found["doubt_usd"].to_list() == [None]
    assert polars_schema("answers") == found.schema


def test_files_of_a_newer_schema_are_refused(tmp_path: Path) -> None:
    record = replace(write(tmp_path, [answer(0)]), schema_version=99)

    with pytest.raises(WarehouseError, match=r"chunk-00000.parquet.*newer ATLAS"):
        scan(tmp_path, [record], "answers")


def test_missing_torn_and_changed_files_are_named(tmp_path: Path) -> None:
    records = [write(tmp_path, [answer(0)], chunk_id=str(number)) for number in range(4)]
    paths = [tmp_path / record.path for record in records]
    paths[1].unlink()
    os.truncate(paths[2], 100)
    content = bytearray(paths[3].read_bytes())
    content[len(content) // 2] ^= 1
    paths[3].write_bytes(content)

    assert scan(tmp_path, records[:1], "answers").collect().height == 1
    for record, words in zip(
        records[1:], ["is missing", "has 100 bytes", "other content"], strict=True
    ):
        with pytest.raises(WarehouseError, match=words) as caught:
            scan(tmp_path, [record], "answers")
        assert str(tmp_path / record.path) in str(caught.value)


def test_a_file_that_changes_after_it_was_read_once_is_noticed(tmp_path: Path) -> None:
    record = write(tmp_path, [answer(0)])
    scan(tmp_path, [record], "answers").collect()
    path = tmp_path / record.path
    path.write_bytes(bytes(record.bytes))
    os.utime(path, ns=(1, 1))

    with pytest.raises(WarehouseError, match="other content"):
        scan(tmp_path, [record], "answers")


def test_unknown_table_is_named(tmp_path: Path) -> None:
    with pytest.raises(WarehouseError, match="no table 'anwsers'"):
        scan(tmp_path, [], "anwsers")


def test_pair_mix_keeps_duplicates_free_and_unknown_prices_unknown() -> None:
    rows = [
        answer(0, score=1.0),
        answer(1, score=0.0),
        answer(2, duplicate_of="c-0", cost_usd=Decimal(0), attempts=0),
        answer(3, pair_id="big@@python", cost_usd=None, status="failed", answer=None),
        answer(4, pair_id="big@@python", cost_usd=Decimal(1)),
        answer(5, pair_id=None, status="skipped_budget", cost_usd=Decimal(0)),
    ]

    mix = pair_mix(frame("answers", rows)).collect()

    assert mix["pair_id"].to_list() == ["small@@none", "big@@python", None]
    assert mix["rows"].to_list() == [3, 2, 1]
    assert mix["share"].to_list() == pytest.approx([1 / 2, 1 / 3, 1 / 6])
    assert mix["cost_usd"].to_list() == [Decimal("0.000000002"), None, Decimal(0)]
    assert mix["known_cost_usd"].to_list() == [Decimal("0.000000002"), Decimal(1), Decimal(0)]
    assert mix["usd_per_1k"].to_list() == [pytest.approx(1e-6), None, 0.0]
    assert mix["unpriced"].to_list() == [0, 1, 0]
    assert mix["score_mean"].to_list() == [0.5, None, None]
    assert mix["failed"].to_list() == [0, 1, 0]


def test_spend_tells_settled_from_doubt_and_counts_every_fate() -> None:
    rows = [
        attempt(0),
        attempt(1, status="error", charge_kind="free", cost_usd=Decimal(0)),
        attempt(2, status="unknown", charge_kind="doubt", cost_usd=Decimal("0.3")),
        attempt(3, operation_name="execute_tool", request_model=None, input_tokens=None),
        attempt(4, request_model="big", cost_usd=None),
    ]

    found = spend(frame("attempts", rows)).collect().to_dicts()

    assert [
        ("big", "chat", None, Decimal(0)),
        ("small-7b", "chat", Decimal("0.1"), Decimal("0.3")),
        (None, "execute_tool", Decimal("0.1"), Decimal(0)),
    ] == [
        (one["request_model"], one["operation_name"], one["settled_usd"], one["doubt_usd"])
        for one in found
    ]
    assert (3, 1, 1, 1) == tuple(found[1][name] for name in ("attempts", "ok", "errors", "unknown"))
    assert (30, 6, 1.5) == tuple(
        found[1][name] for name in ("input_tokens", "output_tokens", "duration_s")
    )


def test_status_counts_show_duplicates() -> None:
    rows = [answer(0), answer(1, duplicate_of="c-0"), answer(2, status="failed")]

    found = status_counts(frame("answers", rows)).collect().rows()

    assert found == [("answered", 2, 1), ("failed", 1, 0)]


def test_errors_show_the_first_row_of_each_kind() -> None:
    rows = [
        answer(0),
        answer(5, status="failed", error_type="timeout", error_message="later"),
        answer(3, status="failed", error_type="timeout", error_message="first"),
        answer(4, status="failed", error_type="refused", error_message="no"),
    ]

    found = errors(frame("answers", rows)).collect().rows()

    assert found == [
        ("timeout", "failed", 2, "c-3", "first"),
        ("refused", "failed", 1, "c-4", "no"),
    ]


@pytest.mark.parametrize("summary", [pair_mix, status_counts, errors])
def test_summaries_of_no_answers_are_empty(summary: Any) -> None:
    assert summary(frame("answers", [])).collect().height == 0


def test_summaries_agree_on_the_streaming_engine(tmp_path: Path) -> None:
    records = [
        write(tmp_path, [answer(10 * part + one) for one in range(10)], chunk_id=str(part))
        for part in range(3)
    ]
    lazy = pair_mix(scan(tmp_path, records, "answers"))

    assert lazy.collect().equals(lazy.collect(engine="streaming"))


def test_answers_and_attempts_read_what_the_ledger_committed(tmp_path: Path) -> None:
    ledger = open_ledger(tmp_path, read_only=False)
    records = [
        write(tmp_path, [answer(0)]),
        write(tmp_path, [attempt(0)], table="attempts"),
    ]
    write(tmp_path, [answer(9)], chunk_id="00009")
    ledger.commit_chunk(
        "run", "00000", records=records, counts=ChunkCounts(answered=1), complete=True, finished=[]
    )
    ledger.close()

    assert answers(tmp_path).collect()["custom_id"].to_list() == ["c-0"]
    assert attempts(tmp_path, "run").collect()["attempt_id"].to_list() == ["a-0"]
    assert answers(tmp_path, "another").collect().height == 0


def test_reading_where_nothing_was_run_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(WarehouseError):
        answers(tmp_path)


@pytest.mark.parametrize("table", sorted(SCHEMAS))
def test_declared_types_are_those_that_polars_itself_would_choose(table):
    frame = pl.from_arrow(schema(table).empty_table())

    assert frame.schema == polars_schema(table)
