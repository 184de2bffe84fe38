"""A small recorded table in which agreement between pairs says who is right."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl

from tasks.evaluate.importing import import_profile
from tasks.learn.exact_gradient import ExactTraining
from tasks.learn.fit_aggregator import AggregatorTraining
from tasks.learn.fit_policy import PolicySettings

TRAIN, TEST = 90, 40
QUICK = PolicySettings(
    candidates=3,
    max_calls=3,
    folds=2,
    aggregator=AggregatorTraining(epochs=2, folds=2),
    exact=ExactTraining(epochs=3),
)
"""Settings that train in a second or two."""


def answered_root(root: Path, seed: int = 0) -> Path:
    """A warehouse with a published profile of three pairs that answer with numbers."""
    random = np.random.default_rng(seed)
    n = TRAIN + TEST
    names = [f"q{number}" for number in range(n)]
    queries = pl.DataFrame(
        {
            "query_id": names,
            "text": [f"what is {number} plus {number % 7} of {number % 3}" for number in range(n)],
            "dataset": ["sums", "more"] * (n // 2),
            "split": ["train"] * TRAIN + ["test"] * TEST,
            "grader": ["numeric"] * n,
        }
    )
    rows = []
    for model, skill, cost in (("a", 0.5, 0.001), ("b", 0.6, 0.002), ("c", 0.7, 0.01)):
        for number, name in enumerate(names):
            right = random.random() < skill
            said = number if right else 1000 + int(random.integers(0, 10**6))
            rows.append(
                {
                    "query_id": name, "model": model, "tool": "none", "score": float(right),
                    "cost_usd": cost * (0.5 + random.random()), "input_tokens": 9,
                    "output_tokens": 9, "answer": f"Answer: {said}", "source": "recorded",
                }
            )  # fmt: skip
    table = root / "table"
    table.mkdir(parents=True)
    queries.write_parquet(table / "queries.parquet")
    schema = {"score": pl.Float32, "input_tokens": pl.Int32, "output_tokens": pl.Int32}
    pl.DataFrame(rows, schema_overrides=schema).write_parquet(table / "outcomes.parquet")
    import_profile(table, root / "data", clusters=2, encoder="hashing")
    return root / "data"
