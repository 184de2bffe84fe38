"""On a recorded table, choosing cells is worth more than asking whole questions at equal cost."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from profiles.allocation import AllocationSettings, allocate_offline
from profiles.outcomes import outcome_matrices
from profiles.pool import Pair
from profiles.posterior import fit_cells

FOLDER = Path(os.environ.get("ATLAS_SHARED") or Path(__file__).parents[3] / "shared")
TABLE = FOLDER / "data" / "outcomes" / "routerdc"

pytestmark = [
    pytest.mark.shared,
    pytest.mark.skipif(
        not TABLE.exists(), reason=f"the recorded tables are not there ({TABLE} is missing)"
    ),
]


def test_adaptive_cells_route_better_than_as_many_whole_questions():
    queries = pl.read_parquet(TABLE / "queries.parquet").filter(
        pl.col("split").cast(pl.String) == "train"
    )
    queries = queries.sample(1500, seed=0)
    outcomes = pl.read_parquet(TABLE / "outcomes.parquet")
    names = outcomes.select("model", "tool").unique().sort("model", "tool").rows()
    pairs = [Pair(str(model), str(tool)) for model, tool in names]
    scores = outcome_matrices(queries.get_column("query_id").to_list(), outcomes, pairs).scores
    # Datasets stand for clusters: no question has to be embedded.
    datasets = queries.get_column("dataset").cast(pl.String).to_numpy().astype(str)
    groups, labels = np.unique(datasets, return_inverse=True)
    full = np.array([np.nanmean(scores[labels == group], axis=0) for group in range(len(groups))])
    worth = {"adaptive": 0.0, "queries": 0.0}
    for seed in range(8):
        for sampler in worth:
            mask = allocate_offline(
                sampler,
                scores=scores,
                labels=labels,
                share=0.15,
                seed=seed,
                settings=AllocationSettings(rounds=20),
            )
            seen = np.where(mask, scores, np.nan)
            best = fit_cells(seen, labels, len(groups)).mean.argmax(axis=1)
            worth[sampler] += 100 * float(full[labels, best[labels]].mean()) / 8

    assert worth["adaptive"] > worth["queries"]
