"""Parquet: only the columns that are fields, a bounded batch of rows at a time."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tasks.read.columns import Columns, every_column, find_columns
from tasks.read.errors import InputError
from tasks.read.lines import Record
from tasks.read.rows import ID_NAMES
from tasks.read.sources import InputFile

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

BATCH_BYTES = 16 * 1024 * 1024
MAX_BATCH_ROWS = 1024
BUFFER_BYTES = 1 << 20


def iter_parquet(file: InputFile, *, every: bool = False) -> Iterator[Columns | Record]:
    """The columns of a Parquet file first, then its rows.

    Args:
        file: what to read.
        every: read every column under its own name; else the fields that a backlog knows.

    Raises:
        InputError: no Parquet file, a damaged one, no prompt column or a column of a wrong type
            (unless `every`), a column twice.
    """
    import pyarrow.parquet as pq

    with _explained(file):
        with file.path.open("rb") as raw:
            if not raw.read(1):
                yield Columns.empty()
                return
        # Without pre-buffering a row group is read page by page instead of all at once.
        with pq.ParquetFile(file.path, buffer_size=BUFFER_BYTES, pre_buffer=False) as table:
            schema = table.schema_arrow
            columns = every_column(schema.names) if every else find_columns(schema.names)
            if table.metadata.num_rows == 0:
                yield Columns.empty()
                return
            if every:
                columns.require_distinct(file.label)
            else:
                columns.require(file.label)
                for name, place in columns.known.items():
                    _check_type(file, name, schema.field(place))
            yield columns
            yield from _records(table, columns)


def _records(table: pq.ParquetFile, columns: Columns) -> Iterator[Record]:
    """Rows of an open file, in order."""
    stored = {name: columns.names[place] for name, place in columns.known.items()}
    row = 0
    batches = table.iter_batches(
        batch_size=_batch_rows(table.metadata), columns=list(stored.values())
    )
    for batch in batches:
        lists = {name: _values(batch.column(own)) for name, own in stored.items()}
        for values in zip(*lists.values(), strict=True):
            row += 1
            record = {
                name: value for name, value in zip(lists, values, strict=True) if value is not None
            }
            # A null prompt is named as such; the other fields may be missing.
            if columns.prompt is not None:
                record.setdefault(columns.prompt, None)
            yield Record(row, record, record)


def _batch_rows(metadata: pq.FileMetaData) -> int:
    """Rows whose decoded text stays near 16 MiB, by the file's own sizes."""
    groups = [metadata.row_group(place) for place in range(metadata.num_row_groups)]
    heaviest = max(group.total_byte_size / max(1, group.num_rows) for group in groups)
    return int(max(1, min(MAX_BATCH_ROWS, BATCH_BYTES / max(1.0, heaviest))))


def _values(array: pa.Array) -> list[Any]:
    """Python values of a column; bytes where text is no UTF-8, None where a float is NaN."""
    import pyarrow as pa

    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    if pa.types.is_floating(array.type):
        return [
            None if value is None or math.isnan(value) else value for value in array.to_pylist()
        ]
    if _is_bytes(array.type):
        return [_decoded(value) for value in array.to_pylist()]
    try:
        values: list[Any] = array.to_pylist()
    except UnicodeDecodeError:
        values = [_decoded(value) for value in array.cast(pa.large_binary()).to_pylist()]
    return values


def _decoded(value: bytes | None) -> str | bytes | None:
    try:
        return value if value is None else value.decode()
    except UnicodeDecodeError:
        return value


def _is_bytes(kind: pa.DataType) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def _is_text(kind: pa.DataType) -> bool:
    """Text of any width; older writers store text as bytes without saying it is text."""
    import pyarrow as pa

    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    text = pa.types.is_string(kind) or pa.types.is_large_string(kind)
    return bool(text or pa.types.is_null(kind) or _is_bytes(kind))


def _check_type(file: InputFile, name: str, column: pa.Field) -> None:
    """Refuse a column no row of which could be read."""
    import pyarrow as pa

    kind = column.type
    fits = _is_text(kind)
    expected = "text"
    if name in ID_NAMES:
        fits, expected = fits or pa.types.is_integer(kind), "text or integers"
    elif name == "reference":
        is_list = pa.types.is_list(kind) or pa.types.is_large_list(kind)
        is_number = pa.types.is_integer(kind) or pa.types.is_floating(kind)
        fits, expected = fits or is_number or is_list, "text, numbers or lists of text"
        fits = fits or pa.types.is_struct(kind)
    if not fits:
        raise InputError(
            f"{file.label} has column {column.name!r} of type {kind}, it must hold {expected}; "
            f"convert it, or rename it if it is not the {name}"
        )


@contextmanager
def _explained(file: InputFile) -> Iterator[None]:
    """Turn what Arrow says of a damaged file into a sentence."""
    import pyarrow as pa

    try:
        yield
    except (pa.ArrowException, OSError) as error:
        cause = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        raise InputError(
            f"{file.label} is no whole Parquet file: it is cut off, damaged or of another format "
            f"({cause}); write or fetch it again"
        ) from None
