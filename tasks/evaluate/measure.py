"""What routed backlogs came to: scores, money and calls, read back from committed rows."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tasks.call.recorded import RecordedTableError

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray

    from profiles.pool import Pair
    from tasks.evaluate.backlog import Routed, SplitBacklog
    from tasks.evaluate.router_names import RouterChoice
    from tasks.report.comparison import Comparison, RouterScore

Scores = dict[str, "NDArray[np.float64]"]

_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Bill:
    """What a router's answers cost.

    Attributes:
        cost_usd: mean over the rows of recorded cost, None where none is recorded.
        priced: the number of those rows.
        calls: model calls a question, as the committed attempts say.
        pairs: distinct pairs chosen.
    """

    cost_usd: Decimal | None
    priced: int
    calls: float
    pairs: int


class Measured(NamedTuple):
    """One routed backlog; arrays are in the file's order.

    Attributes:
        scores: (n,) NaN where unscored.
        bill: what they cost.
        expected: (n,) scores the router expected, NaN where it said nothing; of a multi-step
            router its confidence in the answer.
    """

    scores: NDArray[np.float64]
    bill: Bill
    expected: NDArray[np.float64]


class Realised(NamedTuple):
    """What one random draw came to, beside its exact expectation."""

    macro: float
    micro: float
    cost_usd: Decimal | None


class Resolved(NamedTuple):
    """What a router that chooses among others came to: a router, its clusters, and why."""

    router: str
    k: int | None
    why: str


@dataclass(frozen=True, slots=True)
class SplitResult:
    """One router on one split.

    Attributes:
        score: macro and micro with intervals; of `random` the exact expectation.
        scores: (n,) what it was computed from, in the file's order, NaN where unscored.
        bill: money and calls; of `random` the expected ones.
        realised: of `random`, what the routed draw came to.
        ece: expected calibration error of the expected scores, in [0, 1]; None where the router
            expects nothing. An unscored outcome is left out of it.
        resolved: of `auto`, the router it took and why.
    """

    choice: RouterChoice
    split: str
    score: RouterScore
    scores: NDArray[np.float64]
    bill: Bill
    routed: Routed
    realised: Realised | None = None
    ece: float | None = None
    resolved: Resolved | None = None

    def as_json(self) -> dict[str, Any]:
        """Plain values; scores lie in [0, 1], money is dollars a question, null is unknown."""
        score = self.score
        plain: dict[str, Any] = {
            "n": score.n,
            "unscored": score.unscored,
            "macro": score.macro.value,
            "macro_low": score.macro.low,
            "macro_high": score.macro.high,
            "micro": score.micro.value,
            "micro_low": score.micro.low,
            "micro_high": score.micro.high,
            "macro_gain": _interval(score.macro_gain),
            "micro_gain": _interval(score.micro_gain),
            "gain_low": None if score.micro_gain is None else float(score.micro_gain.low),
            "gain_high": None if score.micro_gain is None else float(score.micro_gain.high),
            "ece": self.ece,
            "by_dataset": score.by_dataset,
            "cost_usd": _number(self.bill.cost_usd),
            "cost_n": self.bill.priced,
            "calls": self.bill.calls,
            "pairs_used": self.bill.pairs,
            "decisions_per_s": self.routed.decisions_per_s,
            "rows_per_s": self.routed.rows_per_s,
        }
        if self.realised is not None:
            plain |= {
                "macro_realised": self.realised.macro,
                "micro_realised": self.realised.micro,
                "cost_usd_realised": _number(self.realised.cost_usd),
            }
        if self.resolved is not None:
            plain["resolved"] = self.resolved._asdict()
        return plain


def read_back(root: Path, backlog: SplitBacklog, run_id: str) -> Measured:
    """The committed answers and attempts of a run.

    Raises:
        RecordedTableError: a chosen pair has no recorded outcome on a question; names the cells.
        WarehouseError: a committed file is not what was committed.
    """
    import polars as pl

    from warehouse.query import answers, attempts, committed

    columns = (
        "query_id", "status", "pair_id", "score", "cost_usd", "error_message", "confidence",
    )  # fmt: skip
    rows = answers(root, run_id).select(columns).collect()
    lost = rows.filter(pl.col("status") != "answered")
    if len(lost) or len(rows) != len(backlog.place):
        raise RecordedTableError(_lost(backlog, lost, len(rows)))
    calls = (
        attempts(root, run_id)
        .select((pl.col("operation_name").cast(pl.String) == "chat").sum())
        .collect()
        .item()
    )
    decisions = (
        committed(root, "decisions", run_id)
        .filter((pl.col("step") == 0) & (pl.col("rank") == 0))
        .select("query_id", "expected_score")
        .collect()
    )
    # After many steps the router knows more than it expected of the first call.
    confidence = _in_order(rows, "confidence", backlog)
    expected = _in_order(decisions, "expected_score", backlog)
    priced = rows.get_column("cost_usd").drop_nulls()
    total = sum(priced, Decimal(0))
    return Measured(
        _in_order(rows, "score", backlog),
        Bill(
            cost_usd=total / len(priced) if len(priced) else None,
            priced=len(priced),
            calls=int(calls) / len(rows),
            pairs=rows.get_column("pair_id").n_unique(),
        ),
        np.where(np.isnan(confidence), expected, confidence),
    )


def _in_order(rows: pl.DataFrame, column: str, backlog: SplitBacklog) -> NDArray[np.float64]:
    """(n,) a column in the file's order, NaN for null."""
    import polars as pl

    order = rows.get_column("query_id").replace_strict(backlog.place, return_dtype=pl.Int64)
    values = np.full(len(backlog.place), np.nan)
    values[order.to_numpy()] = (
        rows.get_column(column).cast(pl.Float64).fill_null(float("nan")).to_numpy()
    )
    return values


