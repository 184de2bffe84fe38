"""Calls of which only the pair is known: what its calls cost and take, whatever was asked.

A spend log that stores no prompts says nothing of any question. Beside a log that knows questions
and no money, it still prices the pairs: a cell without a cost, token counts or time of its own
takes its pair's mean over those calls, and its `source` says so (`lm-eval+litellm`). Nothing that
was observed is ever replaced, and no question is made up.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

from tasks.importing.record import Call

if TYPE_CHECKING:
    import polars as pl

MEASURES = ("cost_usd", "input_tokens", "output_tokens", "duration_s")


class PairCalls:
    """Running means of every pair's calls; failed calls are counted and not averaged."""

    def __init__(self) -> None:
        self._seen: set[int] = set()
        self._sums: dict[tuple[str, str], dict[str, tuple[float, int]]] = {}

    def __len__(self) -> int:
        return len(self._seen)

    def add(self, call: Call, observation: str) -> None:
        """Take one call; one that stands in two exports counts once."""
        if hash(observation) in self._seen:
            return
        self._seen.add(hash(observation))
        if call.error_type is not None:
            return
        sums = self._sums.setdefault((call.model, call.tool), {})
        for name in MEASURES:
            value = getattr(call, name)
            if value is not None:
                total, count = sums.get(name, (0.0, 0))
                sums[name] = total + value, count + 1

    def means(self) -> Mapping[tuple[str, str], Mapping[str, float]]:
        """Mean of what is known, by pair."""
        return {
            pair: {name: total / count for name, (total, count) in sums.items()}
            for pair, sums in self._sums.items()
        }

    def fill(self, outcomes: pl.DataFrame, source: str, notes: list[str]) -> pl.DataFrame:
        """The outcomes, where they did not fail, with their pair's means where they know nothing.

        Args:
            outcomes: one row a cell, as `tasks.importing.observations.settle` gives it.
            source: the kind of log these calls come from.
            notes: gets a sentence.
        """
        import polars as pl

        if not self._seen:
            return outcomes
        means = self.means()
        rows = [
            (*pair, *(known.get(name, math.nan) for name in MEASURES))
            for pair, known in means.items()
        ]
        columns = ["model", "tool", *(f"mean_{name}" for name in MEASURES)]
        frame = pl.DataFrame(
            rows,
            schema=dict.fromkeys(columns[:2], pl.String) | dict.fromkeys(columns[2:], pl.Float64),
            orient="row",
        ).with_columns(pl.col(columns[2:]).fill_nan(None))
        joined = outcomes.join(frame, on=["model", "tool"], how="left", maintain_order="left")
        gains = {
            name: pl.col(name).is_null()
            & pl.col(f"mean_{name}").is_not_null()
            & pl.col("error_type").is_null()
            for name in MEASURES
        }
        priced = joined.select(gains["cost_usd"].sum()).item()
        filled = joined.with_columns(
            *(
                pl.when(gain)
                .then(_like(pl.col(f"mean_{name}"), outcomes.schema[name]))
                .otherwise(pl.col(name))
                .alias(name)
                for name, gain in gains.items()
            ),
            source=pl.when(pl.any_horizontal(list(gains.values())))
            .then(pl.col("source") + f"+{source}")
            .otherwise(pl.col("source")),
        ).select(outcomes.columns)
        notes.append(
            f"calls whose question is not in the log: {len(self):,}; their pairs' means fill "
            f"what outcomes do not know themselves, the cost of {priced:,} of {len(outcomes):,}"
        )
        return filled


def _like(mean: pl.Expr, kind: pl.DataType) -> pl.Expr:
    """A mean in the type of its column; token counts are whole."""
    return mean.round().cast(kind) if kind.is_integer() else mean
