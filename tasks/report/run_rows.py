"""The committed rows of a routed run, one line a question that was really asked."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray

    from tasks.report.facts import SpendPoint
    from warehouse.ledger import LedgerReader

CHART_POINTS = 200
"""Points of the chart of money over time."""


@dataclass(frozen=True, slots=True)
class RunRows:
    """Committed tables of one run.

    Attributes:
        answers: every row of the backlog, duplicates included, as committed.
        attempts: every call.
        asked: one row per question that was asked, duplicates left out: `query_id, pair_id,
            status, score, grade_status, cost_usd, duration_s, cluster_id,
            is_out_of_distribution, expected_score, confidence, fallback, dataset`. `fallback`
            says whether other pairs were called beside `pair_id`; `expected_score` of a question
            with a `confidence`, which only policies give, is that.
    """

    answers: pl.LazyFrame
    attempts: pl.LazyFrame
    asked: pl.DataFrame

    def counts(self) -> Counts:
        """Rows of the backlog by how they ended."""
        from warehouse.query import status_counts

        found = {
            str(row["status"]): (int(row["rows"]), int(row["duplicates"]))
            for row in status_counts(self.answers).collect().to_dicts()
        }
        answered, duplicates = found.get("answered", (0, 0))
        failed, in_doubt = (found.get(status, (0, 0))[0] for status in ("failed", "in_doubt"))
        return Counts(answered, failed, in_doubt, duplicates)

    def durations(self) -> tuple[float | None, float | None]:
        """Median and 95th percentile of the seconds an answered question took."""
        took = self.answered.get_column("duration_s")
        return took.median(), took.quantile(0.95, "linear")  # type: ignore[return-value]

    @property
    def answered(self) -> pl.DataFrame:
        """The questions that got an answer."""
        import polars as pl

        return self.asked.filter(pl.col("status") == "answered")


class Counts(NamedTuple):
    """Rows by how they ended; `duplicates` of the answered ones repeat another row."""

    answered: int
    failed: int
    in_doubt: int
    duplicates: int


class Calls(NamedTuple):
    """Sums over all attempts; `settled_usd` and `doubt_usd` leave unknown prices out.

    `unpriced` attempts have an unknown price; `work_s` is the time calls took, one after another.
    """

    settled_usd: Decimal
    doubt_usd: Decimal
    unpriced: int
    attempts: int
    input_tokens: int
    cached_tokens: int
    output_tokens: int
    work_s: float


def read_rows(root: Path, ledger: LedgerReader, run_id: str) -> RunRows:
    """The committed rows of a run.

    Raises:
        WarehouseError: a committed file is missing or damaged.
    """
    import polars as pl

    from tasks.report.run_steps import calls_by_query
    from warehouse.query import scan

    answers, attempts, decisions, queries, trajectories = (
        scan(root, ledger.commits(table, run_id), table)
        for table in ("answers", "attempts", "decisions", "queries", "trajectories")
    )
    by_query = decisions.group_by("query_id").agg(
        pl.col("cluster_id", "is_out_of_distribution", "expected_score")
        .sort_by("step", "rank")
        .first(),
        fallback=pl.col("rank").max() > 0,
    )
    asked = (
        answers.filter(pl.col("duplicate_of").is_null())
        .select(
            "query_id",
            "pair_id",
            pl.col("status").cast(pl.String),
            "score",
            pl.col("grade_status").cast(pl.String),
            "cost_usd",
            "duration_s",
            "confidence",
        )
        .join(by_query, on="query_id", how="left")
        .join(calls_by_query(trajectories), on="query_id", how="left")
        .with_columns(
            expected_score=pl.coalesce("confidence", "expected_score"),
            fallback=pl.col("fallback") | (pl.col("calls").fill_null(1) > 1),
        )
        .drop("calls")
        .join(queries.select("query_id", "dataset"), on="query_id", how="left")
    )
    return RunRows(answers, attempts, asked.collect())


def calls_of(attempts: pl.LazyFrame) -> Calls:
    """Money, tokens and time of all attempts."""
    import polars as pl

    doubt = pl.col("charge_kind").cast(pl.String) == "doubt"
    chats = pl.col("operation_name").cast(pl.String) == "chat"
    sums = attempts.select(
        settled=pl.col("cost_usd").filter(~doubt).sum(),
        doubt=pl.col("cost_usd").filter(doubt).sum(),
        unpriced=pl.col("cost_usd").null_count(),
        attempts=pl.len(),
        inputs=pl.col("input_tokens").filter(chats).sum(),
        cached=pl.col("cache_read_input_tokens").filter(chats).sum(),
        outputs=pl.col("output_tokens").filter(chats).sum(),
        work=pl.col("duration_s").sum(),
    ).collect()
    return Calls(*(sums.item(0, column) for column in range(sums.width)))


def spend_points(attempts: pl.LazyFrame, began: datetime) -> tuple[SpendPoint, ...]:
    """Money charged up to moments of a run, at most `CHART_POINTS` of them, the last included.

    Calls nobody wrote the time of are counted at the begin; unknown prices are not counted.
    """
    import polars as pl

    from tasks.report.facts import SpendPoint

    charged = (
        attempts.filter(pl.col("cost_usd") > 0)
        .select(
            at=(pl.col("started_at") - began).dt.total_microseconds().fill_null(0),
            cost=pl.col("cost_usd"),
        )
        .sort("at")
        .collect()
    )
    step = max(1, math.ceil(len(charged) / CHART_POINTS))
    total, points = Decimal(0), []
    for number, (at, cost) in enumerate(charged.iter_rows(), 1):
        total += cost
        if number % step == 0 or number == len(charged):
            points.append(SpendPoint(at / 1e6, total))
    return tuple(points)


def floats(frame: pl.DataFrame, column: str) -> NDArray[np.float64]:
    """(n,) a column as numbers, NaN for null."""
    import polars as pl

    values: NDArray[np.float64] = (
        frame.get_column(column).cast(pl.Float64).fill_null(float("nan")).to_numpy()
    )
    return values
