"""Profiling a pool: missing cells run like a backlog, then everything known becomes one profile."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from profiles.fingerprint import pair_fingerprint
from profiles.prompts import prompt_version
from tasks.batch.equip import check_ready, equipment, judge_of, sandbox_tier
from tasks.batch.finish import publish_run
from tasks.batch.job import BatchJob
from tasks.batch.run import run_batch
from tasks.batch.spec import BatchSettings, ProgressSink, RunReport, WrapChunk
from tasks.batch.stop import StopFlag
from tasks.profiling.cells import Cell, CellSource, load_plan, missing_cells, save_plan
from tasks.profiling.store import publish_profile
from tasks.read import LabelledSet, read_labelled
from warehouse.ledger import Ledger, RunRecord, open_ledger

if TYPE_CHECKING:
    import polars as pl

    from profiles.pool import Pool
    from profiles.profile import Profile
    from tasks.embedder import CachedEmbedder


Publish = Literal["latest", "saved"]


class ProfileIncompleteError(Exception):
    """The cells could not all be run; the same command takes them up again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileJob(BatchJob):
    """What to profile and how; the fields are those of `flows.settings.ProfileSettings`."""

    questions: str
    clusters: int = 8


@dataclass(frozen=True, slots=True)
class PlannedProfile:
    """A profiling run before it runs; nothing has been paid yet.

    Attributes:
        cells: cells that no committed outcome covers.
        known: cells that one does.
    """

    job: ProfileJob
    pool: Pool
    labelled: LabelledSet
    run_id: str
    identity: dict[str, Any]
    cells: list[Cell]
    known: int


class ProfileReport(NamedTuple):
    """How a profiling job ended; `profile` is None while cells are missing."""

    run: RunReport | None
    profile: Profile | None
    folder: Path | None
    new_cells: int
    known_cells: int


def plan_profile(job: ProfileJob, *, env: Mapping[str, str]) -> PlannedProfile:
    """Find out which cells are missing; spends nothing.

    A killed or paused run of the same job is taken up with the plan it began with.

    Raises:
        PoolError, PoolNotReadyError: the pool file is wrong, or keys or prices are missing.
        InputError: the labelled set cannot be read or holds no usable row.
    """
    from profiles.pool_file import load_pool

    pool = load_pool(job.pool)
    check_ready(pool, env=env, allow_unpriced=job.allow_unpriced)
    labelled = read_labelled(job.questions)
    queries = labelled.queries[: job.limit]
    identity = {
        "kind": "profile",
        "input_sha256": labelled.input_sha256,
        "limit": job.limit,
        "seed": job.seed,
        "chunk_size": job.chunk_size,
        "prompts": prompt_version(),
        "pairs": {pair.pair_id: pair_fingerprint(pool, pair) for pair in pool.pairs},
    }
    ledger = open_ledger(job.root)
    try:
        runs = [run for run in ledger.runs() if run.kind == "profile"]
        known = known_cells(job.root, ledger, runs, identity)
    finally:
        ledger.close()
    run_id, cells = _plan_of(job, runs, identity)
    if cells is None:
        cells = missing_cells(queries, pool.pairs, known)
    covered = len(queries) * len(pool.pairs) - len(cells)
    return PlannedProfile(job, pool, labelled, run_id, identity, cells, covered)


def _plan_of(
    job: ProfileJob, runs: Sequence[RunRecord], identity: Mapping[str, Any]
) -> tuple[str, list[Cell] | None]:
    """Name of the run, and the plan of its unfinished predecessor of the same name."""
    if job.name is not None:
        return job.name, load_plan(_plan_path(job.root, job.name))
    digest = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:10]
    same = [run for run in runs if run.run_id.startswith(f"profile-{digest}")]
    open_runs = [run for run in same if run.state != "complete"]
    if open_runs:
        return open_runs[0].run_id, load_plan(_plan_path(job.root, open_runs[0].run_id))
    run_id = f"profile-{digest}" if not same else f"profile-{digest}-{len(same) + 1}"
    return run_id, load_plan(_plan_path(job.root, run_id))


def _plan_path(root: Path, run_id: str) -> Path:
    return root / "staging" / run_id / "cells.json"


def known_cells(
    root: Path, ledger: Ledger, runs: Sequence[RunRecord], identity: Mapping[str, Any]
) -> set[Cell]:
    """Cells with a committed outcome of the very same pair and prompts, failed calls left out."""
    frame = known_outcomes(root, ledger, runs, identity)
    return set(frame.select("query_id", "pair_id").iter_rows())


