"""A routed, labelled backlog whose truth is recorded: what every pair answers to every question."""

from __future__ import annotations

import numpy as np
import polars as pl

from tasks.query import content_hash
from tests.tasks.small_runs import TOPICS, Small

POOL = """\
name: recorded
models:
  calm: {{provider: recorded, parameters: {{table: {table}}}}}
  wild: {{provider: recorded, parameters: {{table: {table}}}}}
tools:
  none: {{kind: recorded}}
"""
MODELS = ("calm", "wild")
RATES = np.array([[0.8, 0.55], [0.5, 0.7]])
"""Share of right answers by topic and model."""
PRICES = (0.001, 0.002)


class MadeLog:
    """A warehouse with a profile and a labelled backlog of `n` questions, half of each topic."""

    def __init__(self, folder, n=400, *, fit_all=False):
        self.n = n
        rng = np.random.default_rng(5)
        self.topic = np.arange(n) % 2
        self.texts = [f"{TOPICS[self.topic[row]]} {100 + row}" for row in range(n)]
        self.scores = (rng.random((n, 2)) < RATES[self.topic]).astype(float)
        table = folder / "outcomes.parquet"
        pl.DataFrame(
            [
                {
                    "query_id": content_hash(self.texts[row]),
                    "model": model,
                    "tool": "none",
                    "score": self.scores[row, place],
                    "cost_usd": PRICES[place],
                    "input_tokens": 10,
                    "output_tokens": 2,
                    "answer": "42" if self.scores[row, place] else "41",
                }
                for row in range(n)
                for place, model in enumerate(MODELS)
            ]
        ).write_parquet(table)
        self.small = Small(folder, POOL.format(table=table))
        self.profile = self.small.profile(RATES, [PRICES, PRICES], fit_all=fit_all)
        self.small.backlog(
            [
                {"custom_id": f"r{n}", "prompt": text, "reference": "42", "grader": "numeric"}
                for n, text in enumerate(self.texts)
            ]
        )

    @property
    def root(self):
        return self.small.root

    def route(self, **job):
        return self.small.route(**({"router": "cluster", "chunk_size": 300} | job))
