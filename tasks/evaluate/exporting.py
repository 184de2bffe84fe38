"""A table of recorded outcomes from what profile runs committed, for `atlas evaluate`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tasks.evaluate.table import OUTCOMES, QUERIES, TRAIN
from tasks.profiling.fit import usable_outcomes
from warehouse.commits import make_folder, published
from warehouse.ledger import open_ledger
from warehouse.query import scan

if TYPE_CHECKING:
    import polars as pl

    from tasks.profiling.planning import PlannedProfile
    from tasks.query import Query

SOURCE = "profile run"
"""Stands in the column `source`, where published tables have `recorded`."""
_CELL = ["run_id", "query_id", "pair_id"]


class ExportedTable(NamedTuple):
    """What was written: rows of both files, and held-out questions that were left out."""

    directory: Path
    queries: int
    outcomes: int
    left_out: int


def export_table(planned: PlannedProfile, directory: Path) -> ExportedTable:
    """Write `queries.parquet` and `outcomes.parquet` of a profiled set.

    Outcomes are those a profile would be fitted on, see `tasks.profiling.fit.usable_outcomes`. A
    held-out question that lacks the outcome of some pair (its call failed for good) is left out
    and counted: a router that chose that pair could not be scored on it.

    Args:
        planned: the profiling job, as it stands.
        directory: made if missing; files of these names in it are replaced.

    Raises:
        WarehouseError: there is no ledger, a committed file is damaged, or a file cannot be
            written.
    """
    import polars as pl

    root = planned.job.root
    ledger = open_ledger(root, read_only=True)
    try:
        known = usable_outcomes(planned, ledger).filter(pl.col("error_type").is_null())
        said = (
            scan(root, ledger.commits("outcomes"), "outcomes")
            .select(*_CELL, "answer")
            .collect()
            .unique(_CELL, keep="last", maintain_order=True)
        )
    finally:
        ledger.close()
    queries = _queries(planned.queries)
    outcomes = known.join(said, on=_CELL, how="left")
    whole = (
        outcomes.group_by("query_id")
        .agg(pairs=pl.col("pair_id").n_unique())
        .filter(pl.col("pairs") == len(planned.pool.pairs))
    )
    kept = queries.filter(
        (pl.col("split") == TRAIN) | pl.col("query_id").is_in(whole["query_id"].implode())
    )
    rows = _outcome_rows(outcomes.join(kept.select("query_id"), on="query_id", how="semi"))
    make_folder(directory)
    for name, frame in ((QUERIES, kept), (OUTCOMES, rows)):
        with published(directory / name) as temporary:
            frame.write_parquet(temporary, compression="zstd")
    return ExportedTable(directory, len(kept), len(rows), len(queries) - len(kept))


def _queries(queries: Sequence[Query]) -> pl.DataFrame:
    import polars as pl

    names = ("query_id", "text", "dataset", "split", "reference", "grader")
    rows = [
        (
            query.query_id,
            query.prompt,
            query.dataset,
            query.split,
            query.reference.value if query.reference else None,
            query.reference.grader if query.reference else None,
        )
        for query in queries
    ]
    return pl.DataFrame(rows, schema=dict.fromkeys(names, pl.String), orient="row")


def _outcome_rows(outcomes: pl.DataFrame) -> pl.DataFrame:
    import polars as pl

    return outcomes.select(
        pl.col("query_id", "model", "tool").cast(pl.String),
        pl.col("score").cast(pl.Float32),
        pl.col("cost_usd").cast(pl.Float64),
        pl.col("input_tokens", "output_tokens").cast(pl.Int32),
        pl.col("answer").cast(pl.String),
        source=pl.lit(SOURCE),
    ).sort("query_id", "model", "tool")