def calibration_error(measured: Measured) -> float | None:
    """Expected calibration error of the scores a router expected; None where it expected none."""
    from profiles.predictor import expected_calibration_error

    error = expected_calibration_error(measured.expected, measured.scores)
    return None if np.isnan(error) else error


def _lost(backlog: SplitBacklog, lost: pl.DataFrame, found: int) -> str:
    if lost.is_empty():
        return (
            f"{found} of {len(backlog.place)} questions of split {backlog.split!r} were answered; "
            "evaluate again without --keep, or into another folder"
        )
    cells = [
        f"\n  - query {row['query_id']!r}, pair {row['pair_id']!r}: {row['error_message']}"
        for row in lost.head(_SHOWN).iter_rows(named=True)
    ]
    more = f"\n  - and {len(lost) - _SHOWN} more" if len(lost) > _SHOWN else ""
    return (
        f"{backlog.table.directory}: {len(lost)} of {found} questions of split "
        f"{backlog.split!r} were sent to a pair whose outcome was never recorded:"
        f"{''.join(cells)}{more}"
    )


def expectation(backlog: SplitBacklog, pairs: tuple[Pair, ...]) -> Measured:
    """What a uniform draw among all pairs comes to on average, exactly, over the recorded cells.

    A null score counts 0, as it does when its pair is drawn; the mean cost is over the cells of
    recorded cost.

    Raises:
        RecordedTableError: a cell was never recorded, so that there is no expectation.
    """
    known = backlog.outcomes
    holes = np.argwhere(~known.observed)
    if len(holes):
        query_ids = list(backlog.place)
        row, column = (int(number) for number in holes[0])
        raise RecordedTableError(
            f"{backlog.table.directory}: router 'random' needs the outcome of every pair on every "
            f"question, but {len(holes)} of split {backlog.split!r} were never recorded; the first "
            f"is query {query_ids[row]!r}, pair {pairs[column].pair_id!r}. Leave 'random' out, or "
            "record them"
        )
    costs = known.costs_usd[np.isfinite(known.costs_usd)]
    mean = Decimal(f"{costs.mean():.12f}") if len(costs) else None
    return Measured(
        np.nan_to_num(known.scores, nan=0.0).mean(axis=1),
        Bill(cost_usd=mean, priced=len(costs), calls=1.0, pairs=len(pairs)),
        np.full(len(known.scores), np.nan),
    )


def realised(drawn: Measured, compared: Comparison, name: str) -> Realised:
    """What a routed draw came to, from a comparison that has it under `name`."""
    score = compared.routers[name]
    return Realised(score.macro.value, score.micro.value, drawn.bill.cost_usd)


def _interval(interval: Any) -> list[float] | None:  # noqa: ANN401
    """[value, low, high]."""
    return None if interval is None else [float(figure) for figure in interval]


def _number(money: Decimal | None) -> float | None:
    return None if money is None else float(money)
