from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from tasks.call.base import CallOrigin, ChatRequest, Message, RecordedOutcome, Usage
from tasks.call.errors import Fate, RowError
from tasks.call.recorded import RecordedClient, RecordedTableError

SHARED = Path(__file__).parents[3].parent / "shared" / "data" / "outcomes"
SCHEMA = {
    "query_id": pl.String,
    "model": pl.String,
    "tool": pl.String,
    "score": pl.Float32,
    "cost_usd": pl.Float64,
    "input_tokens": pl.Int32,
    "output_tokens": pl.Int32,
    "answer": pl.String,
}
ROWS: list[tuple[Any, ...]] = [
    ("q2", "b", "none", 0.7, 5.24e-06, 10, 20, "seven"),
    ("q1", "a", "none", 1.0, 0.0, 1, 2, "one"),
    ("q1", "a", "python", None, None, None, None, None),
    ("q2", "a", "none", 0.0, 1.5, None, 3, ""),
]


def table(rows: list[tuple[Any, ...]] | None = None) -> pl.DataFrame:
    return pl.DataFrame(ROWS if rows is None else rows, schema=SCHEMA, orient="row")


def request(query: str, model: str, tool: str) -> ChatRequest:
    return ChatRequest("name", (Message("user", "?"),), 9, CallOrigin(query, model, tool))


async def test_every_cell_is_replayed_as_it_was_recorded() -> None:
    client = RecordedClient(table())

    q2b = await client.complete(request("q2", "b", "none"))
    unknown = await client.complete(request("q1", "a", "python"))
    free = await client.complete(request("q1", "a", "none"))

    assert RecordedOutcome(0.7, Decimal("0.000005240")) == q2b.recorded
    assert ("seven", Usage(10, 20), "name") == (q2b.text, q2b.usage, q2b.response_model)
    assert RecordedOutcome(None, None) == unknown.recorded
    assert ("", Usage(None, None)) == (unknown.text, unknown.usage)
    assert RecordedOutcome(1.0, Decimal(0)) == free.recorded


@pytest.mark.parametrize(
    "cell", [("q1", "b", "none"), ("q3", "a", "none"), ("q1", "c", "none"), ("q1", "a", "ocr")]
)
async def test_a_cell_that_was_not_recorded_is_an_error_and_never_invented(
    cell: tuple[str, str, str],
) -> None:
    with pytest.raises(RowError) as caught:
        await RecordedClient(table()).complete(request(*cell))

    assert (caught.value.error_type, caught.value.fate) == ("missing_cell", Fate.REFUSED)
    assert all(repr(part) in str(caught.value) for part in cell)


async def test_the_order_of_rows_does_not_matter() -> None:
    backwards = RecordedClient(table(ROWS[::-1]))
    forwards = RecordedClient(table())

    for query, model, tool, *_ in ROWS:
        asked = request(query, model, tool)
        assert await forwards.complete(asked) == await backwards.complete(asked)


async def test_costs_already_in_decimals_stay_exact() -> None:
    frame = table().with_columns(
        pl.Series("cost_usd", [Decimal("0.123456789"), None, None, None], pl.Decimal(18, 9))
    )

    response = await RecordedClient(frame).complete(request("q2", "b", "none"))

    assert RecordedOutcome(0.7, Decimal("0.123456789")) == response.recorded


def row(**changes: Any) -> list[tuple[Any, ...]]:
    values = dict(zip(SCHEMA, ROWS[0], strict=True)) | changes
    return [*ROWS[1:], tuple(values.values())]


@pytest.mark.parametrize(
    ("frame", "sentence"),
    [
        pytest.param(table().drop("score"), "column 'score' is missing", id="missing-column"),
        pytest.param(table([]), "has no rows", id="empty"),
        pytest.param(table([*ROWS, ROWS[1]]), "1 cells appear more than once; the first is query "
                     "'q1', model 'a', tool 'none'", id="duplicate"),
        pytest.param(table(row(score=1.25)), r"outside \[0, 1\]; the first is 1.25 in row 4",
                     id="score-too-high"),
        pytest.param(table(row(score=float("nan"))), r"outside \[0, 1\]", id="score-nan"),
        pytest.param(table(row(cost_usd=-1.0)), "'cost_usd': 1 values are negative", id="cost"),
        pytest.param(table(row(input_tokens=-4)), "'input_tokens': 1 values", id="tokens"),
        pytest.param(table(row(model=None)), "'model' has 1 empty cells", id="null-model"),
        pytest.param(table().cast({"score": pl.String}), "'score' holds String, not numbers",
                     id="text-score"),
        pytest.param(table().cast({"output_tokens": pl.Float64}), "not whole numbers",
                     id="float-tokens"),
        pytest.param(table().with_columns(query_id=pl.lit(3)), "'query_id' holds Int32, not text",
                     id="number-ids"),
    ],
)  # fmt: skip
def test_a_table_that_cannot_be_replayed_says_why(frame: pl.DataFrame, sentence: str) -> None:
    with pytest.raises(RecordedTableError, match=sentence):
        RecordedClient(frame)


def test_every_problem_is_listed_at_once() -> None:
    frame = table([*row(score=2.0, cost_usd=-1.0), ROWS[1]])

    with pytest.raises(RecordedTableError) as caught:
        RecordedClient(frame, queries={"q2"}, source="x.parquet")

    assert len(str(caught.value).splitlines()) == 5
    assert "1 queries are not among the labelled queries; the first is 'q1'" in str(caught.value)
    assert str(caught.value).startswith("x.parquet cannot be replayed:")


async def test_columns_of_nothing_but_nulls_need_no_type() -> None:
    frame = table().with_columns(
        [pl.lit(None).alias(name) for name in ("cost_usd", "input_tokens", "answer")]
    )

    response = await RecordedClient(frame).complete(request("q2", "b", "none"))

    assert (
        response.text,
        response.usage.input_tokens,
        response.usage.output_tokens,
    ) == ("", None, 20)


def test_a_file_that_is_not_there_or_no_parquet_is_named(tmp_path: Path) -> None:
    torn = tmp_path / "torn.parquet"
    torn.write_bytes(b"PAR1 and then nothing")

    for path in (torn, tmp_path / "none.parquet"):
        with pytest.raises(RecordedTableError, match=str(path)):
            RecordedClient.read(path)


@pytest.mark.shared
@pytest.mark.skipif(not SHARED.is_dir(), reason="the recorded tables are not at ../shared/data")
@pytest.mark.parametrize("name", ["mathvista", "routerbench", "tatqa"])
async def test_real_tables_come_back_cell_by_cell(name: str) -> None:
    frame = pl.read_parquet(SHARED / name / "outcomes.parquet")
    client = RecordedClient.read(SHARED / name / "outcomes.parquet")
    sample = frame.sample(500, seed=0)

    for cell in sample.iter_rows(named=True):
        response = await client.complete(request(cell["query_id"], cell["model"], cell["tool"]))
        assert response.recorded is not None
        assert (cell["answer"] or "") == response.text
        if cell["score"] is None:
            assert response.recorded.score is None
        else:
            assert np.float32(response.recorded.score) == np.float32(cell["score"])
        if cell["cost_usd"] is None:
            assert response.recorded.cost_usd is None
        else:
            assert abs(float(response.recorded.cost_usd or 0) - cell["cost_usd"]) <= 5e-10
