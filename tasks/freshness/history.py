"""Reading the record of past refreshes and of drift; frames for figures and reports."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import polars as pl


def freshness_history(root: Path) -> pl.DataFrame:
    """What the canaries said, one row per (night, pair, metric), oldest first.

    Columns: `night` (text), `measured_at`, `pair_id`, `metric`, `direction`, `value`, `low`,
    `high`, `n`, `baseline`, `nights`, `window`, `p_value`, `e_value`, `level`, `alarm`, `set_id`.

    Raises:
        WarehouseError: no ledger, or a file that is not what was committed.
    """
    from warehouse.query import committed

    rows = committed(root, "drift").select(
        "night", "measured_at", "pair_id", "metric", "direction", "value", "low", "high", "n",
        "baseline", "nights", "window", "p_value", "e_value", "level", "alarm", "set_id",
    )  # fmt: skip
    # A pair whose canaries were chosen anew in one night has two sets in it: the newer one counts.
    return (
        rows.collect()
        .sort("night", "pair_id", "metric", "measured_at")
        .unique(["night", "pair_id", "metric"], keep="last", maintain_order=True)
    )


def refresh_history(root: Path) -> pl.DataFrame:
    """Every finished refresh, one row each, oldest first.

    Columns: `run_id`, `night`, `started_at`, `ended_at`, `old_profile_id`, `profile_id`,
    `cells_run`, `cells_known`, `canaries_run`, `calls`, `alarms`, `cost_usd` (decimal), `gate`
    (null where the knowledge stayed the same), `published`, `reason`, `gate_json`, `queries_json`,
    `policy_json`.

    Raises:
        WarehouseError: no ledger, or a file that is not what was committed.
    """
    from warehouse.query import committed

    rows = committed(root, "refreshes").select(
        "run_id", "night", "started_at", "ended_at", "old_profile_id", "profile_id", "cells_run",
        "cells_known", "canaries_run", "calls", "alarms", "cost_usd", "gate", "published", "reason",
        "gate_json", "queries_json", "policy_json",
    )  # fmt: skip
    return rows.collect().sort("started_at", "run_id")
