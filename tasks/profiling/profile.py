"""Profiling a pool: missing and stale cells run like a backlog, then all known is fitted."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

from tasks.batch.equip import equipment, judge_of, sandbox_tier
from tasks.batch.finish import publish_run
from tasks.batch.run import run_batch
from tasks.batch.spec import BatchSettings, Equipment, ProgressSink, RunReport, WrapChunk
from tasks.batch.stop import StopFlag
from tasks.profiling.cells import CellSource, in_chunks, save_plan
from tasks.profiling.cells_kept import keep_cells, profiled_cells
from tasks.profiling.evidence import kept_answers
from tasks.profiling.fit import fit_profile
from tasks.profiling.planning import PlannedProfile, ProfileJob, plan_path, plan_profile
from tasks.profiling.rounds import Chunks, WholeProgress, work_rounds
from tasks.profiling.store import publish_profile
from warehouse.ledger import Ledger, open_ledger
from warehouse.run_lock import run_lock

if TYPE_CHECKING:
    from profiles.profile import Profile
    from tasks.call.base import ChatClient
    from tasks.embedder import CachedEmbedder

__all__ = [
    "PlannedProfile",
    "ProfileIncompleteError",
    "ProfileJob",
    "ProfileReport",
    "Publish",
    "fit_profile",
    "plan_profile",
    "run_profile",
]

Publish = Literal["latest", "saved"]


class ProfileIncompleteError(Exception):
    """The cells could not all be run; the same command takes them up again."""


class ProfileReport(NamedTuple):
    """How a profiling job ended; `profile` is None while cells are missing.

    Attributes:
        new_cells: cells that were planned; with a budget, those that its rounds ran.
        stopped: why a budget's rounds ended; None without a budget, or while they go on.
    """

    run: RunReport | None
    profile: Profile | None
    folder: Path | None
    new_cells: int
    known_cells: int
    stopped: str | None = None


async def run_profile(
    planned: PlannedProfile,
    *,
    env: Mapping[str, str],
    embedder: Callable[[], CachedEmbedder],
    progress: ProgressSink,
    stop: StopFlag | None = None,
    wrap: WrapChunk = lambda work: work,
    publish: Publish = "latest",
    reason: str = "atlas profile run",
    clients: Mapping[str, ChatClient] | None = None,
) -> ProfileReport:
    """Run the missing cells, then publish one immutable profile of everything known.

    Args:
        planned: what to run.
        env: where keys are looked up.
        embedder: loads the encoder; called when a profile is fitted or a budget is spent.
        progress: told of every cell.
        stop: asked before every cell.
        wrap: wraps the work of a chunk, in a Prefect task for example.
        publish: `latest` makes the version the one that routing uses; `saved` keeps it without
            that, for a gate to decide later (`tasks.profiling.store.set_latest`).
        reason: why, for the history of versions.
        clients: clients to use instead of the pool's own, by model key.

    Raises:
        WarehouseError: files or ledger cannot be used, or another process works on the run.
        ClientSetupError, ToolConfigError: the pool names what cannot be had here.
        ProfileError: there is nothing to learn from.
    """
    job = planned.job
    ledger = open_ledger(job.root)
    try:
        session = _Session(planned, ledger, env, progress, stop or StopFlag(), wrap, clients)
        run = await session.run(embedder)
        new_cells = session.cells
        if run is not None and run.state != "complete":
            return ProfileReport(run, None, None, new_cells, planned.known)
        profile = fit_profile(planned, ledger, embedder())
        keep_cells(job.root, profile.profile_id, profiled_cells(planned, ledger))
        folder = publish_profile(
            job.root, profile, make_latest=publish == "latest", reason=reason, pool=planned.pool
        )
        stopped = planned.saved.stopped
        return ProfileReport(run, profile, folder, new_cells, planned.known, stopped)
    finally:
        ledger.close()


class _Session:
    """One session of the run that works the planned cells."""

    def __init__(
        self,
        planned: PlannedProfile,
        ledger: Ledger,
        env: Mapping[str, str],
        progress: ProgressSink,
        stop: StopFlag,
        wrap: WrapChunk,
        clients: Mapping[str, ChatClient] | None,
    ) -> None:
        self._planned, self._ledger, self._env = planned, ledger, env
        self._progress, self._stop, self._wrap = progress, stop, wrap
        self._clients = clients
        self._known = kept_answers(planned.job.root, ledger, planned.saved.cells)
        self._queries = {query.query_id: query for query in planned.queries}

    @property
    def cells(self) -> int:
        """Cells of this run, so far."""
        saved = self._planned.saved
        if self._planned.job.budget is None:
            return len(saved.cells)
        return sum(map(len, saved.rounds))

    async def run(self, embedder: Callable[[], CachedEmbedder]) -> RunReport | None:
        """Work the cells; None where there are none."""
        planned = self._planned
        job, saved = planned.job, planned.saved
        if not saved.cells:
            return None
        async with equipment(
            planned.pool, env=self._env, seed=job.seed, clients=self._clients
        ) as tools:

            async def work(chunks: Chunks, more: bool) -> RunReport:
                return await self._batch(tools, chunks, more)

            # Planning, choosing and saving rounds is one process's work, like the run itself.
            with run_lock(job.root, f"{planned.run_id}.plan"):
                if job.budget is None:
                    save_plan(plan_path(job.root, planned.run_id), saved)
                    report: RunReport | None = await work(
                        in_chunks(saved.cells, job.chunk_size), False
                    )
                else:
                    whole = WholeProgress(self._progress, _cells_in_reach(planned))
                    self._progress = whole
                    try:
                        report = await work_rounds(
                            planned,
                            self._ledger,
                            embedder=embedder,
                            work=work,
                            stopping=lambda: self._stop.requested,
                            note=whole.note,
                        )
                    finally:
                        whole.close()
        if report is not None:
            self._publish_rows()
        return report

    async def _batch(self, tools: Equipment, chunks: Chunks, more: bool) -> RunReport:
        planned = self._planned
        source = CellSource(self._queries, planned.pool, chunks, planned.versions, self._known)
        return await run_batch(
            self._settings(sum(map(len, chunks)), more, sandbox_tier(tools)),
            ledger=self._ledger,
            source=source,
            equipment=tools,
            progress=self._progress,
            stop=self._stop,
            wrap=self._wrap,
        )

    def _settings(self, cells: int, more: bool, tier: str | None) -> BatchSettings:
        planned = self._planned
        return planned.job.batch_settings(
            run_id=planned.run_id,
            kind="profile",
            input_path=str(planned.job.questions),
            input_sha256=planned.labelled.input_sha256,
            identity=planned.identity,
            rows=cells,
            unique_rows=cells,
            bad_rows=len(planned.labelled.bad),
            router="profile",
            profile_id=None,
            judge=judge_of(planned.pool),
            sandbox_tier=tier,
            grows=more,
        )

    def _publish_rows(self) -> None:
        from tasks.version import code_version

        publish_run(
            self._planned.job.root,
            self._ledger,
            self._planned.run_id,
            dead_letters=None,
            code_version=code_version(),
            now=datetime.now(UTC),
        )


def _cells_in_reach(planned: PlannedProfile) -> int:
    """Cells that a budget may run: its share of them; of dollars nobody knows, so all."""
    budget, allowance = planned.job.cell_budget, planned.saved.allowance
    if budget is None or budget.share is None or allowance is None:
        return len(planned.saved.cells)
    again = sum(cell.source_run is not None for cell in planned.saved.cells)
    return min(len(planned.saved.cells), round(allowance) + again)
