"""A small batch run on scripted models: real staging, ledger, commits; no network, no waiting."""

from __future__ import annotations

import asyncio
import json

import pytest

from tasks.batch.equip import equipment
from tasks.batch.stop import StopFlag
from tasks.call.scripted import ScriptedClient
from tasks.route import RouteJob, prepare, stage
from tasks.route import _run as run_staged
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
    parameters: {answer: "Answer: 42"}
  b: {<<: *model, name: model-b}
tools:
  none: {kind: none}
"""


class Notes:
    """Progress that remembers."""

    def __init__(self):
        self.started = None
        self.rows = 0

    def start(self, total, already_done, max_cost):
        self.started = (total, already_done)

    def advance(self, rows, cost_usd):
        self.rows += rows

    def note(self, text):
        pass

    def finish(self):
        pass


class Workshop:
    """Routes backlogs under one folder."""

    def __init__(self, folder):
        self.folder = folder
        self.root = folder / "data"
        (folder / "pool.yaml").write_text(POOL, encoding="utf-8")

    def backlog(self, rows, **extra):
        lines = [
            {"custom_id": f"row-{n}", "prompt": f"What is {n} plus {n}?"} | extra
            for n in range(rows)
        ]
        self.write(lines)

    def write(self, lines):
        text = "".join(json.dumps(line) + "\n" for line in lines)
        (self.folder / "backlog.jsonl").write_text(text, encoding="utf-8")

    def route(self, client=None, *, stop=None, wrap=lambda work: work, **job):
        settings = {"router": "fixed:a@@none", "name": "run", "chunk_size": 10} | job
        prepared = prepare(
            RouteJob(
                backlog=str(self.folder / "backlog.jsonl"),
                pool=self.folder / "pool.yaml",
                root=self.root,
                **settings,
            ),
            env={},
        )
        client = client or ScriptedClient(default="Answer: 42")
        self.progress = Notes()
        return asyncio.run(self._route(prepared, client, stop or StopFlag(), wrap))

    async def _route(self, prepared, client, stop, wrap):
        staged = stage(prepared)
        ledger = open_ledger(self.root)
        clients = {"a": client, "b": client}
        try:
            async with equipment(
                prepared.pool, env={}, seed=0, clients=clients, clock=InstantClock()
            ) as tools:
                return await run_staged(prepared, staged, ledger, tools, self.progress, stop, wrap)
        finally:
            ledger.close()


@pytest.fixture
def workshop(tmp_path):
    return Workshop(tmp_path)
