"""Stopping politely: the first Ctrl-C lets rows in flight finish, the second one kills."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable


class StopFlag:
    """Set once, by a signal or by a caller; read by whoever would begin new work."""

    def __init__(self, on_stop: Callable[[], None] = lambda: None) -> None:
        self._on_stop = on_stop
        self.requested = False

    def request(self) -> None:
        """Ask to stop; a second call changes nothing."""
        if not self.requested:
            self.requested = True
            self._on_stop()

    def listen(self) -> Callable[[], None]:
        """Stop on SIGINT, SIGTERM and SIGHUP; the second of a kind does what it always does.

        Returns:
            A function that restores the signals. Outside the main thread nothing is changed.
        """
        loop = asyncio.get_running_loop()
        caught = [signal.SIGINT, signal.SIGTERM]
        # A terminal that is closed; under nohup the signal is ignored, and stays so.
        if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is signal.SIG_DFL:
            caught.append(signal.SIGHUP)

        def first(number: signal.Signals) -> None:
            loop.remove_signal_handler(number)
            self.request()

        try:
            for number in caught:
                loop.add_signal_handler(number, first, number)
        except (NotImplementedError, RuntimeError, ValueError):
            return lambda: None

        def restore() -> None:
            for number in caught:
                loop.remove_signal_handler(number)

        return restore
