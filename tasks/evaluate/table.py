"""A table of recorded outcomes: `queries.parquet` and `outcomes.parquet` of one folder, checked."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from profiles.fingerprint import build_pool
from profiles.pool import (
    PAIR_SEPARATOR,
    Limits,
    ModelSpec,
    Pair,
    Pool,
    Prices,
    ToolSpec,
)
from tasks.call.recorded import REQUIRED_COLUMNS, RecordedClient, RecordedTableError
from tasks.grade.base import Reference
from tasks.query import Query

if TYPE_CHECKING:
    import polars as pl

QUERIES = "queries.parquet"
OUTCOMES = "outcomes.parquet"
TRAIN = "train"
HELD_OUT = ("test", "ood")
"""Splits that are routed, in this order; `ood` may be absent."""
LEFT_OUT = "left_out"
"""Split of a dataset that nothing is learnt from; routed after the others. No file has it."""

QUERY_COLUMNS = ("query_id", "text", "dataset", "split")
_LABELS = ("reference", "grader")
_OBSERVED = ("duration_s", "error_type")
_SHOWN = 3


@dataclass(frozen=True, slots=True)
class OutcomeTable:
    """Recorded outcomes of P pairs on labelled questions.

    Attributes:
        directory: where the two files lie.
        queries: `query_id, text, dataset, split` and, where the file has them, `reference,
            grader`; ids are unique, texts need not be.
        outcomes: one row per (query_id, model, tool): `REQUIRED_COLUMNS` of the recorded client
            and, where the file has them, `duration_s, error_type`.
        pairs: P pairs, sorted by model, then tool.
        sha256: over both files.
        client: replays the outcomes.
    """

    directory: Path
    queries: pl.DataFrame
    outcomes: pl.DataFrame
    pairs: tuple[Pair, ...]
    sha256: str
    client: RecordedClient

    @property
    def name(self) -> str:
        """What the table is called: its folder's name."""
        return self.directory.resolve().name or "table"

    @property
    def held_out(self) -> tuple[str, ...]:
        """The splits there are to route."""
        found = set(self.queries.get_column("split").unique())
        return tuple(split for split in (*HELD_OUT, LEFT_OUT) if split in found)

    def rows(self, split: str) -> pl.DataFrame:
        """The questions of one split, in the file's order."""
        import polars as pl

        return self.queries.filter(pl.col("split") == split)

    def backlog(self, split: str) -> Iterator[Query]:
        """The questions of one split as a backlog.

        Each keeps the file's `query_id`: recorded texts repeat under several ids, with other
        outcomes. The recorded score grades every answer.
        """
        source = str(self.directory / QUERIES)
        chosen = self.rows(split).select(QUERY_COLUMNS)
        for place, (query_id, text, dataset, of_split) in enumerate(chosen.iter_rows()):
            yield Query(
                query_id=query_id,
                custom_id=query_id,
                prompt=text,
                row_index=place,
                source=source,
                source_row=place + 1,
                dataset=dataset,
                split=of_split,
                reference=Reference("recorded", ""),
            )


def read_table(directory: Path, *, needs_test: bool = True) -> OutcomeTable:
    """Read and check a table whole.

    Args:
        directory: folder of the two files.
        needs_test: refuse a table without test rows; what only learns needs none.

    Raises:
        RecordedTableError: naming the file and every problem found in it: a file or column is
            missing, a value is of the wrong type or out of range, an id appears twice or is not
            known, a split is not train, test or ood, there is nothing to learn from or to test.
    """
    directory = Path(directory)
    if not directory.is_dir():
        raise RecordedTableError(
            f"there is no folder {directory}; give one that holds {QUERIES} and {OUTCOMES}"
        )
    queries = _read(directory / QUERIES, QUERY_COLUMNS, _LABELS)
    _refuse(directory / QUERIES, _query_problems(queries, needs_test=needs_test))
    outcomes = _read(directory / OUTCOMES, REQUIRED_COLUMNS, _OBSERVED)
    ids = set(queries.get_column("query_id"))
    client = RecordedClient(outcomes, queries=ids, source=str(directory / OUTCOMES))
    _refuse(directory / OUTCOMES, _outcome_problems(queries, outcomes))
    found = outcomes.select("model", "tool").unique().iter_rows()
    pairs = tuple(sorted(Pair(model, tool) for model, tool in found))
    return OutcomeTable(directory, queries, outcomes, pairs, _sha256(directory), client)


def recorded_pool(table: OutcomeTable, *, concurrency: int = 1024) -> Pool:
    """The pool of a table's pairs: recorded models, whose cost is the recorded one.

    Args:
        table: the outcomes.
        concurrency: rows in flight per model. Nothing waits for a network here, but rows that
            are in flight together share a write to the disk.
    """
    return pool_of_pairs(
        pool_name(table.name),
        table.pairs,
        concurrency=concurrency,
        source=str(table.directory / OUTCOMES),
    )


