"""A client that replays a table of recorded outcomes: real results, no calls, nothing invented."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np

from tasks.call.base import ChatRequest, ChatResponse, RecordedOutcome, Usage
from tasks.call.errors import Fate, RowError

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    import polars as pl
    from numpy.typing import NDArray

REQUIRED_COLUMNS = (
    "query_id",
    "model",
    "tool",
    "score",
    "cost_usd",
    "input_tokens",
    "output_tokens",
    "answer",
)
"""Columns of an outcome table; all but the first three may hold nulls."""
_KEYS = ("query_id", "model", "tool")
_NANO = 1_000_000_000
_UNKNOWN = -1
_FLOAT32_DIGITS = 7
_MOST_DOLLARS = 1e6
"""Of one call. More is no price, and sums of it would not fit the tables' columns of money."""


class RecordedTableError(ValueError):
    """An outcome table that cannot be replayed; the message lists every problem found."""


class RecordedClient:
    """Answers from a table with one row per (query, model, tool).

    Which cell is meant comes from `request.origin`; the text asked is not looked at. Held as
    arrays indexed by (query, pair): a cell costs about 40 bytes beside its answer's text.

    Args:
        outcomes: columns `REQUIRED_COLUMNS`; a null score is unscored, a null cost unknown.
        queries: the ids the backlog knows; when given, every row must be about one of them.
        source: what to call the table in messages.

    Raises:
        RecordedTableError: a column is missing or of the wrong type, a cell appears twice, a
            score lies outside [0, 1], a cost or a token count is negative, a query is unknown.
    """

    provider = "recorded"

    def __init__(
        self,
        outcomes: pl.DataFrame,
        *,
        queries: Collection[str] | None = None,
        source: str = "the outcome table",
    ) -> None:
        problems = _problems(outcomes, queries)
        if problems:
            lines = "".join(f"\n  - {problem}" for problem in problems)
            raise RecordedTableError(f"{source} cannot be replayed:{lines}")
        self._source = source
        self._rows = _positions(outcomes, "query_id")
        self._models = _positions(outcomes, "model")
        self._tools = _positions(outcomes, "tool")
        self._cells = self._index(outcomes)
        self._scores = _scores(outcomes)
        self._nano = _nano_dollars(outcomes)
        self._input_tokens = _counts(outcomes, "input_tokens")
        self._output_tokens = _counts(outcomes, "output_tokens")
        answers = outcomes["answer"]
        self._answers = None if answers.null_count() == answers.len() else answers

    @classmethod
    def read(cls, path: Path, *, queries: Collection[str] | None = None) -> RecordedClient:
        """Read `outcomes.parquet`.

        Raises:
            RecordedTableError: the file is missing or no Parquet, or the table is unusable.
        """
        import polars as pl

        try:
            frame = pl.read_parquet(path)
        except (OSError, pl.exceptions.PolarsError) as error:
            raise RecordedTableError(f"{path} cannot be read as Parquet: {error}") from None
        return cls(frame, queries=queries, source=str(path))

    async def complete(self, request: ChatRequest) -> ChatResponse:
        """Give what was recorded for the request's query and pair.

        Raises:
            RowError: `missing_cell`: the table has no such outcome.
        """
        cell = self._cell(request)
        nano = int(self._nano[cell])
        score = float(self._scores[cell])
        return ChatResponse(
            text=self._answer(cell),
            usage=Usage(
                _known(int(self._input_tokens[cell])), _known(int(self._output_tokens[cell]))
            ),
            response_model=request.model,
            recorded=RecordedOutcome(
                score=None if score != score else score,  # NaN, the only number unlike itself
                cost_usd=None if nano == _UNKNOWN else Decimal(nano).scaleb(-9),
            ),
        )

    async def close(self) -> None:
        """Nothing to release."""

    def _cell(self, request: ChatRequest) -> int:
        origin = request.origin
        row = self._rows.get(origin.query_id, -1)
        model = self._models.get(origin.model, -1)
        tool = self._tools.get(origin.tool, -1)
        cell = -1 if min(row, model, tool) < 0 else int(self._cells[row, model, tool])
        if cell >= 0:
            return cell
        raise RowError(
            f"{self._source} has no outcome of model {origin.model!r} with tool {origin.tool!r} "
            f"on query {origin.query_id!r}; record that cell or take the pair out of the pool",
            error_type="missing_cell",
            fate=Fate.REFUSED,
        )

    def _answer(self, cell: int) -> str:
        return "" if self._answers is None else self._answers[cell] or ""

    def _index(self, outcomes: pl.DataFrame) -> NDArray[np.int32]:
        """(queries, models, tools) int32: the row of each cell, -1 where there is none."""
        shape = (len(self._rows), len(self._models), len(self._tools))
        cells = np.full(shape, -1, dtype=np.int32)
        codes = (_codes(outcomes, name) for name in _KEYS)
        cells[tuple(codes)] = np.arange(outcomes.height, dtype=np.int32)
        return cells


def _known(value: int) -> int | None:
    return None if value == _UNKNOWN else value


