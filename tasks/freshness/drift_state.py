"""What the canaries say, worked out from committed rows alone: there is no state beside them."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from profiles.drift import CanaryHistory, Reading, read_metrics
from tasks.freshness.canary_run import KIND

if TYPE_CHECKING:
    import polars as pl

    from tasks.freshness.canary_sets import CanarySet
    from warehouse.ledger import Ledger, RunRecord

_NEEDED = (
    "run_id", "query_id", "pair_id", "score", "answer", "cost_usd", "output_tokens", "duration_s",
    "error_type", "prices_version",
)  # fmt: skip
INVALIDATING = ("accuracy", "refusal", "length", "price")
"""Metrics whose drift makes a pair's cells stale. Latency is reported only: no router decides by
it, and asking everything again would not make the pair faster."""


class PairDrift(NamedTuple):
    """What one night says of one pair."""

    canaries: CanarySet
    readings: tuple[Reading, ...]

    @property
    def alarms(self) -> tuple[Reading, ...]:
        """Metrics that drifted."""
        return tuple(reading for reading in self.readings if reading.alarm)

    @property
    def stale(self) -> tuple[Reading, ...]:
        """Drifted metrics that make the pair's cells stale."""
        return tuple(reading for reading in self.alarms if reading.metric in INVALIDATING)


def drift_of_night(
    root: Path, ledger: Ledger, living: Mapping[str, CanarySet], *, night: str
) -> list[PairDrift]:
    """What the canaries of a night say of every pair that was asked in it.

    Args:
        root: of the warehouse.
        ledger: knows runs and commits.
        living: sets by pair id.
        night: the day in UTC; later ones are not looked at.

    Raises:
        WarehouseError: a committed file cannot be read.
    """
    runs = _runs_up_to(ledger.runs(), night)
    found = []
    outcomes = _outcomes(root, ledger, [run.run_id for run, _ in runs]) if runs else None
    for one in sorted(living.values(), key=lambda one: one.pair_id):
        asked = [(run, config) for run, config in runs if one.set_id in config["sets"]]
        if outcomes is None or not any(config["night"] == night for _, config in asked):
            continue
        found.append(PairDrift(one, tuple(read_metrics(history_of(one, asked, outcomes)))))
    return found


def _runs_up_to(runs: Sequence[RunRecord], night: str) -> list[tuple[RunRecord, dict[str, Any]]]:
    """Complete canary runs, oldest night first; the run that is its night comes last in it."""
    known = [
        (run, json.loads(run.config_json))
        for run in runs
        if run.kind == KIND and run.state == "complete"
    ]
    wanted = [(run, config) for run, config in known if config["night"] <= night]
    return sorted(wanted, key=lambda one: (one[1]["night"], -one[1]["repeat"], one[0].run_id))


def _outcomes(root: Path, ledger: Ledger, run_ids: Sequence[str]) -> pl.DataFrame:
    from warehouse.query import scan

    wanted = set(run_ids)
    commits = [one for one in ledger.commits("canary_outcomes") if one.run_id in wanted]
    return scan(root, commits, "canary_outcomes").select(_NEEDED).collect()


def history_of(
    canaries: CanarySet,
    runs: Sequence[tuple[RunRecord, Mapping[str, Any]]],
    outcomes: pl.DataFrame,
) -> CanaryHistory:
    """The runs of one set as tables, one row a run.

    Answers that failed are missing, not wrong. Lengths are output tokens, or characters where some
    answer of the set came without a count. Costs paid by another price list than the last one are
    missing: a price that the pool's owner changed is no drift.
    """
    import polars as pl

    place = {query_id: column for column, query_id in enumerate(canaries.query_ids)}
    row_of = {run.run_id: row for row, (run, _) in enumerate(runs)}
    rows = outcomes.filter(
        (pl.col("pair_id") == canaries.pair_id)
        & pl.col("run_id").is_in(list(row_of))
        & pl.col("query_id").is_in(list(place))
        & pl.col("error_type").is_null()
    )
    at = (
        np.array([row_of[name] for name in rows.get_column("run_id")], dtype=np.int64),
        np.array([place[name] for name in rows.get_column("query_id")], dtype=np.int64),
    )
    shape = (len(runs), len(place))

    def spread(values: pl.Series) -> np.ndarray[Any, np.dtype[np.float64]]:
        table = np.full(shape, np.nan)
        table[at] = values.cast(pl.Float64).fill_null(float("nan")).to_numpy()
        return table

    from tasks.grade.abstain import declined

    answers = rows.get_column("answer").to_list()
    tokens = rows.get_column("output_tokens")
    characters = pl.Series([None if text is None else float(len(text)) for text in answers])
    refusals = [None if text is None else float(declined(text) or not text) for text in answers]
    last = rows.filter(pl.col("run_id") == runs[-1][0].run_id).get_column("prices_version")
    price = last.mode().sort().to_list()[0] if len(last.drop_nulls()) else None
    paid = rows.get_column("cost_usd").cast(pl.Float64)
    same = (rows.get_column("prices_version") == price).fill_null(value=False)
    return CanaryHistory(
        scores=spread(rows.get_column("score")),
        refused=spread(pl.Series(refusals, dtype=pl.Float64)),
        lengths=spread(tokens if not tokens.null_count() else characters),
        durations_s=spread(rows.get_column("duration_s")),
        costs_usd=spread(paid.set(~same, None) if price is not None else paid),
        first_of_night=np.array([config["repeat"] == 0 for _, config in runs], dtype=np.bool_),
    )


def drift_rows(found: Sequence[PairDrift], *, night: str, now: datetime) -> list[dict[str, Any]]:
    """Rows of the table `drift`."""
    return [
        {
            "night": night,
            "set_id": one.canaries.set_id,
            "pair_id": one.canaries.pair_id,
            "metric": reading.metric,
            "direction": reading.direction,
            "value": reading.value,
            "low": reading.low,
            "high": reading.high,
            "n": reading.n,
            "baseline": reading.baseline,
            "nights": reading.nights,
            "window": reading.evidence.window,
            "p_value": reading.evidence.p_value,
            "e_value": reading.evidence.e_value,
            "level": reading.evidence.level,
            "alarm": reading.alarm,
            "measured_at": now,
        }
        for one in found
        for reading in one.readings
    ]


def alarm_sentence(reading: Reading) -> str:
    """An alarm in words, for people and for the ledger."""
    nights = reading.evidence.window
    span = "tonight" if nights == 1 else f"over the last {nights} nights"
    before = "" if math.isnan(reading.baseline) else f", {_said(reading, reading.baseline)} before"
    return (
        f"{reading.metric} went {reading.direction} {span}: {_said(reading, reading.value)} "
        f"tonight{before} ({reading.n} canaries, p = {reading.evidence.p_value:.1e} against a "
        f"level of {reading.evidence.level:.1e})"
    )


def _said(reading: Reading, value: float) -> str:
    if reading.metric in ("accuracy", "refusal"):
        return f"{100 * value:.0f} %"
    if reading.metric == "latency":
        return f"{value:.2f} s"
    return f"${value:.6f}" if reading.metric == "price" else f"{value:.0f} tokens"
