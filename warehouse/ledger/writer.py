"""Group commit: many coroutines' entries, one durable transaction at a time.

While one transaction is on its way to the disk the next entries gather; each caller wakes when its
own entry is durable. An fsync is thus shared by everybody who waits for one. Where several waited
for the last one, the next is held back for a moment, because each costs the same whether it holds
two entries or twenty; whoever is alone never waits.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

from sqlalchemy.exc import SQLAlchemyError

from warehouse.errors import WarehouseError
from warehouse.ledger.entries import Entry
from warehouse.ledger.ledger import Ledger

GATHERING_S = 0.003
"""How long entries gather while many are written: a few hundredths of what a model call takes."""


class LedgerWriter:
    """Writes entries of one event loop through one thread.

    Args:
        ledger: where they go.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._pending: list[tuple[Entry, asyncio.Future[None]]] = []
        self._drain: asyncio.Task[None] | None = None
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="atlas-ledger")

    async def write(self, entry: Entry) -> None:
        """Return once `entry` is on the disk.

        Raises:
            WarehouseError: the batch could not be written; none of its entries was.
        """
        loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = loop.create_future()
        self._pending.append((entry, done))
        if self._drain is None or self._drain.done():
            self._drain = loop.create_task(self._run())
        await done

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        busy = False
        while self._pending:
            if busy:
                await asyncio.sleep(GATHERING_S)
            batch, self._pending = self._pending, []
            busy = len(batch) > 1
            try:
                await loop.run_in_executor(
                    self._thread, self._ledger.apply, [entry for entry, _ in batch]
                )
            except Exception as error:
                failure = _explain(error)
                for _, done in batch:
                    if not done.done():
                        done.set_exception(failure)
                continue
            for _, done in batch:
                if not done.done():
                    done.set_result(None)

    async def close(self) -> None:
        """Wait for what is under way, then stop the thread."""
        if self._drain is not None:
            await self._drain
        self._thread.shutdown(wait=True)


def _explain(error: Exception) -> Exception:
    if not isinstance(error, SQLAlchemyError):
        return error
    cause = getattr(error, "orig", None) or error
    return WarehouseError(
        f"The ledger could not be written ({cause}). No request was sent without being written "
        "there first; answers under way count as in doubt. Make room or free the lock, then "
        "repeat the command: it goes on from here."
    )
