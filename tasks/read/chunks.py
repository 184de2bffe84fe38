"""The files of a plan: chunks of unique queries, and chunks of rows that repeat one of them."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from typing import Any, NamedTuple

from tasks.grade.base import Reference
from tasks.query import Query
from tasks.read.errors import StageError

CHUNK = "chunk"
DUPLICATES = "duplicates"


@dataclass(frozen=True, slots=True)
class Duplicate:
    """A row that asks what an earlier row of the backlog asks: answered with it, paid once.

    Attributes:
        custom_id: the user's id of this row.
        row_index: 0-based position in the backlog.
        query_id: the query both rows ask; its answer is this row's answer.
        source: file it came from.
        source_row: 1-based line or row in that file.
        first_custom_id: the user's id of the row that asked first.
    """

    custom_id: str
    row_index: int
    query_id: str
    source: str
    source_row: int
    first_custom_id: str


class Column(NamedTuple):
    """One column of a plan's file: name, Arrow type, and the attribute it is taken from."""

    name: str
    kind: str
    attribute: str


QUERY_COLUMNS = (
    Column("query_id", "string", "query_id"),
    Column("custom_id", "string", "custom_id"),
    Column("prompt", "string", "prompt"),
    Column("context", "string", "context"),
    Column("row_index", "int64", "row_index"),
    Column("source", "string", "source"),
    Column("source_row", "int64", "source_row"),
    Column("dataset", "string", "dataset"),
    Column("split", "string", "split"),
    Column("reference_grader", "string", "reference.grader"),
    Column("reference_value", "string", "reference.value"),
)
QUERY_FIELDS = tuple(column.name for column in QUERY_COLUMNS if "." not in column.attribute)
DUPLICATE_COLUMNS = tuple(
    Column(name, "int64" if "row" in name else "string", name) for name in Duplicate.__slots__
)


def chunk_name(prefix: str, number: int) -> str:
    """File name of a chunk, such as `chunk-000012.parquet`."""
    return f"{prefix}-{number:06d}.parquet"


class ChunkWriter:
    """Gathers rows and writes them `size` at a time, each file whole on disk before the next."""

    def __init__(self, folder: Path, prefix: str, columns: tuple[Column, ...], size: int) -> None:
        self.chunks = 0
        self.rows = 0
        self._folder = folder
        self._prefix = prefix
        self._columns = columns
        self._size = size
        self._pending: list[Any] = []

    def add(self, row: object) -> None:
        """Take one row, of which every column is an attribute."""
        self._pending.append(row)
        if len(self._pending) == self._size:
            self.flush()

    def flush(self) -> None:
        """Write what has gathered, if anything."""
        if not self._pending:
            return
        path = self._folder / chunk_name(self._prefix, self.chunks)
        write_chunk(path, self._columns, self._pending)
        self.rows += len(self._pending)
        self.chunks += 1
        self._pending = []


def write_chunk(path: Path, columns: tuple[Column, ...], rows: Iterable[Any]) -> None:
    """Write one file and wait until it is on disk."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = list(rows)
    schema = pa.schema([(column.name, column.kind) for column in columns])
    table = pa.table({column.name: _values(column, rows) for column in columns}, schema=schema)
    with path.open("wb") as file:
        pq.write_table(
            table,
            file,
            compression="zstd",
            compression_level=1,
            use_dictionary=["source", "dataset", "split", "reference_grader"],
            write_statistics=False,
            write_page_checksum=True,
        )
        file.flush()
        os.fsync(file.fileno())


def _values(column: Column, rows: list[Any]) -> list[Any]:
    owner, _, attribute = column.attribute.rpartition(".")
    if not owner:
        return list(map(attrgetter(attribute), rows))
    owners = map(attrgetter(owner), rows)
    return [None if one is None else getattr(one, attribute) for one in owners]


def load_chunk(folder: str | Path, number: int) -> list[Query]:
    """The queries of one chunk, in backlog order; `number` counts from 0 to `Staged.chunks` - 1.

    Raises:
        StageError: the chunk is missing or damaged.
    """
    queries = []
    for *fields, grader, value in _read(Path(folder), CHUNK, number, QUERY_COLUMNS):
        reference = None if grader is None else Reference(grader, value)
        queries.append(Query(**dict(zip(QUERY_FIELDS, fields, strict=True)), reference=reference))
    return queries


def load_duplicates(folder: str | Path, number: int) -> list[Duplicate]:
    """One chunk of repeating rows; `number` counts from 0 to `Staged.duplicate_chunks` - 1.

    Raises:
        StageError: the chunk is missing or damaged.
    """
    rows = _read(Path(folder), DUPLICATES, number, DUPLICATE_COLUMNS)
    return [Duplicate(*fields) for fields in rows]


def _read(
    folder: Path, prefix: str, number: int, columns: tuple[Column, ...]
) -> Iterable[tuple[Any, ...]]:
    """Rows of one file as tuples in the order of `columns`, its checksums verified."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = folder / chunk_name(prefix, number)
    names = [column.name for column in columns]
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            table = file.read(columns=names)
        lists = [table.column(name).to_pylist() for name in names]
    except FileNotFoundError:
        raise StageError(
            f"{path} is missing from the plan; remove {folder} and start again under a new name"
        ) from None
    except (pa.ArrowException, OSError, KeyError, UnicodeDecodeError) as error:
        cause = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        raise StageError(
            f"{path} is damaged ({cause}); restore it from a copy, or remove {folder} and start "
            f"again under a new name"
        ) from None
    return zip(*lists, strict=True)
