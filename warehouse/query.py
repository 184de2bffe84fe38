"""Reading the warehouse: lazy frames over committed files, and the sums that reports are made of.

A file without a commit does not exist here. Sums of money keep "unknown" apart from zero: a group
in which one price is unknown has a null `cost_usd`, and `known_cost_usd` beside it.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from functools import cache, lru_cache
from pathlib import Path

import polars as pl

from warehouse.commits import CommitRecord, verify
from warehouse.errors import WarehouseError
from warehouse.tables import SCHEMA_VERSION, table_schema
from warehouse.tables import kinds as k


def scan(
    root: Path, commits: Iterable[CommitRecord], table: str, *, check_content: bool = True
) -> pl.LazyFrame:
    """Committed rows of a table, lazily, in the order of the commits.

    Every file is checked before the frame is handed out: that it is there, of the committed size
    and (once per process and file, at about a second per 1.5 GB) of the committed content.

    Args:
        root: the warehouse's root.
        commits: records of the ledger; those of other tables are passed over.
        table: a declared table.
        check_content: whether to hash the files; without it a flipped bit goes unnoticed.

    Raises:
        WarehouseError: no such table; a file is missing, torn or changed; a newer ATLAS wrote it.
            Names the file.
    """
    declared = polars_schema(table)
    paths = [
        _checked(root, record, check_content=check_content)
        for record in commits
        if record.table == table
    ]
    if not paths:
        return pl.LazyFrame(schema=declared)
    return pl.scan_parquet(
        paths,
        schema=declared,
        hive_partitioning=False,
        # Files of an earlier schema version lack the columns added since.
        missing_columns="insert",
        extra_columns="ignore",
    )


@cache
def polars_schema(table: str) -> pl.Schema:
    """The declared schema of a table in polars' types.

    Raises:
        WarehouseError: there is no such table.
    """
    return pl.Schema({one.name: _polars_type(one.type) for one in table_schema(table).columns})


def committed(
    root: Path, table: str, run_id: str | None = None, *, check_content: bool = True
) -> pl.LazyFrame:
    """Committed rows of a table, of one run or of all, by the ledger under `root`.

    Raises:
        WarehouseError: no ledger, no such table, or a file that is not what was committed.
    """
    from warehouse.ledger import open_ledger

    ledger = open_ledger(root, read_only=True)
    try:
        records = ledger.commits(table, run_id)
    finally:
        ledger.close()
    return scan(root, records, table, check_content=check_content)


def answers(root: Path, run_id: str | None = None) -> pl.LazyFrame:
    """Committed answers, one row per (run_id, custom_id).

    Raises:
        WarehouseError: no ledger, or a file that is not what was committed.
    """
    return committed(root, "answers", run_id)


def attempts(root: Path, run_id: str | None = None) -> pl.LazyFrame:
    """Committed attempts, one row per provider or tool call.

    Raises:
        WarehouseError: no ledger, or a file that is not what was committed.
    """
    return committed(root, "attempts", run_id)


def pair_mix(answers: pl.LazyFrame) -> pl.LazyFrame:
    """How the rows spread over pairs, largest share first.

    Columns: `pair_id` (null: no pair was tried), `rows` and `share` in [0, 1], duplicates included;
    `answered`, `failed`; `n_scored` and `score_mean` of the labelled; `cost_usd`, `known_cost_usd`,
    `doubt_usd`, `unpriced` rows; `usd_per_1k` = 1000 cost_usd / asked rows (float), null with it.
    """
    asked = pl.col("duplicate_of").is_null().sum()
    per_row = pl.col("cost_usd").cast(pl.Float64) / pl.col("asked")
    return (
        answers.group_by("pair_id")
        .agg(
            rows=pl.len(),
            asked=asked,
            answered=(pl.col("status") == "answered").sum(),
            failed=(pl.col("status") == "failed").sum(),
            n_scored=pl.col("score").count(),
            score_mean=pl.col("score").mean(),
            cost_usd=_exact_sum("cost_usd"),
            known_cost_usd=pl.col("cost_usd").sum(),
            doubt_usd=_exact_sum("doubt_usd"),
            unpriced=pl.col("cost_usd").null_count(),
        )
        .with_columns(
            share=pl.col("rows") / pl.col("rows").sum(),
            usd_per_1k=pl.when(pl.col("asked") > 0).then(1000 * per_row),
        )
        .sort("rows", "pair_id", descending=[True, False], nulls_last=True)
    )


def spend(attempts: pl.LazyFrame) -> pl.LazyFrame:
    """Money and tokens by pair, model and kind of call, in that order.

    Columns: `pair_id`, `request_model` (null: a tool), `operation_name`; `attempts`, of which `ok`,
    `errors`, `unknown`; `settled_usd` and `doubt_usd`, each null if a price in it is unknown;
    `known_cost_usd` of both together; `unpriced` attempts; `input_tokens`, `output_tokens` (known
    ones); `duration_s`.
    """
    keys = ("pair_id", "request_model", "operation_name")
    doubt = pl.col("charge_kind") == "doubt"
    return (
        attempts.group_by(keys)
        .agg(
            attempts=pl.len(),
            ok=(pl.col("status") == "ok").sum(),
            errors=(pl.col("status") == "error").sum(),
            unknown=(pl.col("status") == "unknown").sum(),
            settled_usd=_exact_sum("cost_usd", ~doubt),
            doubt_usd=_exact_sum("cost_usd", doubt),
            known_cost_usd=pl.col("cost_usd").sum(),
            unpriced=pl.col("cost_usd").null_count(),
            input_tokens=pl.col("input_tokens").sum(),
            output_tokens=pl.col("output_tokens").sum(),
            duration_s=pl.col("duration_s").sum(),
        )
        .sort(keys, nulls_last=True)
    )


def status_counts(answers: pl.LazyFrame) -> pl.LazyFrame:
    """Rows by status, most first; columns `status`, `rows`, of which `duplicates`."""
    return (
        answers.group_by("status")
        .agg(rows=pl.len(), duplicates=pl.col("duplicate_of").count())
        .sort("rows", "status", descending=[True, False])
    )


def errors(answers: pl.LazyFrame) -> pl.LazyFrame:
    """Errors by type, most frequent first.

    Columns: `error_type`, `status`, `rows`, and the `custom_id` and `error_message` of the first
    such row of the backlog as an example.
    """
    first = pl.col("row_index").arg_min()
    return (
        answers.filter(pl.col("error_type").is_not_null())
        .group_by("error_type", "status")
        .agg(
            rows=pl.len(),
            custom_id=pl.col("custom_id").get(first),
            error_message=pl.col("error_message").get(first),
        )
        .sort("rows", "error_type", "status", descending=[True, False, False])
    )


def _exact_sum(column: str, where: pl.Expr | None = None) -> pl.Expr:
    values = pl.col(column) if where is None else pl.col(column).filter(where)
    return pl.when(values.null_count() == 0).then(values.sum())


def _checked(root: Path, record: CommitRecord, *, check_content: bool) -> Path:
    path = root / record.path
    if record.schema_version > SCHEMA_VERSION:
        raise WarehouseError(
            f"{path} was written by a newer ATLAS (schema version {record.schema_version}, this "
            f"one knows up to {SCHEMA_VERSION}). Upgrade ATLAS to read it."
        )
    if not check_content:
        return verify(root, record, content=False)
    with suppress(OSError):
        return _verified(root, record, path.stat().st_mtime_ns)
    return verify(root, record)


@lru_cache(maxsize=65_536)
def _verified(root: Path, record: CommitRecord, modified_ns: int) -> Path:  # noqa: ARG001
    return verify(root, record)


def _polars_type(kind: k.Kind) -> pl.DataType:
    if kind.item is not None:
        return pl.List(_polars_type(kind.item))
    if kind.members:
        return pl.Struct({name: _polars_type(one) for name, one in kind.members})
    plain: dict[k.Kind, pl.DataType] = {
        k.TEXT: pl.String(),
        k.WHOLE: pl.Int64(),
        k.SMALL: pl.Int32(),
        k.NUMBER: pl.Float64(),
        k.SINGLE: pl.Float32(),
        k.FLAG: pl.Boolean(),
        k.MONEY: pl.Decimal(k.MONEY_DIGITS, k.MONEY_DECIMALS),
        k.MOMENT: pl.Datetime("us", "UTC"),
    }
    return plain[kind]
