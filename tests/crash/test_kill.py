"""`kill -9` anywhere, then the same command: nothing lost, nothing settled paid for twice.

What a provider was asked is counted by the provider, not by us.
"""

from __future__ import annotations

import contextlib
import random
import signal
import subprocess

import pytest

from tests.crash.conftest import ROWS
from tests.crash.promises import check, settled

pytestmark = [pytest.mark.crash, pytest.mark.slow]

MOMENTS = random.Random(20260101).sample(range(ROWS), 20)


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

    check(atlas.root, atlas.name, ROWS, referee.served(), *before)


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

    check(atlas.root, atlas.name, ROWS, referee.served(), *before)


def test_a_run_killed_again_and_again_still_ends_whole(atlas, referee):
    for fault_point in ("after_call:300", "before_commit:1", "after_claim:200", "after_commit:1"):
        process = atlas(fault_point)
        process.communicate(timeout=180)
        assert -signal.SIGKILL == process.returncode
    before = settled(atlas.root, atlas.name), referee.served()

    finish(atlas)

    check(atlas.root, atlas.name, ROWS, referee.served(), *before)
