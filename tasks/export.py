"""Export: the answers of a run as one file, in the order of the backlog, in bounded memory.

The rows are read in windows of `row_index`, so that memory holds the positions of all rows (eight
bytes each) and the text of one window. The file appears whole or not at all.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Literal, NamedTuple, get_args

from warehouse.commits import published
from warehouse.errors import WarehouseError

if TYPE_CHECKING:
    import polars as pl
    import pyarrow as pa

ExportFormat = Literal["openai-jsonl", "csv", "parquet"]
FORMATS: tuple[str, ...] = get_args(ExportFormat)

_ORDER = ("row_index", "custom_id")
_LINE_COLUMNS = (
    "run_id",
    "custom_id",
    "query_id",
    "row_index",
    "status",
    "answer",
    "finish_reason",
    "model",
    "input_tokens",
    "output_tokens",
    "error_type",
    "error_message",
    "answered_at",
)
_UNANSWERED = {
    "failed": "No pair could answer this row.",
    "in_doubt": "The request was sent and its fate is unknown; it may have been charged.",
    "skipped_budget": "The budget was spent before this row was asked.",
    "skipped_cancelled": "The run was stopped before this row was asked.",
    "skipped_provider": "Every provider that could answer this row was closed by an error.",
}
# Line ends to some readers though not to JSON: escaped, a line stays one line for everybody.
_LINE_ENDS = {ord(end): f"\\u{ord(end):04x}" for end in "\x85\u2028\u2029"}


class ExportReport(NamedTuple):
    """What was exported: the file and its number of rows."""

    path: Path
    rows: int


def export(
    answers: pl.LazyFrame,
    target: Path,
    format: ExportFormat,  # noqa: A002 - the word users know from --format
    *,
    batch_rows: int = 8_192,
) -> ExportReport:
    """Write answers to one file, ordered by `row_index`, replacing a file that is there.

    * `openai-jsonl`: a line of the OpenAI batch output a row, `{id, custom_id, response, error}`;
      an unanswered row has a null response and an error with `code` and `message`.
    * `csv`: every column; text is quoted and otherwise left as it is (a leading `=` too: what a
      spreadsheet makes of it is the spreadsheet's), null is an empty unquoted field, `""` is
      empty text, money has nine decimals, times are ISO 8601 in UTC.
    * `parquet`: every column with its declared type, zstd.

    Args:
        answers: rows of the table `answers`, as `warehouse.query.answers` reads them.
        target: the file to write; its folder must exist.
        format: one of `FORMATS`.
        batch_rows: rows held in memory at a time.

    Raises:
        WarehouseError: the format is unknown, a column is missing, the rows cannot be read, or the
            file cannot be written. A file that was there is as it was.
    """
    if format not in FORMATS:
        raise WarehouseError(
            f"There is no export format {format!r}; the formats are {', '.join(FORMATS)}."
        )
    columns = answers.collect_schema().names()
    missing = set(_LINE_COLUMNS if format == "openai-jsonl" else _ORDER) - set(columns)
    if missing:
        raise WarehouseError(
            f"The answers lack the columns {', '.join(sorted(missing))}, which an export to "
            f"{format} needs; read them with warehouse.query.answers."
        )
    wanted = answers.select(_LINE_COLUMNS) if format == "openai-jsonl" else answers
    write = {"openai-jsonl": _write_lines, "csv": _write_csv, "parquet": _write_parquet}[format]
    with published(target) as temporary, temporary.open("wb") as file:
        rows = write(wanted, file, batch_rows)
    return ExportReport(target, rows)


def batch_line(row: Mapping[str, Any]) -> dict[str, Any]:
    """One row of `answers` as a line of the OpenAI batch output."""
    line: dict[str, Any] = {
        "id": f"{row['run_id']}-{row['row_index']}",
        "custom_id": row["custom_id"],
        "response": None,
        "error": None,
    }
    if row["status"] == "answered":
        line["response"] = {
            "status_code": 200,
            "request_id": row["query_id"],
            "body": _completion(row),
        }
        return line
    failed = row["status"] == "failed"
    line["error"] = {
        "code": (row["error_type"] if failed else None) or row["status"],
        "message": row["error_message"] or _UNANSWERED.get(row["status"], "Not answered."),
    }
    return line


def _completion(row: Mapping[str, Any]) -> dict[str, Any]:
    given, made = row["input_tokens"], row["output_tokens"]
    usage = {
        "prompt_tokens": given,
        "completion_tokens": made,
        "total_tokens": None if given is None or made is None else given + made,
    }
    return {
        "id": f"chatcmpl-{row['run_id']}-{row['row_index']}",
        "object": "chat.completion",
        "created": int(row["answered_at"].timestamp()),
        "model": row["model"],
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": row["answer"]},
                # Clients of this format expect a reason; whole answers are the rule.
                "finish_reason": row["finish_reason"] or "stop",
            }
        ],
        "usage": None if given is None and made is None else usage,
    }


def _write_lines(answers: pl.LazyFrame, file: IO[bytes], batch_rows: int) -> int:
    rows = 0
    for batch in _batches(answers, batch_rows):
        lines = (json.dumps(batch_line(row), ensure_ascii=False) for row in batch.to_dicts())
        text = "".join(f"{line.translate(_LINE_ENDS)}\n" for line in lines)
        file.write(text.encode("utf-8"))
        rows += batch.height
    return rows


def _write_csv(answers: pl.LazyFrame, file: IO[bytes], batch_rows: int) -> int:
    rows = 0
    for number, batch in enumerate(_batches(answers, batch_rows)):
        batch.write_csv(
            file,
            include_header=number == 0,
            quote_style="non_numeric",
            datetime_format="%Y-%m-%dT%H:%M:%S%.6fZ",
        )
        rows += batch.height
    return rows


def _write_parquet(answers: pl.LazyFrame, file: IO[bytes], batch_rows: int) -> int:
    import pyarrow.parquet as pq

    rows: int = 0
    batches = _batches(answers, batch_rows)
    first = next(batches).to_arrow()
    declared = _declared(first.schema)
    with pq.ParquetWriter(file, declared, compression="zstd") as writer:
        writer.write_table(first.cast(declared))
        rows += first.num_rows
        for batch in batches:
            writer.write_table(batch.to_arrow().cast(declared))
            rows += batch.height
    return rows


def _declared(found: pa.Schema) -> pa.Schema:
    """The schema of a frame with the declared fields in place of polars' own."""
    import pyarrow as pa

    from warehouse.tables import schema

    fields = schema("answers")
    return pa.schema([fields.field(one.name) if one.name in fields.names else one for one in found])


def _batches(answers: pl.LazyFrame, batch_rows: int) -> Iterator[pl.DataFrame]:
    """Rows in order, at most about `batch_rows` at a time; at least one batch, maybe empty."""
    import polars as pl

    position = pl.col("row_index")
    index = _collected(answers.select(position)).to_series().sort()
    if not len(index):
        yield _collected(answers.head(0))
        return
    bounds = index.gather_every(batch_rows).unique(maintain_order=True).to_list()
    for low, high in zip(bounds, [*bounds[1:], None], strict=True):
        inside = position >= low if high is None else (position >= low) & (position < high)
        yield _collected(answers.filter(inside)).sort(_ORDER)


def _collected(frame: pl.LazyFrame) -> pl.DataFrame:
    import polars as pl

    try:
        return frame.collect(engine="streaming")
    except (pl.exceptions.PolarsError, OSError) as error:
        raise WarehouseError(
            f"The answers cannot be read: {error}. Run the export again; if a file is damaged, "
            "the message then names it."
        ) from error
