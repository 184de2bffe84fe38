"""Which signals stop a run politely."""

from __future__ import annotations

import asyncio
import os
import signal

import pytest

from tasks.batch.stop import StopFlag


@pytest.fixture
def disposition():
    """Sets what a signal does by default, for the length of a test."""
    before = {}

    def set_to(number, action):
        before[number] = signal.signal(number, action)

    yield set_to
    for number, action in before.items():
        signal.signal(number, action)


async def turns():
    for _ in range(20):
        await asyncio.sleep(0)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
async def test_the_first_signal_of_a_kind_stops_politely(disposition, number):
    disposition(number, signal.SIG_DFL)
    told = asyncio.Event()
    stop = StopFlag(on_stop=told.set)
    restore = stop.listen()
    try:
        os.kill(os.getpid(), number)
        await asyncio.wait_for(told.wait(), 10)

        assert stop.requested
    finally:
        restore()


async def test_a_hangup_that_is_ignored_stays_ignored(disposition):
    disposition(signal.SIGHUP, signal.SIG_IGN)
    stop = StopFlag()
    restore = stop.listen()
    os.kill(os.getpid(), signal.SIGHUP)
    await turns()
    restore()

    assert not stop.requested
    assert signal.SIG_IGN is signal.getsignal(signal.SIGHUP)
