"""`kill -9` anywhere in a refresh, then the same command: nothing settled is paid for twice, and
what routing uses is a whole version at every moment.

One warehouse is killed at one place after the other, so that every session takes up what the one
before it left behind.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
from decimal import Decimal

import pytest

from tasks.profiling.cells import load_plan
from tasks.profiling.planning import plan_path
from tasks.profiling.store import find_profile, history, latest_id, list_profiles
from tests.crash.conftest import POOL
from warehouse.ledger import open_ledger
from warehouse.query import committed

pytestmark = [pytest.mark.crash, pytest.mark.slow]

QUESTIONS = 90
FAULT_POINTS = (
    "after_claim:20", "after_round:2", "before_settle:9", "before_commit:1", "before_publish:1",
    "before_latest:1",
)  # fmt: skip
MOMENTS = random.Random(20260202).sample(range(5, 60), 2)


class Refresh:
    """`atlas profile run` on one folder, as often as it takes."""

    def __init__(self, folder, referee, *options):
        self.root, self._folder = folder / "data", folder
        self.referee = referee
        (folder / "pool.yaml").write_text(POOL.format(url=referee.url), encoding="utf-8")
        with (folder / "labelled.jsonl").open("w", encoding="utf-8") as file:
            for row in range(QUESTIONS):
                # The referee says how long the question is: some of these are right.
                text = f"Question {row} of {folder.name}: how long is this? {'x' * (row % 7)}"
                line = {"prompt": text, "split": "train" if row % 3 else "test",
                        "reference": str(len(text) - row % 2), "grader": "numeric"}  # fmt: skip
                file.write(json.dumps(line) + "\n")
        self._command = [
            sys.executable, "-m", "flows.cli", "profile", "run", "labelled.jsonl",
            "--pool", "pool.yaml", "--root", "data", "--runner", "plain", "--no-tracking",
            "--encoder", "hashing", "--clusters", "3", "--chunk-size", "12",
            # A request lost by a kill and lost again by the provider fails its cell: not counted.
            "--fail-on-error", "1", *options,
        ]  # fmt: skip
        self.settled = {}

    def start(self, fault_point=""):
        return subprocess.Popen(
            self._command,
            cwd=self._folder,
            env=os.environ | {"ATLAS_FAULT_POINT": fault_point},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )

    def killed(self, fault_point):
        """Run until the process kills itself there."""
        process = self.start(fault_point)
        _, errors = process.communicate(timeout=120)
        assert -signal.SIGKILL == process.returncode, errors.decode()
        self.look()

    def finish(self):
        """The same command, to its end."""
        process = self.start()
        _, errors = process.communicate(timeout=120)
        assert 0 == process.returncode, errors.decode()
        self.look()
        return errors.decode()

    def look(self):
        """What must hold at every moment; remembers what is settled."""
        for name in list_profiles(self.root):
            find_profile(self.root, name)
        if latest_id(self.root) is not None:
            find_profile(self.root)
        if not (self.root / "ledger.db").exists():
            return
        served = self.referee.served()
        for key, count in self.settled.items():
            assert count == served[key]["received"], "a settled request was sent again"
        for key, request in self.requests().items():
            if request.state == "settled":
                self.settled[key] = served[key]["received"]

    def requests(self):
        ledger = open_ledger(self.root)
        try:
            return {r.request_id: r for run in ledger.runs() for r in ledger.requests(run.run_id)}
        finally:
            ledger.close()


@pytest.fixture
def refresh(tmp_path, referee):
    """Makes a refresh in a folder of its own."""
    return lambda *options: Refresh(tmp_path, referee, *options)


def check(work):
    """The promises, after the same command has finished: money adds up, one run, one version."""
    ledger = open_ledger(work.root)
    (run,) = ledger.runs()
    spend = ledger.spend(run.run_id)
    doubts = {r.request_id for r in ledger.requests(run.run_id, in_doubt=True)}
    ledger.close()
    served = {k: n for k, n in work.referee.served().items() if k in work.requests()}
    assert set() == {key for key, count in served.items() if count["answered"] > 1} - doubts
    charged = committed(work.root, "attempts").collect()["cost_usd"].sum()
    assert (Decimal(charged), Decimal(0)) == (spend.total_usd, spend.reserved_usd)
    assert "complete" == run.state
    outcomes = committed(work.root, "outcomes").collect()
    assert outcomes.height == outcomes["cell_key"].n_unique()
    assert [latest_id(work.root)] == list_profiles(work.root)
    assert ["saved", "latest"] == [entry.event for entry in history(work.root)]
    return run, outcomes


def test_a_refresh_on_a_budget_killed_at_every_fault_point_ends_whole(refresh):
    work = refresh("--budget", "55%")
    for fault_point in FAULT_POINTS:
        work.killed(fault_point)
        assert latest_id(work.root) is None
    told = work.finish()
    run, outcomes = check(work)
    plan = load_plan(plan_path(work.root, run.run_id))

    assert plan.stopped is not None
    assert sorted(cell.cell for cells in plan.rounds for cell in cells) == sorted(
        outcomes.select("query_id", "pair_id").rows()
    )
    assert "nothing was asked" in told


def test_a_refresh_killed_at_random_moments_ends_whole(refresh, referee):
    work = refresh()
    for moment in MOMENTS:
        start = referee.received()
        process = work.start()
        while process.poll() is None and referee.received() - start < moment:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=0.003)
        process.kill()
        process.communicate()
        work.look()
    work.finish()
    _, outcomes = check(work)

    assert 2 * QUESTIONS == outcomes.height