def _positions(frame: pl.DataFrame, column: str) -> dict[str, int]:
    return {value: number for number, value in enumerate(frame[column].unique().sort())}


def _codes(frame: pl.DataFrame, column: str) -> NDArray[np.int64]:
    """Position of every row's value among the sorted distinct ones; agrees with `_positions`."""
    return frame[column].rank("dense").to_numpy().astype(np.int64) - 1


def _scores(frame: pl.DataFrame) -> NDArray[np.float64]:
    import polars as pl

    column = frame["score"]
    scores: NDArray[np.float64] = column.cast(pl.Float64).fill_null(float("nan")).to_numpy()
    # float32 0.7 is 0.699999988 in float64; its shortest decimal form has at most 7 digits here.
    return np.round(scores, _FLOAT32_DIGITS) if column.dtype == pl.Float32 else scores


def _nano_dollars(frame: pl.DataFrame) -> NDArray[np.int64]:
    """Costs in whole 1e-9 dollars, the resolution of the tables; -1 where unknown."""
    import polars as pl

    column = frame["cost_usd"]
    if isinstance(column.dtype, pl.Decimal):
        values = [_UNKNOWN if v is None else int((v * _NANO).to_integral_value()) for v in column]
        return np.array(values, dtype=np.int64)
    scaled = (column.cast(pl.Float64) * _NANO).round().fill_null(_UNKNOWN)
    return scaled.to_numpy().astype(np.int64)


def _counts(frame: pl.DataFrame, column: str) -> NDArray[np.int64]:
    import polars as pl

    counts: NDArray[np.int64] = frame[column].cast(pl.Int64).fill_null(_UNKNOWN).to_numpy()
    return counts


def _problems(frame: pl.DataFrame, queries: Collection[str] | None) -> list[str]:
    missing = [name for name in REQUIRED_COLUMNS if name not in frame.columns]
    if missing:
        return [
            f"column {name!r} is missing (there are: {', '.join(frame.columns)})"
            for name in missing
        ]
    if frame.height == 0:
        return ["it has no rows"]
    problems = _type_problems(frame)
    if problems:
        # Values of the wrong type would only bring follow-up complaints.
        return problems
    return [*_value_problems(frame), *_key_problems(frame, queries)]


def _type_problems(frame: pl.DataFrame) -> list[str]:
    import polars as pl

    problems = []
    for name in REQUIRED_COLUMNS:
        dtype = frame.schema[name]
        text = name in (*_KEYS, "answer")
        counts = name.endswith("_tokens")
        fits = dtype == pl.String if text else dtype.is_integer() if counts else dtype.is_numeric()
        # A column of nothing but nulls has no type of its own.
        if not fits and not (dtype == pl.Null and name not in _KEYS):
            wanted = "text" if text else "whole numbers" if counts else "numbers"
            problems.append(f"column {name!r} holds {dtype}, not {wanted}")
    return problems


def _value_problems(frame: pl.DataFrame) -> list[str]:
    import polars as pl

    empty = {name: frame[name].is_null().arg_true() for name in _KEYS}
    problems = [
        f"column {name!r} has {len(rows)} empty cells, the first in row {rows[0] + 1}"
        for name, rows in empty.items()
        if len(rows)
    ]
    score, cost = (pl.col(name).cast(pl.Float64) for name in ("score", "cost_usd"))
    wrong = "negative or not finite"
    bad = {
        "score": (~score.is_between(0.0, 1.0), "outside [0, 1]"),
        "cost_usd": (
            ~cost.is_between(0.0, _MOST_DOLLARS),
            f"{wrong}, or more than {_MOST_DOLLARS:,.0f} dollars",
        ),
    }
    for name in ("input_tokens", "output_tokens"):
        value = pl.col(name).cast(pl.Float64)
        bad[name] = ((value < 0) | ~value.is_finite(), wrong)
    for name, (condition, wanted) in bad.items():
        rows = frame.with_row_index("row").filter(condition)
        if rows.height:
            problems.append(
                f"column {name!r}: {rows.height} values are {wanted}; the first is "
                f"{rows[name][0]} in row {rows['row'][0] + 1}"
            )
    return problems


def _key_problems(frame: pl.DataFrame, queries: Collection[str] | None) -> list[str]:
    import polars as pl

    problems = []
    doubles = frame.group_by(_KEYS, maintain_order=True).len().filter(pl.col("len") > 1)
    if doubles.height:
        first: dict[str, Any] = doubles.row(0, named=True)
        problems.append(
            f"{doubles.height} cells appear more than once; the first is query "
            f"{first['query_id']!r}, model {first['model']!r}, tool {first['tool']!r}"
        )
    if queries is not None:
        known = queries if isinstance(queries, set | frozenset | dict) else set(queries)
        unknown = [
            value for value in frame["query_id"].unique(maintain_order=True) if value not in known
        ]
        if unknown:
            problems.append(
                f"{len(unknown)} queries are not among the labelled queries; the first is "
                f"{unknown[0]!r}"
            )
    return problems
