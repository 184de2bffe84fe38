"""Tiny tables of recorded outcomes, with figures that can be worked out by hand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

OUTCOME_TYPES = {
    "query_id": pl.String,
    "model": pl.String,
    "tool": pl.String,
    "score": pl.Float32,
    "cost_usd": pl.Float64,
    "input_tokens": pl.Int32,
    "output_tokens": pl.Int32,
    "answer": pl.String,
    "source": pl.String,
}
QUERY_TYPES = dict.fromkeys(
    ("query_id", "text", "dataset", "split", "reference", "grader"), pl.String
)

PAIRS = (("big", "none"), ("big", "python"), ("small", "none"))
TOPICS = {
    "sums": "add the numbers {a} and {b} and give their sum",
    "birds": "which bird number {a} has blue wings in the forest of {b}",
}
# Scores of the three pairs on a question of each topic: small adds well, big knows its birds.
SKILL = {"sums": (0.0, 0.5, 1.0), "birds": (1.0, 0.5, 0.0)}


def questions() -> list[dict[str, Any]]:
    """Eight train, four test and two ood questions of each topic."""
    rows = []
    for topic, wording in TOPICS.items():
        for number in range(14):
            split = "train" if number < 8 else "test" if number < 12 else "ood"
            rows.append(
                {
                    "query_id": f"{topic}-{number}",
                    "text": wording.format(a=number, b=number * number),
                    "dataset": topic if split != "ood" else f"far-{topic}",
                    "split": split,
                    "reference": None,
                    "grader": "unknown",
                }
            )
    return rows


def outcomes(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """One outcome per question and pair; dollars are 1, 2 and 3 thousandths."""
    return [
        {
            "query_id": row["query_id"],
            "model": model,
            "tool": tool,
            "score": SKILL[row["query_id"].split("-")[0]][place],
            "cost_usd": (place + 1) / 1000,
            "input_tokens": 10,
            "output_tokens": 5,
            "answer": f"{model} says",
            "source": "recorded",
        }
        for row in rows
        for place, (model, tool) in enumerate(PAIRS)
    ]


Rows = list[dict[str, Any]]
Change = Callable[[Rows], Rows | None]


def _changed(change: Change, rows: Rows) -> Rows:
    new = change(rows)
    return rows if new is None else new


@pytest.fixture
def make_table(tmp_path) -> Callable[..., Path]:
    """Write a table after changing its rows; a change returns new rows or edits them in place."""

    def make(
        queries: Change = lambda rows: None,
        answers: Change = lambda rows: None,
        name: str = "tiny",
        drop: tuple[str, ...] = (),
    ) -> Path:
        folder = tmp_path / name
        folder.mkdir()
        asked = questions()
        found = outcomes(asked)
        asked, found = _changed(queries, asked), _changed(answers, found)
        frames = {
            "queries": pl.DataFrame(asked, schema=QUERY_TYPES, strict=False),
            "outcomes": pl.DataFrame(found, schema=OUTCOME_TYPES, strict=False),
        }
        for file, frame in frames.items():
            columns = [column for column in frame.columns if f"{file}.{column}" not in drop]
            frame.select(columns).write_parquet(folder / f"{file}.parquet")
        return folder

    return make


@pytest.fixture
def table_folder(make_table) -> Path:
    """The table as it is."""
    return make_table()
