"""`atlas refresh`: everything that keeps a pool's knowledge fresh, once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from flows.console import data_json, say
from flows.endings import ending
from flows.settings import RefreshSettings
from flows.verbs.options import AsJson, with_settings

if TYPE_CHECKING:
    from flows.refresh_outcome import RefreshOutcome

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command()
@with_settings(RefreshSettings, argument="questions")
def refresh(settings: RefreshSettings, json: AsJson = False) -> None:
    """Run what is new or stale, watch for drift, fit, and use the new version if it is not worse.

    A new version that the gate holds back is no error. Exit codes: 0 done, 1 error, 2 usage,
    3 stopped at the budget, 4 too many cells failed, 130 stopped by hand. The same command resumes;
    canaries are asked once a day.
    """
    from flows.refresh_report import refresh_facts, refresh_text

    outcome = run_refresh(settings)
    if outcome.nothing_to_do:
        canaries = "; canaries apart" if outcome.canaries_run else ""
        say(f"nothing to do: every cell was known, nothing was asked{canaries}")
    if json:
        data_json(refresh_facts(outcome))
    say(refresh_text(outcome).rstrip("\n"))
    raise typer.Exit(
        ending(
            outcome,
            unit="cells",
            max_cost_usd=settings.max_cost_usd,
            fail_on_error=settings.fail_on_error,
        )
    )


def run_refresh(settings: RefreshSettings) -> RefreshOutcome:
    """Refresh with the runner that the settings name."""
    if settings.runner == "plain":
        from flows.refreshing import refresh_session

        return refresh_session(settings)
    from flows.orchestration import announce_server

    announce_server()
    from flows.refresh_nightly import refresh_nightly

    return refresh_nightly(settings)
