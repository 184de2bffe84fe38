"""A multi-step run on scripted models: real staging, ledger and commits; no network, no waiting."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from profiles.policies.guide import Guide, Prospect
from profiles.policies.plurality import Plurality
from profiles.policies.strategies import Cascade
from profiles.pool_file import load_pool
from tasks.batch.equip import equipment
from tasks.batch.run import run_batch
from tasks.batch.spec import BatchSettings
from tasks.batch.stop import StopFlag
from tasks.batch.trajectory_source import TrajectorySource
from tasks.call.scripted import ScriptedClient
from tasks.query import Query
from tasks.read import stage_queries
from tasks.trajectory.navigator import Navigator
from tests.instant_clock import InstantClock
from warehouse.ledger import open_ledger

POOL = """\
name: test
models:
  a: &model
    provider: scripted
    name: model-a
    prices: {input_usd: "1", output_usd: "2"}
    limits: {max_output_tokens: 100}
  b: {<<: *model, name: model-b}
  c: {<<: *model, name: model-c}
tools:
  none: {kind: none}
"""
PRIORS = np.array([0.5, 0.6, 0.7])


def until_two_agree(order=(0, 1, 2)) -> Guide:
    """Calls a, b, c in that order until two answers agree; plain votes."""
    return Guide(
        name="cascade",
        pairs=("a@@none", "b@@none", "c@@none"),
        max_calls=3,
        judge=Plurality(),
        strategy=Cascade(order, agree=2),
        foresee=lambda texts, _embeddings: Prospect(
            np.tile(PRIORS, (len(texts), 1)), np.zeros((len(texts), 0))
        ),
        needs_embeddings=False,
        costs_usd=np.array([1e-6, 2e-6, np.nan]),
        price=0.01,
        policy_id="policy-test",
    )


class _Silence:
    def start(self, total, already_done, max_cost):
        pass

    def advance(self, rows, cost_usd):
        pass

    def note(self, text):
        pass

    def finish(self):
        pass


class Expedition:
    """Routes backlogs of numbered questions through many steps."""

    def __init__(self, folder):
        self.folder = folder
        self.root = folder / "data"
        (folder / "pool.yaml").write_text(POOL, encoding="utf-8")
        self.pool = load_pool(folder / "pool.yaml")

    def route(self, answer, *, rows=4, guide=None, stop=None, max_cost_usd=None, resend=True,
              concurrency=8, chunk_size=10):  # fmt: skip
        """`answer` is what a client does with a request; returns the report and the requests."""
        client = ScriptedClient(default=answer)
        self.navigator = Navigator(guide or until_two_agree())
        work = self._route(client, rows, stop or StopFlag(), max_cost_usd, resend, concurrency,
                           chunk_size)  # fmt: skip
        return asyncio.run(work), client.requests

    async def _route(self, client, rows, stop, max_cost_usd, resend, concurrency, chunk_size):
        queries = [Query(f"q{n}", f"row-{n}", f"What is {n}?", row_index=n) for n in range(rows)]
        staged = stage_queries(
            queries, self.folder / "staged", input_sha256="0" * 64, chunk_size=chunk_size
        )
        source = TrajectorySource(
            self.folder / "staged", staged.chunks, self.pool, self.navigator, embed=None,
            router="cascade",
        )  # fmt: skip
        settings = BatchSettings(
            self.root, "run", "route", "made", "0" * 64, {"kind": "test"}, rows, staged.unique, 0,
            "cascade", None, "test", max_cost_usd=max_cost_usd, concurrency=concurrency,
            resend=resend,
        )  # fmt: skip
        ledger = open_ledger(self.root)
        try:
            async with equipment(
                self.pool, env={}, seed=0, clients=dict.fromkeys("abc", client),
                clock=InstantClock(),
            ) as tools:  # fmt: skip
                return await run_batch(
                    settings, ledger=ledger, source=source, equipment=tools, progress=_Silence(),
                    stop=stop,
                )  # fmt: skip
        finally:
            ledger.close()


@pytest.fixture
def expedition(tmp_path):
    return Expedition(tmp_path)