def known_outcomes(
    root: Path,
    ledger: Ledger,
    runs: Sequence[RunRecord],
    identity: Mapping[str, Any],
    *,
    failures: bool = False,
) -> pl.DataFrame:
    """Committed outcomes of the same pairs and prompts; the newest where a cell was run twice.

    Args:
        root: of the warehouse.
        ledger: knows the commits.
        runs: profiling runs to look through.
        identity: of the profiling job, see `PlannedProfile.identity`.
        failures: whether cells whose call failed count too, where no later run answered them:
            they say nothing about accuracy and all about reliability.
    """
    import polars as pl

    from warehouse.query import scan

    frames = []
    for run in runs:
        config = json.loads(run.config_json)
        pairs = config.get("pairs", {})
        valid = [pair for pair, print_ in identity["pairs"].items() if pairs.get(pair) == print_]
        if config.get("prompts") != identity["prompts"] or not valid:
            continue
        commits = ledger.commits("outcomes", run.run_id)
        known = scan(root, commits, "outcomes").filter(pl.col("pair_id").is_in(valid))
        frames.append(known if failures else known.filter(pl.col("error_type").is_null()))
    if not frames:
        return scan(root, [], "outcomes").collect()
    return (
        pl.concat(frames)
        .sort(pl.col("error_type").is_null(), "created_at")
        .unique(["query_id", "pair_id"], keep="last", maintain_order=True)
        .collect()
    )


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
) -> ProfileReport:
    """Run the missing cells, then publish one immutable profile of everything known.

    Args:
        planned: what to run.
        env: where keys are looked up.
        embedder: loads the encoder; called only when a profile is fitted.
        progress: told of every cell.
        stop: asked before every cell.
        wrap: wraps the work of a chunk, in a Prefect task for example.
        publish: `latest` makes the version the one that routing uses; `saved` keeps it without
            that, for a gate to decide later (`tasks.profiling.store.set_latest`).
        reason: why, for the history of versions.

    Raises:
        WarehouseError: files or ledger cannot be used, or another process works on the run.
        ClientSetupError, ToolConfigError: the pool names what cannot be had here.
        ProfileError: there is nothing to learn from.
    """
    job = planned.job
    ledger = open_ledger(job.root)
    try:
        run = await _run_cells(planned, ledger, env, progress, stop or StopFlag(), wrap)
        if run is not None and run.state != "complete":
            return ProfileReport(run, None, None, len(planned.cells), planned.known)
        profile = fit_profile(planned, ledger, embedder())
        folder = publish_profile(job.root, profile, make_latest=publish == "latest", reason=reason)
        return ProfileReport(run, profile, folder, len(planned.cells), planned.known)
    finally:
        ledger.close()


async def _run_cells(
    planned: PlannedProfile,
    ledger: Ledger,
    env: Mapping[str, str],
    progress: ProgressSink,
    stop: StopFlag,
    wrap: WrapChunk,
) -> RunReport | None:
    job = planned.job
    if not planned.cells:
        return None
    save_plan(
        _plan_path(job.root, planned.run_id),
        planned.cells,
        input_sha256=planned.labelled.input_sha256,
    )
    source = CellSource(
        {query.query_id: query for query in planned.labelled.queries},
        planned.pool,
        planned.cells,
        job.chunk_size,
    )
    async with equipment(planned.pool, env=env, seed=job.seed) as tools:
        settings = _settings(planned, sandbox_tier(tools))
        report = await run_batch(
            settings,
            ledger=ledger,
            source=source,
            equipment=tools,
            progress=progress,
            stop=stop,
            wrap=wrap,
        )
    publish_run(
        job.root,
        ledger,
        planned.run_id,
        dead_letters=None,
        code_version=settings.code_version,
        now=datetime.now(UTC),
    )
    return report


def _settings(planned: PlannedProfile, tier: str | None) -> BatchSettings:
    job = planned.job
    return job.batch_settings(
        run_id=planned.run_id,
        kind="profile",
        input_path=str(job.questions),
        input_sha256=planned.labelled.input_sha256,
        identity=planned.identity,
        rows=len(planned.cells),
        unique_rows=len(planned.cells),
        bad_rows=len(planned.labelled.bad),
        router="profile",
        profile_id=None,
        judge=judge_of(planned.pool),
        sandbox_tier=tier,
    )


def fit_profile(planned: PlannedProfile, ledger: Ledger, embedder: CachedEmbedder) -> Profile:
    """Fit a profile from every committed outcome of the labelled set.

    Raises:
        ProfileError: there is nothing to learn from.
    """
    import polars as pl

    from profiles.build_profile import build_profile, train_queries
    from profiles.clusters import ClusterSettings
    from profiles.profile import ProfileSettings

    job = planned.job
    runs = [run for run in ledger.runs() if run.kind == "profile"]
    outcomes = known_outcomes(job.root, ledger, runs, planned.identity, failures=True)
    queries = pl.DataFrame(
        [
            {
                "query_id": query.query_id,
                "text": query.prompt,
                "dataset": query.dataset,
                "split": query.split,
            }
            for query in planned.labelled.queries[: job.limit]
        ],
        schema=dict.fromkeys(("query_id", "text", "dataset", "split"), pl.String),
    )
    texts = train_queries(queries).get_column("text").to_list()
    return build_profile(
        queries=queries,
        outcomes=outcomes,
        embeddings=embedder(texts),
        pairs=planned.pool.pairs,
        pool_fingerprint=planned.pool.fingerprint,
        encoder_fingerprint=embedder.fingerprint,
        created_at=datetime.now(UTC),
        settings=ProfileSettings(clusters=ClusterSettings(k=job.clusters, seed=job.seed)),
    )
