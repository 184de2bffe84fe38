"""How a paid session ends: its exit code, said in words that name what goes on from here."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Protocol

from flows.console import say
from flows.failures import BUDGET, INTERRUPTED, OK, ROWS_FAILED, CommandError


class Ended(Protocol):
    """What every session reports."""

    @property
    def status(self) -> str:
        """One of complete, paused_budget, cancelled and failed."""
        ...

    @property
    def pending(self) -> int:
        """Rows or cells without a final answer."""
        ...

    @property
    def failed_share(self) -> float:
        """Share of the rows that failed."""
        ...

    @property
    def fatal(self) -> Mapping[str, str]:
        """Errors that closed a provider."""
        ...


def ending(session: Ended, *, unit: str, max_cost_usd: Decimal | None, fail_on_error: float) -> int:
    """The exit code of a session; each but 0 is said in words.

    Args:
        session: how it ended.
        unit: what its rows are called.
        max_cost_usd: the budget it had.
        fail_on_error: share of failed rows that is still no failure.

    Raises:
        CommandError: every provider was closed by an error.
    """
    waiting = f"{session.pending:,} {unit} wait"
    if session.status == "failed":
        causes = "; ".join(dict.fromkeys(why.rstrip(".") for why in session.fatal.values()))
        raise CommandError(
            f"No provider can go on ({causes}). {waiting}; what was answered is kept. "
            "Put it right, then repeat the command."
        )
    if session.status == "paused_budget":
        say(
            f"stopped at the budget of ${max_cost_usd}: {waiting}; "
            "the same command with a higher --max-cost goes on"
        )
        return BUDGET
    if session.status != "complete":
        say(f"stopped by hand: {waiting}; the same command goes on")
        return INTERRUPTED
    if session.failed_share > fail_on_error:
        say(
            f"{100 * session.failed_share:.1f} % of the {unit} failed or could not be read, more "
            f"than --fail-on-error {fail_on_error:g} allows"
        )
        return ROWS_FAILED
    return OK