def pool_of_pairs(
    name: str,
    pairs: tuple[Pair, ...],
    *,
    replays: str = OUTCOMES,
    concurrency: int = 32,
    source: str = "",
) -> Pool:
    """A pool of recorded models that replay the table `replays` beside its source."""
    models = {
        key: ModelSpec(
            key=key,
            provider="recorded",
            name=key,
            prices=Prices(None, None),
            limits=Limits(concurrency=concurrency),
            parameters={"table": replays},
        )
        for key in sorted({pair.model for pair in pairs})
    }
    tools = {
        key: ToolSpec(key, "none" if key == "none" else "recorded")
        for key in sorted({pair.tool for pair in pairs})
    }
    return build_pool(name, models, tools, pairs, source=source)


def pool_name(name: str) -> str:
    """A folder's name made fit to name a pool: letters, digits, '-', '_' and '.'."""
    kept = "".join(c if c.isascii() and (c.isalnum() or c in "-_.") else "-" for c in name)
    return kept[:64] if kept.strip("-_.") else "recorded"


def _read(path: Path, needed: tuple[str, ...], wanted: tuple[str, ...]) -> pl.DataFrame:
    """The needed columns of a Parquet file, and the wanted ones it has."""
    import polars as pl

    if path.is_dir():
        raise RecordedTableError(f"{path} is a folder; it must be one Parquet file")
    try:
        known = pl.read_parquet_schema(path)
    except FileNotFoundError:
        raise RecordedTableError(
            f"{path} is missing; a table of recorded outcomes is a folder with {QUERIES} and "
            f"{OUTCOMES}"
        ) from None
    except (OSError, pl.exceptions.PolarsError) as error:
        raise RecordedTableError(f"{path} cannot be read as Parquet: {_first(error)}") from None
    missing = [name for name in needed if name not in known]
    _refuse(
        path, [f"column {name!r} is missing (there are: {', '.join(known)})" for name in missing]
    )
    columns = [*needed, *(name for name in wanted if name in known)]
    try:
        frame = pl.read_parquet(path, columns=columns).select(columns)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise RecordedTableError(f"{path} cannot be read as Parquet: {_first(error)}") from None
    names = [n for n, kind in frame.schema.items() if isinstance(kind, pl.Categorical | pl.Enum)]
    return frame.with_columns(pl.col(names).cast(pl.String)) if names else frame


def _first(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def _refuse(path: Path, problems: list[str]) -> None:
    if problems:
        lines = "".join(f"\n  - {problem}" for problem in problems)
        raise RecordedTableError(f"{path} cannot be used:{lines}")


def _query_problems(queries: pl.DataFrame, *, needs_test: bool) -> list[str]:
    import polars as pl

    if queries.is_empty():
        return ["it has no rows"]
    kinds = {name: queries.schema[name] for name in QUERY_COLUMNS}
    problems = [
        f"column {name!r} holds {kind}, not text"
        for name, kind in kinds.items()
        if kind != pl.String
    ]
    if problems:
        return problems
    for name in QUERY_COLUMNS:
        rows = queries.get_column(name).is_null().arg_true()
        if len(rows):
            problems.append(
                f"column {name!r} has {len(rows)} empty cells, the first in row {rows[0] + 1}"
            )
    ids = queries.get_column("query_id")
    twice = ids.filter(ids.is_duplicated()).unique(maintain_order=True).to_list()
    if twice:
        problems.append(f"column 'query_id': {_some(twice)} stand on more than one row")
    return [*problems, *_split_problems(queries, needs_test=needs_test)]


def _split_problems(queries: pl.DataFrame, *, needs_test: bool) -> list[str]:
    splits = set(queries.get_column("split").drop_nulls())
    known = (TRAIN, *HELD_OUT)
    unknown = sorted(splits - set(known))
    if unknown:
        return [f"column 'split': {_some(unknown)} is none of {', '.join(known)}"]
    problems = []
    if TRAIN not in splits:
        problems.append("no row has split 'train': routers learn from those rows alone")
    if needs_test and "test" not in splits:
        problems.append("no row has split 'test': there is nothing to route")
    return problems


def _outcome_problems(queries: pl.DataFrame, outcomes: pl.DataFrame) -> list[str]:
    import polars as pl

    problems = []
    for name in ("model", "tool"):
        column = outcomes.get_column(name)
        unfit = (column == "") | column.str.contains(PAIR_SEPARATOR, literal=True)
        rows = unfit.arg_true()
        if len(rows):
            problems.append(
                f"column {name!r} has {column[rows[0]]!r} in row {rows[0] + 1}: a name may neither"
                f" be empty nor hold {PAIR_SEPARATOR!r}, which parts model from tool"
            )
    if problems:
        return problems
    train = queries.filter(pl.col("split") == TRAIN)
    learnt = outcomes.join(train.select("query_id"), on="query_id", how="semi")
    if learnt.is_empty():
        return ["no outcome belongs to a question of split 'train': there is nothing to learn from"]
    if learnt.get_column("score").null_count() == learnt.height:
        scoreless = f"none of the {learnt.height:,} outcomes of split 'train' has a score"
        return [f"{scoreless}: there is nothing to learn from"]
    return []


def _some(values: list[Any]) -> str:
    shown = ", ".join(repr(value) for value in values[:_SHOWN])
    return shown if len(values) <= _SHOWN else f"{shown} and {len(values) - _SHOWN} more"


def _sha256(directory: Path) -> str:
    digest = hashlib.sha256()
    for name in (QUERIES, OUTCOMES):
        with (directory / name).open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()
