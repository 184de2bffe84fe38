"""`kill -9` of a run with its ledger on PostgreSQL: nothing lost, nothing settled paid twice."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from decimal import Decimal

import pytest

from tests.crash.conftest import POOL, Referee
from tests.servers.conftest import REPOSITORY
from warehouse.ledger import open_ledger
from warehouse.query import answers, attempts

pytestmark = pytest.mark.servers

ROWS = 400


@pytest.fixture
def referee():
    script = REPOSITORY / "tests" / "crash" / "referee.py"
    command = [sys.executable, str(script), "reset=0.01,rate_limit=0.02,retry_after=0.05", "0.01"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        yield Referee(process.stdout.readline().strip())
        process.terminate()


@pytest.fixture
def route(tmp_path, referee, on_postgres):
    """Start `atlas route` in a folder of a machine; the same command every time."""
    home = tmp_path / "home"
    home.mkdir()
    (home / "pool.yaml").write_text(POOL.format(url=referee.url), encoding="utf-8")
    lines = (
        json.dumps({"custom_id": f"row-{row}", "prompt": f"Question {row}: how long is this?"})
        for row in range(ROWS)
    )
    (home / "backlog.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")

    def start(folder=home, fault_point=""):
        return subprocess.Popen(
            [
                sys.executable, "-m", "flows.cli", "route", "backlog.jsonl", "--name", "shared-run",
                "--pool", "pool.yaml", "--root", "data", "--router", "fixed:first@@none",
                "--runner", "plain", "--no-tracking", "--concurrency", "16", "--chunk-size", "100",
            ],
            cwd=folder,
            env=os.environ | {"PYTHONPATH": str(REPOSITORY), "ATLAS_FAULT_POINT": fault_point},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )  # fmt: skip

    start.home, start.root = home, home / "data"
    return start


def requests(route):
    ledger = open_ledger(route.root)
    found = {request.request_id: request for request in ledger.requests("shared-run")}
    ledger.close()
    return found


@pytest.mark.parametrize("fault_point", ["after_call:150", "before_commit:2", "after_claim:250"])
def test_a_kill_loses_nothing_and_repeats_nothing(route, referee, fault_point):
    process = route(fault_point=fault_point)
    process.communicate(timeout=120)
    assert -signal.SIGKILL == process.returncode
    settled = {key for key, one in requests(route).items() if one.state == "settled"}
    served = referee.served()
    assert settled, "it was killed before anything was settled"
    assert not (route.root / "ledger.db").exists()

    process = route()
    _, errors = process.communicate(timeout=120)

    assert 0 == process.returncode, errors[-2000:]
    after, known = referee.served(), requests(route)
    assert set() == {k for k in settled if after[k]["received"] != served[k]["received"]}
    assert set() == {
        key for key, one in known.items() if after[key]["answered"] > 1 and not one.doubts
    }
    rows = answers(route.root, "shared-run").collect()
    assert ROWS == rows.height == rows["custom_id"].n_unique()
    assert {"answered"} == set(rows["status"])
    ledger = open_ledger(route.root)
    spend = ledger.spend("shared-run")
    ledger.close()
    charged = attempts(route.root, "shared-run").collect()["cost_usd"].sum()
    assert (Decimal(charged), Decimal(0)) == (spend.total_usd, spend.reserved_usd)


def test_a_second_process_on_another_machine_is_refused_and_asks_nothing(route, referee, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(route.home, elsewhere)
    first = route()
    while first.poll() is None and not referee.received():
        pass
    # The first one stands still, so that it works for as long as the second one tries.
    first.send_signal(signal.SIGSTOP)
    before = referee.received()

    second = route(elsewhere)
    _, errors = second.communicate(timeout=120)

    assert 1 == second.returncode
    assert f"Run 'shared-run' is being worked on by process {first.pid}@" in errors
    assert before == referee.received()
    first.send_signal(signal.SIGCONT)
    _, errors = first.communicate(timeout=120)
    assert 0 == first.returncode, errors[-2000:]
