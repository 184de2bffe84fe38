"""Observations of all logs in columns, and the outcomes they come to: one row a cell.

Rows of the same question, pair and observation are one row written twice; where they disagree
over the score or over having failed, there is no telling which is right, and all of them are bad.
Several observations of a cell (epochs, repeats, runs of different days) are averaged: the score
over those that have one, money, tokens and time over those where they are known. A cell counts as
failed only if every observation of it failed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tasks.importing.record import Evidence
from tasks.read.rows import BadRow

if TYPE_CHECKING:
    import polars as pl

CELL = ("query_id", "model", "tool")
CHUNK_ROWS = 50_000
"""Rows held as Python values before they become a frame, which is a tenth of the size."""


class Cells(NamedTuple):
    """What the observations came to."""

    outcomes: pl.DataFrame
    """One row a cell: `query_id, model, tool, score, cost_usd, input_tokens, output_tokens,
    answer, source, duration_s, error_type, repeats, scored, failures`."""
    problems: list[BadRow]
    duplicates: int
    """Rows written twice that were left out."""


class Observations:
    """Gathers checked observations; memory grows by about 100 bytes a row and its answer."""

    def __init__(self) -> None:
        self._chunks: list[pl.DataFrame] = []
        self._rows: list[tuple[object, ...]] = []

    def add(self, evidence: Evidence, source: str, file: str, row: int) -> None:
        """Take one observation that stands in row `row` of `file`, a log of kind `source`."""
        self._rows.append(
            (
                evidence.question.query_id,
                *evidence.call,
                evidence.observation,
                evidence.score,
                evidence.answer,
                source,
                file,
                row,
            )
        )
        if len(self._rows) == CHUNK_ROWS:
            self._flush()

    def frame(self) -> pl.DataFrame:
        """All observations in the order they came."""
        import polars as pl

        self._flush()
        return pl.concat(self._chunks, rechunk=False)

    def _flush(self) -> None:
        import polars as pl

        text, number = pl.String, pl.Float64
        schema = {
            "query_id": text,
            "model": text,
            "tool": text,
            "cost_usd": number,
            "input_tokens": number,
            "output_tokens": number,
            "duration_s": number,
            "error_type": text,
            "observation": text,
            "score": number,
            "answer": text,
            "source": text,
            "file": text,
            "row": pl.Int64,
        }
        if self._rows or not self._chunks:
            self._chunks.append(pl.DataFrame(self._rows, schema=schema, orient="row"))
            self._rows = []


def settle(observations: pl.DataFrame) -> Cells:
    """The cells of all observations."""
    import polars as pl

    key = [*CELL, "observation"]
    repeated = observations.group_by(key, maintain_order=True).agg(
        rows=pl.len(),
        disagree=(pl.col("score").n_unique() > 1) | (pl.col("error_type").is_null().n_unique() > 1),
    )
    contradictory = repeated.filter((pl.col("rows") > 1) & pl.col("disagree"))
    problems = _problems(observations.join(contradictory, on=key, maintain_order="left"))
    kept = observations.join(contradictory, on=key, how="anti", maintain_order="left")
    single = kept.unique(key, keep="first", maintain_order=True)
    return Cells(_averaged(single), problems, len(kept) - len(single))


def _averaged(observations: pl.DataFrame) -> pl.DataFrame:
    import polars as pl

    error = pl.col("error_type")
    tokens = ("input_tokens", "output_tokens")
    return (
        observations.group_by(CELL, maintain_order=True)
        .agg(
            pl.col("score").mean().cast(pl.Float32),
            pl.col("cost_usd").mean(),
            *(pl.col(name).mean().round().cast(pl.Int64) for name in tokens),
            pl.col("answer").drop_nulls().first(),
            pl.col("source").first(),
            pl.col("duration_s").mean(),
            error_type=pl.when(error.is_null().any())
            .then(None)
            .otherwise(error.drop_nulls().first()),
            repeats=pl.len().cast(pl.Int64),
            scored=pl.col("score").count().cast(pl.Int64),
            failures=error.is_not_null().sum().cast(pl.Int64),
        )
        .sort("query_id", "model", "tool")
    )


def _problems(rows: pl.DataFrame) -> list[BadRow]:
    """One bad row for each that contradicts another."""
    key = [*CELL, "observation"]
    problems = []
    for group in rows.partition_by(key, maintain_order=True):
        places = list(group.select("file", "row").iter_rows())
        field = "score" if group.get_column("score").n_unique() > 1 else "error_type"
        for file, row in places:
            other = next((f"{f}, row {r}" for f, r in places if (f, r) != (file, row)), "itself")
            reason = (
                f"differs from {other} for the same question and pair, and there is no telling "
                f"which is right; if these are repeats, say which column tells them apart: "
                f"--map repeat=COLUMN"
            )
            problems.append(BadRow(file, row, field, reason))
    return problems
