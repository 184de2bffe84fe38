"""Recorded tables through the importer: nothing is lost, nothing moves but what must."""

from __future__ import annotations

import os
from pathlib import Path

import polars as pl
import pytest

from tasks.importing import read_logs, read_options

SHARED = Path(os.environ.get("ATLAS_SHARED") or Path(__file__).parents[3] / "shared") / "data"
OUTCOMES = SHARED / "outcomes"

pytestmark = [
    pytest.mark.shared,
    pytest.mark.slow,
    pytest.mark.skipif(
        not OUTCOMES.is_dir(), reason=f"the recorded tables are not there ({OUTCOMES} is missing)"
    ),
]


@pytest.mark.parametrize("name", ["tatqa", "mathvista"])
def test_a_recorded_table_keeps_every_outcome(name):
    queries, outcomes = (
        pl.read_parquet(OUTCOMES / name / f"{one}.parquet") for one in ("queries", "outcomes")
    )

    imported = read_logs([OUTCOMES / name])

    assert (queries.height, outcomes.height, 0) == (
        imported.queries.height,
        imported.outcomes.height,
        imported.bad,
    )
    for column in ("dataset", "split"):
        counts = [
            dict(frame.get_column(column).value_counts().iter_rows())
            for frame in (queries, imported.queries)
        ]
        assert counts[0] == counts[1]
    key = ["model", "tool"]
    means = [
        frame.group_by(key).agg(pl.col("score").cast(pl.Float64).mean()).sort(key).rows()
        for frame in (outcomes, imported.outcomes)
    ]
    assert [pytest.approx(row[2], abs=1e-7) for row in means[0]] == [row[2] for row in means[1]]


def test_a_flat_file_of_a_table_gives_its_outcomes_by_text(tmp_path):
    queries, outcomes = (
        pl.read_parquet(OUTCOMES / "tatqa" / f"{one}.parquet") for one in ("queries", "outcomes")
    )
    flat = outcomes.join(queries, on="query_id").select(
        "text", "dataset", "split", "model", "tool", "score", attempt="query_id"
    )
    flat.write_parquet(tmp_path / "flat.parquet")

    imported = read_logs([tmp_path / "flat.parquet"], read_options(columns=["repeat=attempt"]))

    assert queries.get_column("text").n_unique() == imported.queries.height
    assert outcomes.height == imported.outcomes.get_column("repeats").sum()
