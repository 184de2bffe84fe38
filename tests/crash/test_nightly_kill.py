"""`kill -9` in `atlas refresh`, among its cells, its canaries and its commits; then once more."""

from __future__ import annotations

import subprocess
import sys
from contextlib import closing

import pytest

from tasks.freshness.history import freshness_history, refresh_history
from tasks.profiling.store import latest_id
from tests.crash.conftest import HERE, Referee
from tests.crash.test_refresh_kill import QUESTIONS, Refresh
from warehouse.ledger import open_ledger
from warehouse.query import committed

pytestmark = [pytest.mark.crash, pytest.mark.slow]

CANARIES, FIRST_NIGHT = 12, 2


class Nightly(Refresh):
    """`atlas refresh` on one folder, as often as it takes."""

    def __init__(self, folder, referee):
        super().__init__(folder, referee)
        self._command = [
            sys.executable, "-m", "flows.cli", "refresh", "labelled.jsonl",
            "--pool", "pool.yaml", "--root", "data", "--runner", "plain", "--no-tracking",
            "--encoder", "hashing", "--clusters", "3", "--chunk-size", "12",
            "--canaries", str(CANARIES), "--first-night-runs", str(FIRST_NIGHT),
        ]  # fmt: skip


@pytest.fixture
def steady():
    """A provider without faults: no cell fails, so that nothing is left for the next night."""
    command = [sys.executable, str(HERE / "referee.py"), "", "0.004"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        yield Referee(process.stdout.readline().strip())
        process.terminate()


def test_a_night_killed_among_cells_and_canaries_ends_whole(tmp_path, steady):
    work = Nightly(tmp_path, steady)
    # Cells; the version that is saved; canaries, sent and about to be committed.
    for fault_point in ("after_claim:30", "before_latest:1", "before_commit:2"):
        work.killed(fault_point)
        assert latest_id(work.root) is None
    told = work.finish()
    with closing(open_ledger(work.root)) as ledger:
        runs = ledger.runs()

    assert {"complete"} == {run.state for run in runs}
    assert 1 == sum(run.kind == "refresh" for run in runs)
    assert 2 * QUESTIONS == committed(work.root, "outcomes").collect().height
    asked = committed(work.root, "canary_outcomes").collect()
    assert 2 * CANARIES * FIRST_NIGHT == asked.height
    rows = refresh_history(work.root)
    assert (1, True) == (len(rows), rows.item(0, "published"))
    assert latest_id(work.root) == rows.item(0, "profile_id")
    assert "is in use now" in told
    metrics = freshness_history(work.root)
    assert len(metrics) == metrics.select("night", "pair_id", "metric").n_unique()
    before = work.referee.received()
    assert "nothing to do" in work.finish()
    assert before == work.referee.received()
