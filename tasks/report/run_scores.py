"""Shares, accuracies and errors of a run's asked questions: by pair, by dataset, by cluster."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from profiles.statistics import Z95, wilson
from tasks.report.comparison import Interval

if TYPE_CHECKING:
    import polars as pl

BINS = 10
"""Bins of equal width that expected scores are sorted into for calibration."""


@dataclass(frozen=True, slots=True)
class Group:
    """A part of a run's questions.

    Attributes:
        name: a pair id, a dataset, the number of a cluster.
        asked: questions asked; `answered` + `failed` of them ended.
        duplicates: rows that got an answer of theirs for nothing; only counted for pairs.
        scored, unscored: answered questions that a grader scored, or could not.
        accuracy: mean score with Wilson's 95 % interval, None where none is scored.
        expected: mean score the router expected of its first choices, None where unknown.
        cost_usd: what the asked questions cost, None if one price is unknown.
        words: what sets a cluster apart.
    """

    name: str
    asked: int
    answered: int
    failed: int
    scored: int
    unscored: int
    accuracy: Interval | None
    expected: float | None
    cost_usd: Decimal | None
    duplicates: int = 0
    words: tuple[str, ...] = ()

    @property
    def usd_per_1k(self) -> Decimal | None:
        """Dollars for 1,000 questions; None where unknown."""
        return (
            None if self.cost_usd is None or not self.asked else 1000 * self.cost_usd / self.asked
        )


class ErrorKind(NamedTuple):
    """Rows that ended with an error of one type, with the first of them as an example."""

    error_type: str
    status: str
    rows: int
    custom_id: str
    message: str | None


class CalibrationBin(NamedTuple):
    """Scored questions whose expected score lies in [low, high): what was expected, what came."""

    low: float
    high: float
    n: int
    expected: float
    realised: Interval


class Calibration(NamedTuple):
    """Expected against realised scores over n scored questions.

    Of a router's questions those that its first choice answered; of a policy's all, whose expected
    score is the confidence of their answer.

    `gap` is realised minus expected, ± 1.96·sd/√n; `error` the mean distance of the bins,
    Σ n_b·|realised_b − expected_b| / n (expected calibration error, Naeini et al. 2015).
    """

    n: int
    expected: float
    gap: Interval
    error: float
    bins: tuple[CalibrationBin, ...]


def accuracy_of(mean: float | None, n: int) -> Interval | None:
    """A mean score of n answers with Wilson's 95 % interval; None without any."""
    if mean is None or n == 0:
        return None
    low, high = wilson(np.array([mean * n]), np.array([n]))
    return Interval(mean, float(low[0]), float(high[0]))


def groups(
    asked: pl.DataFrame, column: str, words: Mapping[int, tuple[str, ...]] | None = None
) -> tuple[Group, ...]:
    """Asked questions by a column, the largest group first; rows without a value are left out.

    Args:
        asked: `RunRows.asked`.
        column: `pair_id`, `dataset` or `cluster_id`.
        words: of clusters, by number.
    """
    import polars as pl

    found = (
        asked.filter(pl.col(column).is_not_null())
        .group_by(column)
        .agg(**_sums())
        .sort("asked", column, descending=[True, False])
    )
    return tuple(
        _group(str(row[column]), row, words=(words or {}).get(row[column], ()))
        for row in found.to_dicts()
    )


def pair_groups(asked: pl.DataFrame, answers: pl.LazyFrame) -> tuple[Group, ...]:
    """Asked questions by the pair that answered or was tried last, duplicates beside them."""
    from dataclasses import replace

    import polars as pl

    repeated = (
        answers.filter(
            pl.col("duplicate_of").is_not_null() & (pl.col("status").cast(pl.String) == "answered")
        )
        .group_by("pair_id")
        .agg(rows=pl.len())
        .collect()
    )
    extra = dict(repeated.iter_rows())
    return tuple(
        replace(group, duplicates=extra.get(group.name, 0)) for group in groups(asked, "pair_id")
    )


def whole(asked: pl.DataFrame) -> Group:
    """All asked questions as one group."""
    return _group("all", asked.select(**_sums()).to_dicts()[0])


def _sums() -> dict[str, pl.Expr]:
    import polars as pl

    answered = pl.col("status") == "answered"
    return {
        "asked": pl.len(),
        "answered": answered.sum(),
        "failed": (pl.col("status") == "failed").sum(),
        "scored": pl.col("score").count(),
        "unscored": (answered & (pl.col("grade_status") == "unscored")).sum(),
        "mean": pl.col("score").mean(),
        "expected": pl.col("expected_score").mean(),
        "cost": pl.col("cost_usd").sum(),
        "unpriced": pl.col("cost_usd").null_count(),
    }


def _group(name: str, row: Mapping[str, Any], words: tuple[str, ...] = ()) -> Group:
    return Group(
        name=name,
        asked=row["asked"],
        answered=row["answered"],
        failed=row["failed"],
        scored=row["scored"],
        unscored=row["unscored"],
        accuracy=accuracy_of(row["mean"], row["scored"]),
        expected=row["expected"],
        cost_usd=None if row["unpriced"] else row["cost"],
        words=words,
    )


def error_kinds(answers: pl.LazyFrame) -> tuple[ErrorKind, ...]:
    """Rows that ended with an error, by type, most frequent first."""
    from warehouse.query import errors

    return tuple(
        ErrorKind(
            row["error_type"],
            str(row["status"]),
            row["rows"],
            row["custom_id"],
            row["error_message"],
        )
        for row in errors(answers).collect().to_dicts()
    )


def calibration(asked: pl.DataFrame) -> Calibration | None:
    """How well the router's expected scores hold; None where nothing can be compared."""
    import polars as pl

    rows = asked.filter(
        pl.col("score").is_not_null()
        & pl.col("expected_score").is_not_null()
        & (~pl.col("fallback").fill_null(value=False) | pl.col("confidence").is_not_null())
    )
    n = len(rows)
    if not n:
        return None
    expected = rows.get_column("expected_score").to_numpy()
    realised = rows.get_column("score").to_numpy()
    place = np.minimum((expected * BINS).astype(np.int64), BINS - 1)
    bins = []
    for number in np.unique(place):
        inside = place == number
        score = accuracy_of(float(realised[inside].mean()), int(inside.sum()))
        assert score is not None
        bins.append(
            CalibrationBin(
                float(number / BINS),
                float((number + 1) / BINS),
                int(inside.sum()),
                float(expected[inside].mean()),
                score,
            )
        )
    gap = realised - expected
    value = float(gap.mean())
    half = Z95 * float(gap.std(ddof=1)) / math.sqrt(n) if n > 1 else 1.0
    error = sum(one.n * abs(one.realised.value - one.expected) for one in bins) / n
    interval = Interval(value, max(-1.0, value - half), min(1.0, value + half))
    return Calibration(n, float(expected.mean()), interval, error, tuple(bins))
