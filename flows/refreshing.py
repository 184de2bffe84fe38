"""A refresh without Prefect: cells, canaries, drift, fit, gate, promotion, policy, report.

    1. cells     run what is missing, stale or declared stale; fit a version, not yet in use
    2. canaries  ask every pair its canaries, once a day
    3. drift     test them; a pair that drifted has its cells declared stale and run again
    4. gate      compare the new version with the one in use, on questions left out of both fits
    5. promote   the new version comes into use, if it is not worse
    6. policy    where asked for: train one on what is in use now, judge it, promote it if better
    7. report    one page: what changed, why, how sure

Every step finds out from the ledger and from committed rows what is done already. The same command
therefore finishes a refresh that was killed or paused, and a second one of the same day asks no
canary again.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

from flows.console import say
from flows.profiling import profile_job, say_plan
from flows.progress import SessionProgress
from flows.refresh_outcome import RefreshOutcome
from flows.routing import STOPPING, run_async
from flows.settings import RefreshSettings
from profiles.errors import ProfileError
from tasks.batch.stop import StopFlag
from tasks.freshness.canary_run import CanaryRun, run_canaries
from tasks.freshness.gate import judge_version, save_decision
from tasks.freshness.night import Alarm, Watch
from tasks.freshness.query_drift import query_drift
from tasks.freshness.refresh_run import (
    RefreshRun,
    Spent,
    close_refresh,
    open_refresh,
    pause_refresh,
    spent_by,
)
from tasks.profiling.profile import PlannedProfile, ProfileReport, plan_profile, run_profile
from tasks.profiling.store import ProfileNotFoundError, find_profile, latest_id, set_latest
from warehouse.ledger import open_ledger
from warehouse.run_lock import run_lock

if TYPE_CHECKING:
    from flows.refresh_policy import PolicyNews
    from profiles.profile import Profile
    from tasks.batch.spec import RunReport, WrapChunk
    from tasks.embedder import CachedEmbedder
    from tasks.freshness.drift_state import PairDrift
    from tasks.freshness.gate import GateDecision
    from warehouse.ledger import Ledger

LOCK = "refresh"
"""One refresh of a warehouse at a time."""


def refresh_session(
    settings: RefreshSettings,
    *,
    env: Mapping[str, str] | None = None,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    wrap: WrapChunk = lambda work: work,
    flow_run_id: str | None = None,
) -> RefreshOutcome:
    """Refresh a pool's knowledge, or finish the refresh that was killed or paused.

    Args:
        settings: what to refresh and how.
        env: where keys are looked up; the process's own environment by default.
        clock: says what night it is.
        wrap: wraps the work of a chunk, in a Prefect task for example.
        flow_run_id: id of the Prefect flow run around it.

    Raises:
        LedgerBusyError: another live process refreshes this warehouse.
        Exception: what planning, running, fitting and judging raise.
    """
    from flows.profile_pages import refresh_page
    from flows.tracked import tracked

    env = os.environ if env is None else env
    with (
        run_lock(settings.root, LOCK),
        contextlib.closing(open_ledger(settings.root)) as ledger,
    ):
        refresh = open_refresh(settings.root, ledger, now=clock(), latest=latest_id(settings.root))
        say(f"refresh {refresh.run_id}" + (" goes on where it stood" if refresh.resumed else ""))
        with tracked(settings, refresh.run_id, "refresh", settings.public()) as run:
            run.opened()
            session = _Session(settings, ledger, refresh, env, clock, wrap, flow_run_id)
            try:
                outcome = session.work()
            except Exception:
                if not session.began and not refresh.resumed:
                    # A wrong path must not fix the night of the next refresh.
                    ledger.delete_run(refresh.run_id)
                raise
            if outcome.profile is not None:
                drawn = refresh_page(settings, outcome.profile)
                if drawn is not None:
                    run.page(drawn.facts)
            run.end(outcome.status)
    return outcome


class _Session:
    """One session of a refresh."""

    def __init__(
        self,
        settings: RefreshSettings,
        ledger: Ledger,
        refresh: RefreshRun,
        env: Mapping[str, str],
        clock: Callable[[], datetime],
        wrap: WrapChunk,
        flow_run_id: str | None,
    ) -> None:
        self._settings, self._ledger, self._refresh = settings, ledger, refresh
        self._env, self._clock, self._wrap = env, clock, wrap
        self._root: Path = settings.root
        self._job = replace(profile_job(settings, flow_run_id), name=None)
        self._loaded: CachedEmbedder | None = None
        self._cells_known = 0
        self._worked = self._failed = 0
        self.began = False
        """Whether pool and questions could be read."""

    def work(self) -> RefreshOutcome:
        """Every step in turn; a step that has to stop ends the session."""
        planned, report = self._cells()
        profile = report.profile
        if profile is None:
            return self._stopped(report.run)
        watch = self._watch(planned)
        living = watch.choose(profile, now=self._clock())
        for canaries in watch.plan(living):
            asked = self._ask(watch, canaries)
            if asked.state != "complete":
                return self._stopped(asked)
        drift = watch.measure(living, clock=self._clock)
        alarms = watch.alarms(drift)
        for alarm in alarms:
            say(f"drift: {alarm.pair_id}: {alarm.sentence}")
        stale = watch.declare(alarms)
        if stale:
            planned, report = self._cells()
            profile = report.profile
            if profile is None:
                return self._stopped(report.run)
        return self._decide(planned, profile, drift, alarms, stale)

    # ------------------------------------------------------------------ steps

    def _cells(self) -> tuple[PlannedProfile, ProfileReport]:
        """Run what is missing or stale, and fit a version that is not yet in use."""
        planned = plan_profile(self._job, env=self._env)
        self.began = True
        job = replace(planned.job, max_cost_usd=self._left(planned.run_id))
        planned = replace(planned, job=job)
        say_plan(self._settings, planned)
        if planned.cells:
            self._refresh.join(self._ledger, planned.run_id)
        progress = SessionProgress(self._settings, planned.run_id, "cells")
        report = run_async(
            run_profile(
                planned,
                env=self._env,
                embedder=self._embedder,
                progress=progress,
                stop=StopFlag(on_stop=lambda: progress.note(STOPPING)),
                wrap=self._wrap,
                publish="saved",
                reason=self._refresh.run_id,
            )
        )
        self._cells_known = report.known_cells
        self._count(report.run)
        return planned, report

    def _watch(self, planned: PlannedProfile) -> Watch:
        return Watch(
            root=self._root,
            ledger=self._ledger,
            refresh=self._refresh,
            pool=planned.pool,
            queries={query.query_id: query for query in planned.queries},
            versions=planned.versions,
            count=self._settings.canaries,
            first_night_runs=self._settings.first_night_runs,
            seed=self._settings.seed,
        )

    def _ask(self, watch: Watch, canaries: CanaryRun) -> RunReport:
        """Ask the canaries of one run."""
        count = sum(len(one.query_ids) for one in canaries.sets)
        say(f"{count:,} canaries of {len(canaries.sets):,} pairs; run {canaries.run_id}")
        self._refresh.join(self._ledger, canaries.run_id)
        progress = SessionProgress(self._settings, canaries.run_id, "canaries")
        report = run_async(
            run_canaries(
                canaries,
                job=replace(self._job, max_cost_usd=self._left(canaries.run_id)),
                pool=watch.pool,
                queries=watch.queries,
                ledger=self._ledger,
                env=self._env,
                progress=progress,
                stop=StopFlag(on_stop=lambda: progress.note(STOPPING)),
                wrap=self._wrap,
            )
        )
        self._count(report)
        return report

    def _decide(
        self,
        planned: PlannedProfile,
        profile: Profile,
        drift: list[PairDrift],
        alarms: list[Alarm],
        stale: list[str],
    ) -> RefreshOutcome:
        """Gate, promotion, policy and the record of the refresh."""
        decision = self._judge(planned, profile)
        if decision.old != decision.new:
            save_decision(self._root, decision, now=self._clock())
        if decision.publish:
            set_latest(self._root, profile.profile_id, f"{self._refresh.run_id}: gate passed")
        queries = query_drift(
            self._root,
            self._ledger,
            profile,
            lambda texts: self._embedder()(texts),
            seed=self._settings.seed,
        )
        outcome = self._outcome("complete", None)._replace(
            profile_id=profile.profile_id,
            published=decision.publish,
            gate=decision,
            drift=tuple(drift),
            alarms=tuple(alarms),
            stale_pairs=tuple(stale),
            queries=queries,
            profile=profile,
            policy=self._policy(profile, in_use=decision.publish),
        )
        self._close(outcome)
        return outcome

    def _judge(self, planned: PlannedProfile, profile: Profile) -> GateDecision:
        """What the gate says of the version that was fitted."""
        from tasks.profiling.fit import usable_outcomes

        settings = self._settings
        old, unreadable = self._old_profile()
        return judge_version(
            old,
            profile,
            queries=planned.queries,
            outcomes=usable_outcomes(planned, self._ledger),
            embed=lambda texts: self._embedder()(texts),
            alpha=settings.alpha,
            margin=settings.gate_margin,
            seed=settings.seed,
            unreadable=unreadable,
        )

    def _policy(self, profile: Profile, *, in_use: bool) -> PolicyNews | None:
        """Train, judge and promote a policy, where that is asked for."""
        if not self._settings.train:
            return None
        from flows.refresh_policy import refresh_policy

        return refresh_policy(self._settings, profile, in_use=in_use)

    def _close(self, outcome: RefreshOutcome) -> None:
        gate, queries, policy = outcome.gate, outcome.queries, outcome.policy
        assert gate is not None
        row = {
            "profile_id": outcome.profile_id,
            "published": outcome.published,
            "gate": gate.verdict,
            "reason": gate.sentence,
            "gate_json": json.dumps(gate.as_json()),
            "queries_json": None if queries is None else json.dumps(queries.as_json()),
            "policy_json": None if policy is None else json.dumps(policy.as_json()),
            "cells_run": outcome.cells_run,
            "cells_known": outcome.cells_known,
            "canaries_run": outcome.canaries_run,
            "calls": outcome.spent.calls,
            "alarms": len(outcome.alarms),
            "cost_usd": outcome.spent.cost_usd,
        }
        close_refresh(self._root, self._ledger, self._refresh, row, now=self._clock())

    # ---------------------------------------------------------------- figures

    def _old_profile(self) -> tuple[Profile | None, str | None]:
        """The version in use before this refresh, whatever an earlier attempt promoted.

        One that is gone or damaged is told, and replaced: it could not route either.
        """
        if self._refresh.old_profile_id is None:
            return None, None
        try:
            return find_profile(self._root, self._refresh.old_profile_id), None
        except (ProfileNotFoundError, ProfileError) as error:
            return None, str(error)

    def _embedder(self) -> CachedEmbedder:
        from tasks.embedder import cached_embedder

        if self._loaded is None:
            settings = self._settings
            self._loaded = cached_embedder(
                self._root, settings.encoder, dtype=settings.encoder_dtype
            )
        return self._loaded

    def _left(self, run_id: str) -> Decimal | None:
        """What one run of this refresh may still cost, what it cost already included."""
        if self._settings.max_cost_usd is None:
            return None
        own = Decimal(0)
        if run_id in self._refresh.runs:
            own = self._ledger.spend(run_id).total_usd
        return max(Decimal(0), self._settings.max_cost_usd - self._spent().cost_usd + own)

    def _spent(self) -> Spent:
        return spent_by(self._root, self._ledger, self._refresh)

    def _count(self, run: RunReport | None) -> None:
        if run is not None:
            self._worked += run.counts.answered + run.counts.failed
            self._failed += run.counts.failed

    def _stopped(self, run: RunReport | None) -> RefreshOutcome:
        assert run is not None
        pause_refresh(self._ledger, self._refresh, run.state)
        return self._outcome(run.state, run)

    def _outcome(self, status: str, run: RunReport | None) -> RefreshOutcome:
        spent = self._spent()
        return RefreshOutcome(
            run_id=self._refresh.run_id,
            night=self._refresh.night,
            status=status,
            resumed=self._refresh.resumed,
            cells_run=spent.cells,
            cells_known=self._cells_known,
            canaries_run=spent.canaries,
            pending=0 if run is None else run.pending,
            failed_share=self._failed / self._worked if self._worked else 0.0,
            fatal={} if run is None else run.fatal,
            spent=spent,
            max_cost_usd=self._settings.max_cost_usd,
            old_profile_id=self._refresh.old_profile_id,
            profile_id=None,
            published=False,
            gate=None,
            drift=(),
            alarms=(),
            stale_pairs=(),
            queries=None,
            profile=None,
            policy=None,
        )
