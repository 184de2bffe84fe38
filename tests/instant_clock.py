"""A clock for tests in which nobody waits."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta


class InstantClock:
    """Sleeping moves this clock on at once: only the ledger's thread takes real time."""

    def __init__(self):
        self.elapsed = 0.0

    def monotonic(self):
        return self.elapsed

    def now(self):
        return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=self.elapsed)

    async def sleep(self, seconds):
        self.elapsed += seconds
        await asyncio.sleep(0)
