from __future__ import annotations

import math
import subprocess
import sys
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from warehouse.errors import WarehouseError
from warehouse.money import from_nano, to_nano
from warehouse.tables import (
    SCHEMA_VERSION,
    SCHEMAS,
    describe,
    markdown,
    schema,
    schema_sha,
    to_arrow,
)

ROOT = Path(__file__).parents[2]
NOW = datetime(2026, 11, 20, 12, 30, 0, 123456, tzinfo=UTC)


def answer_row(**changes: Any) -> dict[str, Any]:
    return {
        "run_id": "run",
        "chunk_id": "00000",
        "custom_id": "c-1",
        "query_id": "q-1",
        "row_index": 0,
        "answer": "42",
        "status": "answered",
        "pair_id": "small@@none",
        "attempts": 1,
        "cost_usd": Decimal("0.0001"),
        "doubt_usd": Decimal(0),
        "answered_at": NOW,
    } | changes


def test_every_column_says_what_it_is() -> None:
    for table in SCHEMAS:
        for field in schema(table):
            description = field.metadata[b"description"].decode()

            assert description.endswith("."), (table, field.name)


def test_column_names_carry_their_unit() -> None:
    for table in SCHEMAS:
        for column in describe(table):
            assert column.name.endswith("_at") == (str(column.type) == "timestamp[us, tz=UTC]")
            assert ("_usd" in column.name) == (str(column.type) == "decimal128(18, 9)")
            assert column.name.endswith("_s") == (column.unit == "s")


def test_every_row_of_a_run_names_its_run_and_schema() -> None:
    for table in SCHEMAS:
        names = schema(table).names

        assert "run_id" in names
        assert "schema_version" in names
        assert table == "runs" or "chunk_id" in names


def test_keys_are_columns() -> None:
    for name, table in SCHEMAS.items():
        assert set(table.key) <= set(schema(name).names)


def test_catalogue_in_docs_is_in_step() -> None:
    """`python -m warehouse.tables > docs/tables.md` puts it back in step."""
    assert (ROOT / "docs" / "tables.md").read_text(encoding="utf-8") == markdown()


def test_module_prints_the_catalogue() -> None:
    result = subprocess.run(
        [sys.executable, "-m", "warehouse.tables"], cwd=ROOT, capture_output=True, check=True
    )

    assert markdown() == result.stdout.decode("utf-8")


def test_describe_lists_accepted_values_and_otel_names() -> None:
    columns = {column.name: column for column in describe("attempts")}

    assert ("ok", "error", "unknown") == columns["status"].values
    assert columns["input_tokens"].otel == "gen_ai.usage.input_tokens"
    assert columns["attempt_id"].required


def test_schema_sha_names_the_columns_and_not_the_sentences() -> None:
    shas = {schema_sha(table) for table in SCHEMAS}

    assert len(SCHEMAS) == len(shas)
    assert schema_sha("answers") == schema_sha("answers")
    assert 64 == len(schema_sha("answers"))


def test_unknown_table_is_named_with_the_known_ones() -> None:
    with pytest.raises(WarehouseError, match=r"no table 'anwsers'.*answers"):
        to_arrow("anwsers", [])


def test_missing_nullable_columns_become_typed_nulls() -> None:
    table = to_arrow("answers", [answer_row(), answer_row(custom_id="c-2")])

    assert schema("answers") == table.schema
    assert table["score"].null_count == 2
    assert [SCHEMA_VERSION] * 2 == table["schema_version"].to_pylist()


