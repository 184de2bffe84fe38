"""Outcomes as matrices: a long table of graded results spread over (question, pair) cells."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from profiles.errors import ProfileError
from profiles.pool import Pair

Matrix = NDArray[np.float64]

_NEEDED = ("query_id", "model", "tool", "score")
_OPTIONAL = ("cost_usd", "input_tokens", "output_tokens", "duration_s")


@dataclass(frozen=True, slots=True)
class OutcomeMatrices:
    """What was observed of P pairs on n questions: every array is (n, P), NaN is unknown."""

    scores: Matrix
    """In [0, 1]; NaN is unscored."""
    costs_usd: Matrix
    input_tokens: Matrix
    output_tokens: Matrix
    durations_s: Matrix
    observed: NDArray[np.bool_]
    """Whether the cell was run at all, scored or not."""
    failed: NDArray[np.bool_]
    """Whether the cell's call failed."""

    def rows(self, keep: NDArray[np.bool_] | NDArray[np.int64]) -> OutcomeMatrices:
        """The same matrices for some of the questions."""
        return OutcomeMatrices(
            self.scores[keep],
            self.costs_usd[keep],
            self.input_tokens[keep],
            self.output_tokens[keep],
            self.durations_s[keep],
            self.observed[keep],
            self.failed[keep],
        )


def outcome_matrices(
    query_ids: Sequence[str], outcomes: pl.DataFrame, pairs: Sequence[Pair]
) -> OutcomeMatrices:
    """Spread outcome rows over (question, pair) cells.

    Args:
        query_ids: n distinct ids, the order of the rows.
        outcomes: one row per cell: `query_id, model, tool, score` and, where known, `cost_usd,
            input_tokens, output_tokens, duration_s, error_type`. Rows of other questions or
            pairs are left out.
        pairs: P pairs, the order of the columns.

    Raises:
        ProfileError: if a column is missing, a cell is given twice, or a value is out of range.
    """
    _check_columns(outcomes)
    questions = pl.DataFrame({"query_id": list(query_ids)}, schema={"query_id": pl.String})
    if questions.get_column("query_id").is_duplicated().any():
        twice = questions.filter(pl.col("query_id").is_duplicated()).item(0, 0)
        msg = f"query_id {twice!r} names two questions; ids must be unique"
        raise ProfileError(msg)
    columns = pl.DataFrame(
        {"model": [pair.model for pair in pairs], "tool": [pair.tool for pair in pairs]},
        schema={"model": pl.String, "tool": pl.String},
    )
    cells = outcomes.join(questions.with_row_index("row"), on="query_id", how="inner").join(
        columns.with_row_index("column"), on=["model", "tool"], how="inner"
    )
    _check_cells(cells)
    row = cells.get_column("row").to_numpy().astype(np.int64)
    column = cells.get_column("column").to_numpy().astype(np.int64)
    shape = (len(query_ids), len(pairs))

    def spread(name: str) -> Matrix:
        matrix = np.full(shape, np.nan)
        if name in cells.columns:
            values = cells.get_column(name).cast(pl.Float64).fill_null(float("nan"))
            matrix[row, column] = values.to_numpy()
        return matrix

    observed = np.zeros(shape, np.bool_)
    observed[row, column] = True
    failed = np.zeros(shape, np.bool_)
    if "error_type" in cells.columns:
        failed[row, column] = cells.get_column("error_type").is_not_null().to_numpy()
    scores, costs, inputs, outputs, durations = (spread(n) for n in ("score", *_OPTIONAL))
    return OutcomeMatrices(scores, costs, inputs, outputs, durations, observed, failed)


def _check_columns(outcomes: pl.DataFrame) -> None:
    missing = [name for name in _NEEDED if name not in outcomes.columns]
    if missing:
        msg = f"the outcomes lack the column(s) {', '.join(missing)}; they have {outcomes.columns}"
        raise ProfileError(msg)
    for name in ("query_id", "model", "tool"):
        if outcomes.schema[name] not in {pl.String, pl.Null} and not isinstance(
            outcomes.schema[name], pl.Categorical | pl.Enum
        ):
            msg = f"the outcomes' column {name!r} must be text, not {outcomes.schema[name]}"
            raise ProfileError(msg)
    for name in ("score", *_OPTIONAL):
        kind = outcomes.schema.get(name)
        if kind is not None and kind != pl.Null and not kind.is_numeric():
            msg = f"the outcomes' column {name!r} must be numbers, not {kind}"
            raise ProfileError(msg)


def _check_cells(cells: pl.DataFrame) -> None:
    twice = cells.filter(pl.struct("row", "column").is_duplicated())
    if len(twice):
        first = twice.row(0, named=True)
        msg = (
            f"query {first['query_id']!r} has more than one outcome of"
            f" {Pair(first['model'], first['tool']).pair_id!r}; keep one row per question and pair"
        )
        raise ProfileError(msg)
    for name in ("score", *_OPTIONAL):
        if name not in cells.columns:
            continue
        value = pl.col(name).cast(pl.Float64)
        beyond = value.is_infinite() | (value < 0) | ((value > 1) if name == "score" else False)
        bad = cells.filter(value.is_not_nan() & beyond)
        if len(bad):
            first = bad.row(0, named=True)
            allowed = "a number in [0, 1]" if name == "score" else "0 or more"
            msg = (
                f"query {first['query_id']!r}, {Pair(first['model'], first['tool']).pair_id!r}:"
                f" {name} is {first[name]}, but must be {allowed}, or null where unknown"
            )
            raise ProfileError(msg)
