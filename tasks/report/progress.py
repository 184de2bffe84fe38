"""How far a batch run is: a live line on a terminal, plain lines elsewhere.

Everything goes to standard error; standard output belongs to data. Rows that earlier sessions
finished count as done from the first line on, and never into the rate.
"""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable
from decimal import Decimal
from typing import TYPE_CHECKING, Protocol, TextIO

from tasks.report import formats as f
from tasks.report.layout import shorten

if TYPE_CHECKING:
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

EVERY_S = 10.0
"""Seconds between plain lines."""
_BAR = 16


class Show(Protocol):
    """Where progress appears."""

    def line(self, text: str, share: float) -> None:
        """The state of the run, replacing the last one where that is possible."""
        ...

    def note(self, text: str) -> None:
        """A sentence that stays."""
        ...

    def close(self, text: str, share: float) -> None:
        """The last state, which stays."""
        ...


class Progress:
    """Progress of one session of a batch run.

    Args:
        stream: where to write; standard error by default.
        live: redraw one line (a terminal) or write lines; None looks at the stream.
        clock: monotonic seconds.
        every_s: least seconds between two plain lines.
        unit: what a row is called.
    """

    def __init__(
        self,
        *,
        stream: TextIO | None = None,
        live: bool | None = None,
        color: bool | None = None,
        clock: Callable[[], float] = time.monotonic,
        every_s: float = EVERY_S,
        unit: str = "rows",
    ) -> None:
        out = sys.stderr if stream is None else stream
        on_terminal = out.isatty() if live is None else live
        self._show: Show = LiveLine(out, color=color) if on_terminal else PlainLines(out)
        self._every_s = 0.2 if on_terminal else every_s
        self._clock = clock
        self._unit = unit
        self._total = self._done = self._resumed = 0
        self._spent = Decimal(0)
        self._max_cost: Decimal | None = None
        self._began = self._last = 0.0
        self._open = False
        self._trouble: dict[str, str] = {}

    def start(
        self,
        total: int,
        already_done: int,
        max_cost: Decimal | None,
        already_spent: Decimal = Decimal(0),
    ) -> None:
        """Begin a session.

        Args:
            total: rows of the whole run.
            already_done: rows that earlier sessions finished.
            max_cost: the budget in dollars, None for none.
            already_spent: dollars that earlier sessions spent.
        """
        self._total, self._done, self._resumed = total, already_done, already_done
        self._spent, self._max_cost = already_spent, max_cost
        self._began = self._last = self._clock()
        self._open = True
        self._show.line(self.text(), self._share())

    def advance(self, rows: int, cost_usd: Decimal) -> None:
        """Count rows that ended and money they cost; 0 rows for money alone."""
        self._done += rows
        self._spent += cost_usd
        now = self._clock()
        if self._open and now - self._last >= self._every_s:
            self._last = now
            self._show.line(self.text(), self._share())

    def trouble(self, pair: str, what: str | None) -> None:
        """Note that a pair is in trouble, such as `rate limited`; None says it is well again."""
        if what is None:
            self._trouble.pop(pair, None)
        else:
            self._trouble[pair] = what

    def note(self, text: str) -> None:
        """Say something a person should know; it stays on the screen."""
        self._show.note(f.clean(text))

    def finish(self) -> None:
        """End the session with the last state; calling it again does nothing."""
        if self._open:
            self._open = False
            self._show.close(self.text(), self._share())

    def text(self) -> str:
        """The state in one line: rows, money, rate, time to go, pairs in trouble."""
        parts = [f"{f.count(self._done)}/{f.count(self._total)} {self._unit}"]
        money = f.dollars(self._spent)
        if self._max_cost is not None:
            money += f" of {f.dollars(self._max_cost)}"
        parts.append(money)
        elapsed, rows = self._clock() - self._began, self._done - self._resumed
        if rows > 0 and elapsed > 0:
            parts.append(f.rate(rows, elapsed))
            if self._open and self._done < self._total:
                parts.append(f"{f.duration((self._total - self._done) * elapsed / rows)} to go")
        if not self._open:
            parts.append(f"{f.duration(elapsed)} in this session")
        elif self._resumed and rows <= 0:
            parts.append(f"{f.count(self._resumed)} done before")
        parts += [f"{f.pair_label(pair)}: {what}" for pair, what in sorted(self._trouble.items())]
        return " · ".join(parts)

    def _share(self) -> float:
        return min(1.0, self._done / self._total) if self._total else 1.0


class PlainLines:
    """One line after the other, for logs. The run goes on if nobody reads them any more."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def line(self, text: str, share: float) -> None:
        """Write the state with its share in percent."""
        self.note(f"{f.percent(share):>4} {text}")

    def note(self, text: str) -> None:
        """Write a sentence."""
        try:
            self._stream.write(text + "\n")
            self._stream.flush()
        except (OSError, ValueError):
            # A closed pipe or a full log disk must not stop a paid run.
            return

    def close(self, text: str, share: float) -> None:
        """Write the last state."""
        self.line(text, share)


class LiveLine:
    """One line that is redrawn, with a bar; notes scroll by above it."""

    def __init__(self, stream: TextIO, *, color: bool | None = None) -> None:
        from rich.console import Console

        self._console: Console = Console(
            file=stream,
            force_terminal=True,
            no_color=None if color is None else not color,
            highlight=False,
        )
        self._live: Live | None = None

    def line(self, text: str, share: float) -> None:
        """Redraw the line."""
        from rich.live import Live

        with _unheard():
            if self._live is None:
                self._live = Live(console=self._console, auto_refresh=False, transient=True)
                self._live.start()
            self._live.update(self._drawn(text, share), refresh=True)

    def note(self, text: str) -> None:
        """Print a sentence above the line."""
        with _unheard():
            self._console.print(text, markup=False, soft_wrap=True)

    def close(self, text: str, share: float) -> None:
        """Leave the last state on the screen."""
        with _unheard():
            if self._live is not None:
                self._live.stop()
                self._live = None
            self._console.print(self._drawn(text, share))

    def _drawn(self, text: str, share: float) -> Text:
        from rich.text import Text

        filled = round(_BAR * share)
        room = self._console.width - _BAR - 7
        return Text.assemble(
            ("━" * filled, "green"),
            ("━" * (_BAR - filled), "bright_black"),
            (f" {f.percent(share):>4} ", "bold"),
            shorten(text, max(room, 10)),
        )


def _unheard() -> contextlib.suppress:
    """A closed terminal must not stop a paid run."""
    return contextlib.suppress(OSError, ValueError)
