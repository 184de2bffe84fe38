"""`kill -9` anywhere, then the same command: nothing lost, nothing settled paid for twice.

What a provider was asked is counted by the provider, not by us.
"""

from __future__ import annotations

import contextlib
import random
import signal
import subprocess
from decimal import Decimal

import pytest

from tests.crash.conftest import ROWS
from warehouse.ledger import open_ledger
from warehouse.query import answers, attempts

pytestmark = [pytest.mark.crash, pytest.mark.slow]

MOMENTS = random.Random(20260101).sample(range(ROWS), 20)


def settled(root, name):
    """Ids of the requests the ledger calls settled; none where there is no ledger yet."""
    if not (root / "ledger.db").exists():
        return set()
    ledger = open_ledger(root)
    try:
        return {r.request_id for r in ledger.requests(name) if r.state == "settled"}
    finally:
        ledger.close()


def check(atlas, referee, settled_before, served_before):
    """The promises, after the same command has finished the run."""
    rows = answers(atlas.root, atlas.name).collect()
    assert ROWS == rows.height == rows["custom_id"].n_unique()
    assert {"answered"} == set(rows["status"])
    ledger = open_ledger(atlas.root)
    requests = {r.request_id: r for r in ledger.requests(atlas.name)}
    listed = {r.request_id for r in ledger.requests(atlas.name, in_doubt=True)}
    spend = ledger.spend(atlas.name)
    ledger.close()
    served = {key: count for key, count in referee.served().items() if key in requests}
    again = {
        key for key in settled_before if served[key]["received"] != served_before[key]["received"]
    }
    assert set() == again, "settled requests were sent again"
    twice = {key for key, count in served.items() if count["answered"] > 1}
    assert set() == twice - listed, "answered twice and not on the in-doubt list"
    for key in twice:
        charges = requests[key].doubts + (requests[key].cost_usd is not None)
        assert charges >= served[key]["answered"], f"{key} lacks a charge"
        assert requests[key].doubt_usd > 0
    charged = attempts(atlas.root, atlas.name).collect()["cost_usd"].sum()
    assert Decimal(charged) == spend.total_usd
    assert Decimal(0) == spend.reserved_usd


def finish(atlas):
    """The same command again, to its end."""
    process = atlas()
    _, errors = process.communicate(timeout=180)
    assert 0 == process.returncode, errors.decode()[-2000:]


@pytest.mark.parametrize(
    "fault_point",
    [
        "before_claim:1", "before_claim:700",
        "after_claim:1", "after_claim:900",
        "after_call:1", "after_call:1100",
        "before_settle:500",
        "before_commit:1", "before_commit:3",
        "after_commit:1", "after_commit:4",
    ],
)  # fmt: skip
def test_a_kill_at_a_fault_point_loses_nothing_and_repeats_nothing(atlas, referee, fault_point):
    process = atlas(fault_point)
    process.communicate(timeout=180)
    assert -signal.SIGKILL == process.returncode
    before = settled(atlas.root, atlas.name), referee.served()

    finish(atlas)

    check(atlas, referee, *before)


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_kill_at_a_random_moment_loses_nothing_and_repeats_nothing(atlas, referee, moment):
    start = referee.received()
    process = atlas()
    while process.poll() is None and referee.received() - start < moment:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=0.003)
    process.kill()
    process.communicate()
    before = settled(atlas.root, atlas.name), referee.served()

    finish(atlas)

    check(atlas, referee, *before)


def test_a_run_killed_again_and_again_still_ends_whole(atlas, referee):
    for fault_point in ("after_call:300", "before_commit:1", "after_claim:200", "after_commit:1"):
        process = atlas(fault_point)
        process.communicate(timeout=180)
        assert -signal.SIGKILL == process.returncode
    before = settled(atlas.root, atlas.name), referee.served()

    finish(atlas)

    check(atlas, referee, *before)
