"""Small real things for tests of plans and reports: a pool, a profile, backlogs, routed runs."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from profiles.build_profile import build_profile
from profiles.clusters import ClusterSettings
from profiles.pool_file import load_pool
from profiles.profile import Profile, ProfileSettings
from tasks.batch.equip import equipment
from tasks.batch.stop import StopFlag
from tasks.embedder import cached_embedder
from tasks.plan.plan import plan_route
from tasks.plan.result import Plan
from tasks.profiling.store import publish_profile
from tasks.route import Prepared, RouteJob, _run, prepare, stage
from warehouse.ledger import open_ledger

POOL = """\
name: small
models:
  calm: &model
    provider: scripted
    name: model-calm
    prices: {input_usd: "1", output_usd: "2"}
    limits: {max_output_tokens: 100, concurrency: 4}
    parameters: {answer: "Answer: 42"}
  wild: {<<: *model, name: model-wild, parameters: {answer: "Answer: 41"}}
tools:
  none: {kind: none}
"""
PAIRS = ("calm@@none", "wild@@none")
TOPICS = ("river lake sea shore", "add sum plus minus")
PER_TOPIC = 20


class InstantClock:
    """Sleeping moves this clock on at once."""

    def __init__(self) -> None:
        self.elapsed = 0.0

    def monotonic(self) -> float:
        return self.elapsed

    def now(self) -> datetime:
        return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=self.elapsed)

    async def sleep(self, seconds: float) -> None:
        self.elapsed += seconds
        await asyncio.sleep(0)


class Silence:
    """Progress that nobody watches."""

    def start(self, total: int, already_done: int, max_cost: object) -> None:
        pass

    def advance(self, rows: int, cost_usd: object) -> None:
        pass

    def note(self, text: str) -> None:
        pass

    def finish(self) -> None:
        pass


def question(topic: int, number: int) -> str:
    """One of the profiled questions of a topic."""
    return f"{TOPICS[topic]} {number % PER_TOPIC}"


def lines_of(*topics: int, **extra: Any) -> list[dict[str, Any]]:
    """Backlog rows, one of each topic given, no two alike (up to 20 of a topic)."""
    seen = [0, 0]
    lines = []
    for number, topic in enumerate(topics):
        lines.append({"custom_id": f"row-{number}", "prompt": question(topic, seen[topic])} | extra)
        seen[topic] += 1
    return lines


class Small:
    """A pool, a root and backlogs under one folder."""

    def __init__(self, folder: Path, pool: str = POOL) -> None:
        self.folder = folder
        self.root = folder / "data"
        self.pool_path = folder / "pool.yaml"
        self.pool_path.write_text(pool, encoding="utf-8")
        self.pool = load_pool(self.pool_path)
        self.backlog_path = folder / "backlog.jsonl"

    def profile(
        self,
        scores: Sequence[Sequence[float]],
        costs: Sequence[Sequence[float | None]],
        *,
        failed: Mapping[str, int] = {},
        durations: Sequence[float] = (1.0,),
        keep_train: bool = True,
        noise: float = 0.0,
        fit_all: bool = False,
    ) -> Profile:
        """Publish a profile of two topics, 20 questions each, one cluster a topic.

        Args:
            scores: per topic and pair, the share of its questions that are right.
            costs: per topic and pair, dollars a question; None is unknown.
            failed: per pair id, how many questions failed (the first ones, at the same cost).
            durations: seconds, dealt to the questions in turn.
            noise: odd questions cost so much more, even ones so much less, as a share.
            fit_all: fit predictor and selection too.
        """
        rows: list[dict[str, Any]] = []
        for topic in range(2):
            for number in range(PER_TOPIC):
                place = topic * PER_TOPIC + number
                for pair, key in enumerate(self.pool.pairs):
                    cost = costs[topic][pair]
                    swing = 1 + noise * (1 if number % 2 else -1)
                    rows.append(
                        {
                            "query_id": f"q{place}",
                            "model": key.model,
                            "tool": key.tool,
                            "score": float(number < PER_TOPIC * scores[topic][pair]),
                            "cost_usd": None if cost is None else cost * swing,
                            "input_tokens": 100,
                            "output_tokens": 10,
                            "duration_s": durations[place % len(durations)],
                            "error_type": "timeout" if place < failed.get(key.pair_id, 0) else None,
                        }
                    )
        texts = [question(topic, number) for topic in range(2) for number in range(PER_TOPIC)]
        embedder = cached_embedder(self.root, "hashing")
        profile = build_profile(
            queries=pl.DataFrame(
                {
                    "query_id": [f"q{place}" for place in range(len(texts))],
                    "text": texts,
                    "dataset": ["water"] * PER_TOPIC + ["sums"] * PER_TOPIC,
                    "split": ["train"] * len(texts),
                }
            ),
            outcomes=pl.DataFrame(rows, infer_schema_length=None),
            embeddings=embedder(texts),
            pairs=self.pool.pairs,
            pool_fingerprint=self.pool.fingerprint,
            encoder_fingerprint=embedder.fingerprint,
            created_at=datetime(2026, 1, 1, tzinfo=UTC),
            settings=ProfileSettings(
                ClusterSettings(2, n_init=3),
                keep_train=keep_train,
                predictor=fit_all,
                selection=fit_all,
            ),
        )
        publish_profile(self.root, profile)
        return profile

    def backlog(self, lines: Sequence[dict[str, Any] | str]) -> None:
        """Write the backlog; texts are written as they are."""
        text = "".join((x if isinstance(x, str) else json.dumps(x)) + "\n" for x in lines)
        self.backlog_path.write_text(text, encoding="utf-8")

    def prepared(self, **job: Any) -> Prepared:
        """The job, looked up."""
        usual = {"name": "run", "chunk_size": 4, "encoder": "hashing", "router": "cluster"}
        settings = usual | job
        return prepare(
            RouteJob(
                backlog=str(self.backlog_path), pool=self.pool_path, root=self.root, **settings
            ),
            env={},
        )

    def plan(self, **job: Any) -> Plan:
        """The plan of the job."""
        prepared = self.prepared(**job)
        ledger = open_ledger(self.root)
        try:
            return plan_route(prepared, stage(prepared), ledger=ledger)
        finally:
            ledger.close()

    def route(self, client: Any = None, **job: Any) -> Any:
        """Route, with the pool's own scripted models or with one client for all."""
        prepared = self.prepared(**job)
        clients = None if client is None else dict.fromkeys(self.pool.models, client)
        return asyncio.run(self._route(prepared, clients))

    async def _route(self, prepared: Prepared, clients: Any) -> Any:
        ledger = open_ledger(self.root)
        try:
            async with equipment(
                prepared.pool, env={}, seed=0, clients=clients, clock=InstantClock()
            ) as tools:
                return await _run(
                    prepared, stage(prepared), ledger, tools, Silence(), StopFlag(), lambda w: w
                )
        finally:
            ledger.close()


def drawn_costs(rng: np.random.Generator, n: int, mean: float, cv: float) -> np.ndarray:
    """Skewed costs: a gamma law of this mean and coefficient of variation."""
    return rng.gamma(1 / cv**2, mean * cv**2, n)
