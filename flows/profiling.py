"""One session of profiling a pool, with or without Prefect around it."""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping
from dataclasses import fields
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from flows.console import say
from flows.progress import SessionProgress
from flows.routing import STOPPING, run_async, say_sandbox
from flows.settings import ProfileSettings
from tasks.batch.stop import StopFlag
from tasks.profiling.profile import (
    PlannedProfile,
    ProfileJob,
    ProfileReport,
    plan_profile,
    run_profile,
)
from tasks.profiling.store import list_profiles

if TYPE_CHECKING:
    from profiles.profile import Profile
    from tasks.batch.spec import Work, WrapChunk
    from tasks.report.facts import ProfileFacts


class ProfileOutcome(NamedTuple):
    """How profiling stands after a session.

    Attributes:
        status: complete | paused_budget | cancelled | failed.
        run_id: the run that worked the missing cells; it exists only if there were any.
        did_work: False where no cell was missing.
        profile: None while cells are missing.
        failed_share: share of the cells run that failed.
        fatal: errors that closed a provider, by account or model.
        stopped: why a budget of cells was spent no further; None without one.
    """

    run_id: str
    status: str
    did_work: bool
    new_cells: int
    known_cells: int
    answered: int
    failed: int
    pending: int
    cost_usd: Decimal
    max_cost_usd: Decimal | None
    profile: Profile | None
    folder: Path | None
    failed_share: float
    fatal: dict[str, str]
    facts: ProfileFacts | None
    stopped: str | None = None


def profile_session(
    settings: ProfileSettings,
    *,
    env: Mapping[str, str] | None = None,
    wrap: WrapChunk = lambda work: work,
    flow_run_id: str | None = None,
) -> ProfileOutcome:
    """Plan the missing cells, say what begins, run or resume them, track it, publish a profile.

    Args:
        settings: what to profile and how.
        env: where keys are looked up; the process's own environment by default.
        wrap: wraps the work of a chunk, in a Prefect task for example.
        flow_run_id: id of the Prefect flow run around it.

    Raises:
        Exception: what `tasks.profiling.profile.plan_profile` and `run_profile` raise.
    """
    from flows.profile_pages import session_page
    from flows.tracked import tracked

    env = os.environ if env is None else env
    planned = plan_profile(profile_job(settings, flow_run_id), env=env)
    say_plan(settings, planned)
    params = settings.public() | planned.identity
    published = set(list_profiles(settings.root))
    with tracked(settings, planned.run_id, "profile", params) as run:

        def opened(work: Work) -> Work:
            run.opened()
            return wrap(work)

        report = run_async(_run(settings, planned, env, opened))
        outcome = _outcome(settings, planned, report)
        if outcome.facts is not None and outcome.folder is not None:
            # Refitting what is known already gives the profile that is there: nothing to log.
            if outcome.did_work or outcome.facts.profile.profile_id not in published:
                drawn = session_page(settings, outcome.facts, planned.labelled.queries)
                run.profile(outcome.facts, [outcome.folder], drawn.facts if drawn else None)
        else:
            run.end(outcome.status)
    return outcome


def profile_job(settings: ProfileSettings, flow_run_id: str | None = None) -> ProfileJob:
    """The job that the settings describe."""
    shared = {field.name for field in fields(ProfileJob)} & set(type(settings).model_fields)
    return ProfileJob(**{n: getattr(settings, n) for n in shared}, flow_run_id=flow_run_id)


def say_plan(settings: ProfileSettings, planned: PlannedProfile) -> None:
    """Tell what was read, what is odd about it, and which cells are to run and why."""
    from tasks.profiling.cells import REASONS

    say_read(settings, planned)
    say(
        f"{len(planned.cells):,} cells (question × pair) to run, {planned.known:,} known"
        + (f"; run {planned.run_id}" if planned.cells else "")
    )
    for reason, cells in planned.reasons.most_common():
        say(f"  {cells:,}: {REASONS[reason]}")
    if planned.spent_by is not None:
        say(
            f"run {planned.spent_by} spent --budget {settings.budget} on these very cells; "
            "a higher --budget goes on where it ended"
        )
    elif settings.budget is not None and planned.cells:
        say(f"--budget {settings.budget}: rounds choose among them what decides most")
    if planned.given_up:
        say(
            f"note: {planned.given_up:,} cells failed in three runs each and are not tried again; "
            "`atlas runs list` names the runs, --retry-failed tries once more"
        )
    if planned.left_out:
        say(f"note: {planned.left_out:,} cells of held-out questions are no part of a budget")
    say_sandbox(planned.pool)


def say_read(settings: ProfileSettings, planned: PlannedProfile) -> None:
    """Tell what was read, and what is odd about it."""
    labelled = planned.labelled
    say(f"profile {planned.pool.name} on {settings.questions} under {settings.root}")
    say(f"read {settings.questions}: {len(labelled.queries):,} questions")
    for warning in labelled.warnings:
        say(f"note: {warning}")
    for bad in labelled.bad[:5]:
        say(f"note: left out: {bad}")
    if len(labelled.bad) > 5:
        say(f"note: and {len(labelled.bad) - 5:,} more rows that cannot be used")


async def _run(
    settings: ProfileSettings, planned: PlannedProfile, env: Mapping[str, str], wrap: WrapChunk
) -> ProfileReport:
    from tasks.embedder import CachedEmbedder, cached_embedder

    @functools.cache
    def embedder() -> CachedEmbedder:
        say(f"embedding with {settings.encoder} and fitting the profile ...")
        return cached_embedder(settings.root, settings.encoder, dtype=settings.encoder_dtype)

    progress = SessionProgress(settings, planned.run_id, "cells")
    return await run_profile(
        planned,
        env=env,
        embedder=embedder,
        progress=progress,
        stop=StopFlag(on_stop=lambda: progress.note(STOPPING)),
        wrap=wrap,
    )


def _outcome(
    settings: ProfileSettings, planned: PlannedProfile, report: ProfileReport
) -> ProfileOutcome:
    run = report.run
    answered, failed = (run.counts.answered, run.counts.failed) if run else (0, 0)
    outcome = ProfileOutcome(
        run_id=planned.run_id,
        status=run.state if run else "complete",
        did_work=run is not None and run.wall_s > 0,
        new_cells=report.new_cells,
        known_cells=report.known_cells,
        answered=answered,
        failed=failed,
        pending=run.pending if run else 0,
        cost_usd=run.spend.total_usd if run else Decimal(0),
        max_cost_usd=settings.max_cost_usd,
        profile=report.profile,
        folder=report.folder,
        failed_share=failed / report.new_cells if report.new_cells else 0.0,
        fatal=run.fatal if run else {},
        facts=None,
        stopped=report.stopped,
    )
    return outcome._replace(facts=_facts(settings, planned, outcome))


def _facts(
    settings: ProfileSettings, planned: PlannedProfile, outcome: ProfileOutcome
) -> ProfileFacts | None:
    if outcome.profile is None:
        return None
    from tasks.report.facts import ProfileFacts

    return ProfileFacts(
        profile=outcome.profile,
        pool_name=planned.pool.name,
        source=settings.questions,
        spent_usd=outcome.cost_usd,
        parameters=settings.public(),
        next_commands=(f"atlas plan BACKLOG --pool {settings.pool} --root {settings.root}",),
    )
