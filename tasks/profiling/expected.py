"""What a cell of every pair is expected to take, from the cells that are known.

A pair with at least five known outcomes speaks for itself. A pair without speaks through others
with the same kind of tool: their calls and tokens, at its own prices, counted as a single outcome
of wide spread, because models differ more than questions do. Without these either, only bounds
are left (`tasks.plan.worst_case`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from profiles.prices import MILLION, call_cost
from tasks.plan.estimates import LEAST_OUTCOMES
from tasks.plan.worst_case import BYTES_A_TOKEN, first_call_bytes

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray

    from profiles.pool import Pair, Pool
    from tasks.query import Query

BORROWED_CV = 0.75
"""Spread of what one model takes where others are known: a factor of 3 either way at 90 %."""
TYPICAL_CALLS = (1.0, 2.0)
"""Calls of a cell without and with a tool, where no outcome says."""

TYPICAL_OUTPUT = 200
"""Output tokens of a call, where no outcome says."""

Basis = Literal["profile", "borrowed", "worst_case"]


class Amount(NamedTuple):
    """A mean per cell, its coefficient of variation and the outcomes behind it."""

    mean: float
    cv: float
    m: int


@dataclass(frozen=True, slots=True)
class Expected:
    """What a cell of one pair takes.

    Attributes:
        basis: where the amounts come from; of a `worst_case` there are none.
        cost: dollars; None where unknown.
        durations_s: median, mean and 95th percentile; None where unknown.
        few_usd: mean cost of fewer outcomes than can speak for the pair; None without any.
    """

    basis: Basis
    outcomes: int
    calls: float
    cost: Amount | None = None
    input_tokens: Amount | None = None
    output_tokens: Amount | None = None
    durations_s: tuple[float, float, float] | None = None
    few_usd: float | None = None


def expected_cells(outcomes: pl.DataFrame, pool: Pool) -> dict[Pair, Expected]:
    """What a cell of every pair takes.

    Args:
        outcomes: rows of `tasks.profiling.fit.usable_outcomes`: at today's prices.
        pool: its pairs, in pair order.
    """
    import polars as pl

    answered = outcomes.filter(pl.col("error_type").is_null())
    found: dict[Pair, Expected] = {}
    for pair in pool.pairs:
        own = answered.filter(pl.col("pair_id") == pair.pair_id)
        if len(own) >= LEAST_OUTCOMES:
            found[pair] = _own(own)
            continue
        kind = pool.tools[pair.tool].kind
        kin = [other.pair_id for other in pool.pairs if pool.tools[other.tool].kind == kind]
        others = answered.filter(pl.col("pair_id").is_in(kin))
        if len(others) >= LEAST_OUTCOMES:
            found[pair] = _borrowed(others, pair, pool, len(own))
        else:
            plain = kind in ("none", "recorded")
            paid = _values(own, "cost_usd")
            found[pair] = Expected(
                "worst_case",
                len(own),
                TYPICAL_CALLS[0 if plain else 1],
                few_usd=float(paid.mean()) if len(paid) else None,
            )
    return found


def _own(rows: pl.DataFrame) -> Expected:
    return Expected(
        "profile",
        len(rows),
        _mean(rows, "calls", 1.0),
        _amount(rows, "cost_usd"),
        _amount(rows, "input_tokens"),
        _amount(rows, "output_tokens"),
        _durations(rows),
    )


def _borrowed(rows: pl.DataFrame, pair: Pair, pool: Pool, own: int) -> Expected:
    tokens = [_amount(rows, name) for name in ("input_tokens", "output_tokens")]
    wide = [None if one is None else Amount(one.mean, BORROWED_CV, 1) for one in tokens]
    prices, price = pool.models[pair.model].prices, pool.tools[pair.tool].price_per_call_usd
    calls = _mean(rows, "calls", 1.0)
    cost = None
    if None not in wide and prices.known and price is not None:
        assert wide[0] is not None
        assert wide[1] is not None
        assert prices.input_usd is not None
        assert prices.output_usd is not None
        dollars = wide[0].mean * float(prices.input_usd) + wide[1].mean * float(prices.output_usd)
        # Every model call but the last was followed by one of the tool.
        cost = dollars / float(MILLION) + max(calls - 1.0, 0.0) * float(price)
    return Expected(
        "borrowed",
        own,
        calls,
        None if cost is None else Amount(cost, BORROWED_CV, 1),
        wide[0],
        wide[1],
        _durations(rows),
    )


def _values(rows: pl.DataFrame, name: str) -> NDArray[np.float64]:
    return rows.get_column(name).drop_nulls().cast(float).to_numpy()


def _mean(rows: pl.DataFrame, name: str, default: float) -> float:
    values = _values(rows, name)
    return float(values.mean()) if len(values) else default


def _amount(rows: pl.DataFrame, name: str) -> Amount | None:
    values = _values(rows, name)
    if len(values) < LEAST_OUTCOMES:
        return None
    mean = float(values.mean())
    cv = float(values.std(ddof=1)) / mean if mean > 0 else 0.0
    return Amount(mean, cv, len(values))


def _durations(rows: pl.DataFrame) -> tuple[float, float, float] | None:
    values = _values(rows, "duration_s")
    if not len(values):
        return None
    p50, p95 = np.quantile(values, (0.5, 0.95))
    return float(p50), float(values.mean()), float(p95)


class Guess(NamedTuple):
    """What a cell of a pair may take that nobody has tried; `usd` is NaN where unpriced."""

    usd: float
    input_tokens: float
    output_tokens: float


def guess(one: Expected, pair: Pair, pool: Pool, queries: Sequence[Query]) -> Guess:
    """The text at four bytes a token in each of `TYPICAL_CALLS`, `TYPICAL_OUTPUT` tokens out.

    It sizes a pilot (`tasks.profiling.rounds`), after which the pair's own outcomes speak, few as
    they are.
    """
    spec, tool = pool.models[pair.model], pool.tools[pair.tool]
    sizes = [first_call_bytes(query, tool) for query in queries]
    read = one.calls * sum(sizes) / max(len(sizes), 1) / BYTES_A_TOKEN
    written = one.calls * min(TYPICAL_OUTPUT, spec.limits.max_output_tokens)
    cost = call_cost(round(read), round(written), None, spec.prices)
    if one.few_usd is not None:
        usd = one.few_usd
    elif cost is None or tool.price_per_call_usd is None:
        usd = math.nan
    else:
        usd = float(cost) + max(one.calls - 1.0, 0.0) * float(tool.price_per_call_usd)
    return Guess(usd, read, written)


def expected_usd(
    expected: dict[Pair, Expected], pool: Pool, queries: Sequence[Query]
) -> list[float]:
    """Expected dollars of a cell of every pair, in pair order; NaN where its price is unknown."""
    costs = [expected[pair].cost for pair in pool.pairs]
    return [
        guess(expected[pair], pair, pool, queries).usd if cost is None else cost.mean
        for pair, cost in zip(pool.pairs, costs, strict=True)
    ]