def test_no_rows_still_have_the_schema() -> None:
    assert schema("grades") == to_arrow("grades", []).schema


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        pytest.param({"custom_id": None}, "no 'custom_id'", id="null key"),
        pytest.param({"colour": 1}, "unknown columns: 'colour'", id="unknown column"),
        pytest.param({"cost_usd": 0.1}, r"'cost_usd' cannot hold 0\.1 \(float\)", id="float money"),
        pytest.param({"cost_usd": Decimal("NaN")}, "'cost_usd' cannot hold", id="NaN money"),
        pytest.param({"cost_usd": Decimal(10) ** 9}, "'cost_usd' cannot hold", id="huge money"),
        pytest.param({"row_index": "3"}, "'row_index' cannot hold '3'", id="text as number"),
        pytest.param({"row_index": 1.5}, "'row_index' is 1.5", id="fraction as whole number"),
        pytest.param({"row_index": 2**63}, "'row_index' cannot hold", id="overflow"),
        pytest.param({"answered_at": NOW.replace(tzinfo=None)}, "time zone", id="naive time"),
        pytest.param({"answered_at": 5}, "time zone", id="number as time"),
        pytest.param({"custom_id": "a\ud800"}, "'custom_id' cannot hold", id="surrogate in id"),
        pytest.param({"answer": 5}, "'answer' cannot hold 5", id="number as text"),
    ],
)
def test_bad_values_are_refused_with_table_row_and_column(
    changes: dict[str, Any], words: str
) -> None:
    with pytest.raises(WarehouseError, match=words) as caught:
        to_arrow("answers", [answer_row(), answer_row(custom_id="c-2") | changes])

    assert str(caught.value).startswith("Table 'answers', row 1 (")


def test_errors_never_quote_words_of_people_or_models() -> None:
    with pytest.raises(WarehouseError) as caught:
        to_arrow("answers", [answer_row(row_index="x"), answer_row(answer="private")])

    assert "private" not in str(caught.value)


def test_nan_means_unknown_and_becomes_null() -> None:
    table = to_arrow("answers", [answer_row(score=math.nan), answer_row(score=np.float64("nan"))])

    assert [None, None] == table["score"].to_pylist()


def test_nan_and_small_money_inside_alternatives_are_cleaned() -> None:
    decision = {
        "run_id": "run",
        "chunk_id": "00000",
        "query_id": "q",
        "step": 0,
        "router": "cluster",
        "pair_id": "a@@none",
        "rank": 0,
        "reason": "highest utility",
        "decided_at": NOW,
        "alternatives": [
            {"pair_id": "b@@none", "score": math.nan, "cost_usd": Decimal("0.00000000051")}
        ],
    }

    table = to_arrow("decisions", [decision, decision | {"alternatives": None}])

    expected = [{"pair_id": "b@@none", "score": None, "cost_usd": Decimal("0.000000001")}]
    assert [expected, None] == table["alternatives"].to_pylist()


def test_lone_surrogates_in_words_are_replaced_and_the_rest_is_kept() -> None:
    table = to_arrow("answers", [answer_row(answer="a\ud800b\x00\n😀", finish_reason="\udfff")])

    assert ["a\ufffdb\x00\n😀"] == table["answer"].to_pylist()
    assert ["\ufffd"] == table["finish_reason"].to_pylist()


def test_centroids_may_be_numpy_rows() -> None:
    row = {
        "run_id": "run",
        "profile_id": "p",
        "cluster_id": 0,
        "centroid": np.array([0.5, 0.25], dtype=np.float32),
        "size": 3,
        "embedding_model": "minilm",
    }

    assert [[0.5, 0.25]] == to_arrow("clusters", [row])["centroid"].to_pylist()


@settings(max_examples=60, deadline=None)
@given(
    st.decimals(
        min_value=Decimal("-9e8"), max_value=Decimal("9e8"), allow_nan=False, allow_infinity=False
    )
)
def test_money_is_rounded_exactly_as_the_ledger_rounds_it(amount: Decimal) -> None:
    table = to_arrow("answers", [answer_row(cost_usd=amount)])

    assert [from_nano(to_nano(amount))] == table["cost_usd"].to_pylist()


@settings(max_examples=60, deadline=None)
@given(custom_id=st.text(min_size=1), answer=st.none() | st.text(), index=st.integers(0, 2**62))
def test_rows_come_back_as_they_were(custom_id: str, answer: str | None, index: int) -> None:
    rows = [answer_row(custom_id=custom_id, answer=answer, row_index=index)]

    back = to_arrow("answers", rows).to_pylist()[0]

    assert (custom_id, answer, index, NOW) == (
        back["custom_id"],
        back["answer"],
        back["row_index"],
        back["answered_at"],
    )
    assert rows[0] == {name: back[name] for name in rows[0]}


def test_all_null_chunks_concatenate_with_full_ones() -> None:
    tables = [
        to_arrow("answers", [answer_row(score=None)]),
        to_arrow("answers", [answer_row(score=1.0)]),
    ]

    assert [None, 1.0] == pa.concat_tables(tables)["score"].to_pylist()
