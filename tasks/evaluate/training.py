"""What an evaluation learns from: all training rows, a share of their cells, or without a dataset.

Both ways only take training rows away. What is routed and scored stays whole.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from profiles.allocation import allocate_offline
from profiles.outcomes import outcome_matrices
from profiles.pool_fields import did_you_mean
from tasks.call.recorded import RecordedTableError
from tasks.evaluate.table import LEFT_OUT, TRAIN, OutcomeTable

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray


class LeaveOutError(RecordedTableError):
    """The dataset to leave out is not in the table, or nothing is left without it."""


class CellsError(RecordedTableError):
    """The share of the training cells is so small that nothing can be learnt from it."""


def leave_out(table: OutcomeTable, dataset: str) -> OutcomeTable:
    """The table with every row of a dataset, whatever its split, in split `left_out`.

    Raises:
        LeaveOutError: the table has no such dataset, or no training row without it.
    """
    import polars as pl

    known = sorted(set(table.queries.get_column("dataset")))
    if dataset not in known:
        close = did_you_mean(dataset, known)
        shown = ", ".join(known[:8]) + (" …" if len(known) > 8 else "")
        raise LeaveOutError(
            f"{table.directory} has no dataset {dataset!r} to leave out{close}; it has {shown}"
        )
    own = pl.col("dataset") == dataset
    moved = pl.when(own).then(pl.lit(LEFT_OUT)).otherwise(pl.col("split")).alias("split")
    queries = table.queries.with_columns(moved)
    train = queries.filter(pl.col("split") == TRAIN).select("query_id")
    scored = table.outcomes.join(train, on="query_id", how="semi").get_column("score")
    if not scored.count():
        raise LeaveOutError(
            f"{table.directory}: without dataset {dataset!r} no training row has a score, so there "
            "is nothing to learn from; leave another one out"
        )
    sha256 = hashlib.sha256(f"{table.sha256} without {dataset}".encode()).hexdigest()
    return replace(table, queries=queries, sha256=sha256)


def cells_run(
    table: OutcomeTable, labels: NDArray[np.int64], *, sampler: str, share: float, seed: int
) -> pl.DataFrame:
    """The training outcomes that a sampler would have run; the same seed runs the same cells.

    Args:
        table: its training rows are looked at.
        labels: (n,) cluster of each training question, in the table's order.
        sampler: one of `profiles.allocation.SAMPLERS`.
        share: of the training cells.
        seed: of the sampler.

    Raises:
        CellsError: none of them has a score.
        ProfileError: see `profiles.allocation.allocate_offline`.
    """
    import polars as pl

    ids = table.rows(TRAIN).get_column("query_id").to_list()
    known = outcome_matrices(ids, table.outcomes, table.pairs)
    run = allocate_offline(
        sampler,
        scores=known.scores,
        labels=labels,
        share=share,
        seed=seed,
        costs=known.costs_usd,
    )
    rows, columns = np.nonzero(run & known.observed)
    if not np.isfinite(known.scores[rows, columns]).any():
        raise CellsError(
            f"{table.directory}: of {known.scores.size:,} training cells a share of {share:g}"
            f" ({sampler}) takes {len(rows)}, none with a score, so there is nothing to learn from;"
            " give a larger share"
        )
    picked = pl.DataFrame(
        {
            "query_id": [ids[row] for row in rows],
            "model": [table.pairs[column].model for column in columns],
            "tool": [table.pairs[column].tool for column in columns],
        },
        schema=dict.fromkeys(("query_id", "model", "tool"), pl.String),
    )
    return table.outcomes.join(picked, on=["query_id", "model", "tool"], how="semi")
