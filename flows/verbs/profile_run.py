"""`atlas profile run`: run the missing cells and publish a profile."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from flows.console import data_json, say, show
from flows.endings import ending
from flows.settings import ProfileSettings
from flows.verbs.options import AsJson, with_settings

if TYPE_CHECKING:
    from flows.profiling import ProfileOutcome


@with_settings(ProfileSettings, argument="questions")
def run(settings: ProfileSettings, json: AsJson = False) -> None:
    """Run every pair on labelled questions, only where cells are missing, and publish a profile.

    A cell is missing, or stale when its question, prompt, model or tool changed or its pair was
    declared stale; a changed price costs no call. --budget runs the cells that decide most.

    Exit codes: 0 done, 1 error, 2 usage, 3 stopped at the budget, 4 too many cells failed,
    130 stopped by hand. The same command resumes.
    """
    from tasks.report.profile_table import profile_table

    outcome = run_profile_session(settings)
    if outcome.stopped is not None:
        say(f"--budget {settings.budget}: {outcome.new_cells:,} cells were run; {outcome.stopped}")
    if outcome.new_cells == 0:
        why = "every cell was known: " if settings.budget is None else ""
        say(f"{why}nothing was asked and nothing was spent")
    if json:
        data_json(_summary(outcome))
    if outcome.facts is not None:
        show(profile_table(outcome.facts), color=settings.color)
        say(f"profile {outcome.facts.profile.profile_id} is in {outcome.folder}")
    raise typer.Exit(
        ending(
            outcome,
            unit="cells",
            max_cost_usd=settings.max_cost_usd,
            fail_on_error=settings.fail_on_error,
        )
    )


def run_profile_session(settings: ProfileSettings) -> ProfileOutcome:
    """Profile with the runner that the settings name."""
    if settings.runner == "plain":
        from flows.profiling import profile_session

        return profile_session(settings)
    from flows.orchestration import announce_server

    announce_server()
    from flows.profile_pool import profile_pool

    return profile_pool(settings)


def _summary(outcome: ProfileOutcome) -> dict[str, Any]:
    known = {k: v for k, v in outcome._asdict().items() if k not in ("facts", "profile")}
    profile = outcome.profile
    return {"profile_id": profile.profile_id if profile is not None else None} | known
