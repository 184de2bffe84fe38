"""The recorded cells behind a profile version, kept beside it: what policies learn from.

`<root>/profiles/cells/<profile_id>.parquet` has one row per question and pair that was ever asked:
text, dataset, split and grader of the question; answer, score and cost of the pair. A profile
itself keeps the training rows' scores and vectors, but neither what was answered nor the held-out
questions. The file is written again at every publication of the version: the labelled set may have
gained held-out questions that a profile does not depend on.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from profiles.errors import ProfileError
from tasks.profiling.fit import usable_outcomes
from warehouse.commits import make_folder, published
from warehouse.query import scan

if TYPE_CHECKING:
    import polars as pl

    from tasks.evaluate.table import OutcomeTable
    from tasks.profiling.planning import PlannedProfile
    from warehouse.ledger import Ledger

FOLDER = "cells"
"""Under the folder of profiles."""
_PROFILES = "profiles"
_CELL = ["run_id", "query_id", "pair_id"]
_QUESTION = ("query_id", "text", "dataset", "split", "grader")


def keep_cells(root: Path, profile_id: str, cells: pl.DataFrame) -> Path:
    """Write the cells of a version, replacing older ones in one step.

    Args:
        root: of the warehouse.
        profile_id: the version.
        cells: `query_id, text, dataset, split, grader, pair_id, answer, failed, score, cost_usd`.

    Raises:
        WarehouseError: the file cannot be written.
    """
    path = _path(root, profile_id)
    make_folder(path.parent)
    with published(path) as temporary:
        cells.write_parquet(temporary, compression="zstd")
    return path


def kept_cells(root: Path, profile_id: str) -> pl.DataFrame:
    """The cells of a version, question by question as the labelled set has them.

    Raises:
        ProfileError: none were kept, or the file is damaged.
    """
    import polars as pl

    path = _path(root, profile_id)
    again = (
        "run `atlas profile run QUESTIONS` (or `atlas profile import DIR`) again:"
        " what is known is not paid for twice"
    )
    try:
        return pl.read_parquet(path)
    except FileNotFoundError as error:
        msg = (
            f"the answers behind {profile_id} were not kept (it was published by an older version,"
            f" or {path} is gone), and a policy learns from them; {again}"
        )
        raise ProfileError(msg) from error
    except (OSError, pl.exceptions.PolarsError) as error:
        msg = f"{path} cannot be read ({error}); remove it and {again}"
        raise ProfileError(msg) from error


def profiled_cells(planned: PlannedProfile, ledger: Ledger) -> pl.DataFrame:
    """The cells of a profiled set: the outcomes that a profile is fitted on, with their answers.

    Raises:
        WarehouseError: a committed file cannot be read.
    """
    import polars as pl

    known = usable_outcomes(planned, ledger)
    said = (
        scan(planned.job.root, ledger.commits("outcomes"), "outcomes")
        .select(*_CELL, "answer")
        .join(known.lazy().select(_CELL), on=_CELL, how="semi")
        .collect()
        .unique(_CELL, keep="last", maintain_order=True)
    )
    rows = [
        (
            query.query_id, query.prompt, query.dataset, query.split,
            query.reference.grader if query.reference else None,
        )
        for query in planned.queries
    ]  # fmt: skip
    questions = pl.DataFrame(rows, schema=dict.fromkeys(_QUESTION, pl.String), orient="row")
    return _cells(questions, known.join(said, on=_CELL, how="left"))


def table_cells(table: OutcomeTable) -> pl.DataFrame:
    """The cells of a table of recorded outcomes."""
    import polars as pl

    queries = table.queries
    if "grader" not in queries.columns:
        queries = queries.with_columns(grader=pl.lit(None, pl.String))
    outcomes = table.outcomes.with_columns(
        pair_id=pl.concat_str("model", "tool", separator="@@"),
    )
    if "error_type" not in outcomes.columns:
        outcomes = outcomes.with_columns(error_type=pl.lit(None, pl.String))
    return _cells(queries.select(_QUESTION), outcomes)


def _cells(questions: pl.DataFrame, outcomes: pl.DataFrame) -> pl.DataFrame:
    """One row per question and pair; a failed call is known to have no answer."""
    import polars as pl

    failed = pl.col("error_type").is_not_null()
    told = outcomes.select(
        pl.col("query_id", "pair_id").cast(pl.String),
        pl.when(~failed).then(pl.col("answer").cast(pl.String)).alias("answer"),
        failed.alias("failed"),
        pl.col("score").cast(pl.Float64),
        pl.col("cost_usd").cast(pl.Float64),
    )
    return questions.join(told, on="query_id", how="inner", maintain_order="left")


def _path(root: Path, profile_id: str) -> Path:
    return root / _PROFILES / FOLDER / f"{profile_id}.parquet"
