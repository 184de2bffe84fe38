"""What known outcomes cost at today's prices: counted tokens times the pool's prices, no calls.

Every attempt keeps its tokens, cached ones apart, so a changed price is exact to the billionth of
a dollar: each call is priced and rounded as it would have been (`profiles.prices.call_cost`), then
summed as the outcome was. What was charged without an answer of known length (a lost call's
reservation) cannot be priced again and makes the cost unknown, never zero. Tables keep what was
really paid; only what a profile expects is in today's prices.
"""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from profiles.pool import Pair
from profiles.prices import call_cost
from tasks.profiling.cell_versions import NOT_ASKED

if TYPE_CHECKING:
    from profiles.pool import Pool
    from warehouse.ledger import LedgerReader

Key = tuple[str, str, str]
"""(run_id, query_id, pair_id) of an answer."""

_COLUMNS = (
    "run_id", "query_id", "pair_id", "operation_name", "status", "charge_kind", "input_tokens",
    "output_tokens", "cache_read_input_tokens",
)  # fmt: skip
_ALWAYS_PRICED = ("calculator", "python")
"""Kinds of tools that cost their price whatever came of it; a search that was refused is free."""


def at_todays_prices(
    outcomes: pl.DataFrame, root: Path, ledger: LedgerReader, pool: Pool
) -> pl.DataFrame:
    """The outcomes with `cost_usd` in the pool's prices.

    Args:
        outcomes: rows of `tasks.profiling.evidence.evidence`.
        root: of the warehouse.
        ledger: knows the commits of the attempts.
        pool: prices are its.

    Raises:
        WarehouseError: a committed file cannot be read.
    """
    moved = outcomes.filter(_moved())
    if moved.is_empty():
        return outcomes
    paid_by = pl.coalesce("answer_run_id", "run_id")
    calls = _calls(moved.with_columns(run_id=paid_by), root, ledger)
    costs = []
    for row in moved.with_columns(run_id=paid_by).iter_rows(named=True):
        key = row["run_id"], row["query_id"], row["pair_id"]
        costs.append(_cost(calls.get(key), row, pool))
    priced = moved.select("query_id", "pair_id").with_columns(
        now_usd=pl.Series(costs, dtype=outcomes.schema["cost_usd"]), moved=pl.lit(value=True)
    )
    return (
        outcomes.join(priced, on=["query_id", "pair_id"], how="left", maintain_order="left")
        .with_columns(
            cost_usd=pl.when(pl.col("moved").fill_null(value=False))
            .then("now_usd")
            .otherwise("cost_usd")
        )
        .drop("now_usd", "moved")
    )


def _moved() -> pl.Expr:
    """Rows whose cost is by other prices, or by several; or unknown where tokens are known."""
    stamped = pl.col("model_version").is_not_null()
    same = (pl.col("prices_version") == pl.col("prices_now")).fill_null(value=False)
    priceable = pl.col("prices_now") != NOT_ASKED
    unknown = pl.col("cost_usd").is_null() & pl.col("input_tokens").is_not_null()
    return priceable & ((stamped & ~same) | (~stamped & unknown))


def _calls(
    moved: pl.DataFrame, root: Path, ledger: LedgerReader
) -> dict[Key, list[dict[str, Any]]]:
    from warehouse.query import scan

    wanted = moved.select("run_id", "query_id", "pair_id").unique()
    runs = set(wanted.get_column("run_id"))
    commits = [record for record in ledger.commits("attempts") if record.run_id in runs]
    rows = (
        scan(root, commits, "attempts")
        .select(_COLUMNS)
        .join(wanted.lazy(), on=["run_id", "query_id", "pair_id"], how="semi")
        .filter(pl.col("charge_kind") != "doubt")
        .collect()
    )
    found: dict[Key, list[dict[str, Any]]] = defaultdict(list)
    for row in rows.iter_rows(named=True):
        found[row["run_id"], row["query_id"], row["pair_id"]].append(row)
    return found


def _cost(
    calls: list[dict[str, Any]] | None, outcome: dict[str, Any], pool: Pool
) -> Decimal | None:
    pair = Pair(outcome["model"], outcome["tool"])
    if not calls:
        # Imported evidence: its sums are all there is.
        prices = pool.models[pair.model].prices
        return call_cost(outcome["input_tokens"], outcome["output_tokens"], None, prices)
    total = Decimal(0)
    for call in calls:
        cost = _call_cost(call, pair, pool)
        if cost is None:
            return None
        total += cost
    return total


def _call_cost(call: dict[str, Any], pair: Pair, pool: Pool) -> Decimal | None:
    if call["operation_name"] == "execute_tool":
        tool = pool.tools[pair.tool]
        refused = call["status"] != "ok" and call["charge_kind"] == "free"
        free = refused and tool.kind not in _ALWAYS_PRICED
        return Decimal(0) if free else tool.price_per_call_usd
    if call["charge_kind"] == "free":
        return Decimal(0)
    return call_cost(
        call["input_tokens"],
        call["output_tokens"],
        call["cache_read_input_tokens"],
        pool.models[pair.model].prices,
    )
