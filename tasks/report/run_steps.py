"""How many calls the rows of a policy's run took, and how sure their answers are."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tasks.report.facts import CallShare, Steps

if TYPE_CHECKING:
    import polars as pl

    from warehouse.ledger import LedgerReader


def steps_of(root: Path, ledger: LedgerReader, run_id: str) -> Steps | None:
    """What the finished rows of a run took; None for one-step runs, and before the first row.

    Raises:
        WarehouseError: a committed file is missing or damaged.
    """
    records = ledger.commits("trajectories", run_id)
    if not records:
        return None
    import polars as pl

    from warehouse.query import scan

    calls = calls_by_query(scan(root, records, "trajectories"))
    rows = (
        scan(root, ledger.commits("answers", run_id), "answers")
        .filter(
            pl.col("duplicate_of").is_null(),
            pl.col("status").cast(pl.String).is_in(["answered", "failed"]),
        )
        .select("query_id", "confidence")
        .join(calls, on="query_id")
        .group_by("calls")
        .agg(rows=pl.len(), sure=pl.col("confidence").sum(), answered=pl.col("confidence").count())
        .sort("calls")
        .collect()
        .to_dicts()
    )
    total = sum(row["rows"] for row in rows)
    if not total:
        return None
    answered = sum(row["answered"] for row in rows)
    return Steps(
        calls=sum(row["calls"] * row["rows"] for row in rows) / total,
        confidence=sum(row["sure"] for row in rows) / answered if answered else None,
        shares=tuple(CallShare(row["calls"], row["rows"], row["rows"] / total) for row in rows),
    )


def calls_by_query(trajectories: pl.LazyFrame) -> pl.LazyFrame:
    """`query_id, calls` of every row of many steps."""
    import polars as pl

    return trajectories.group_by("query_id").agg(calls=pl.col("pair_id").count().cast(pl.Int64))
