"""How a paid session ends: its exit code, said in words that name what goes on from here.

A worker of a deployment has nobody who reads an exit code: there what would be one is a failed
flow run.
"""

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


def scheduled_ending(
    session: Ended, *, unit: str, max_cost_usd: Decimal | None, fail_on_error: float, then: str
) -> None:
    """Fail the flow run of a deployment where too many rows failed; nothing anywhere else.

    A session that stopped at its budget or by hand is no failure: the next schedule goes on.

    Args:
        session: how it ended.
        unit: what its rows are called.
        max_cost_usd: the budget it had.
        fail_on_error: share of failed rows that is still no failure.
        then: the command that looks at the failed ones, or tries them again.

    Raises:
        CommandError: more failed than is allowed, or every provider was closed by an error.
    """
    from flows.orchestration import of_a_deployment

    if not of_a_deployment():
        return
    code = ending(session, unit=unit, max_cost_usd=max_cost_usd, fail_on_error=fail_on_error)
    if code == ROWS_FAILED:
        raise CommandError(
            f"{session.failed_share:.0%} of the {unit} failed, more than the {fail_on_error:.0%} "
            "allowed; what was answered is kept.",
            then,
        )


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
