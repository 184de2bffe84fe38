"""Planning a profiling run: which cells are missing or stale, and under which name they run."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from tasks.batch.equip import check_ready
from tasks.batch.job import BatchJob
from tasks.batch.spec import config_sha
from tasks.profiling.amounts import CellBudget, parse_age, parse_budget
from tasks.profiling.cell_versions import PoolVersions
from tasks.profiling.cells import Cell, PlannedCell, Reason, SavedPlan, load_plan
from tasks.profiling.evidence import cells_to_run, evidence, given_up
from tasks.read import LabelledSet, read_labelled
from warehouse.ledger import LedgerReader, RunRecord, open_ledger

if TYPE_CHECKING:
    import polars as pl

    from profiles.pool import Pool
    from tasks.query import Query

TRAIN = "train"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileJob(BatchJob):
    """What to profile and how; the fields are those of `flows.settings.ProfileSettings`."""

    questions: str
    clusters: int | Literal["auto"] = "auto"
    budget: str | None = None
    max_age: str | None = None
    half_life: str | None = None
    with_feedback: bool = False
    retry_failed: bool = False

    @property
    def cell_budget(self) -> CellBudget | None:
        """The budget of cells, read; None runs every cell."""
        return None if self.budget is None else parse_budget(self.budget)


@dataclass(frozen=True, slots=True)
class PlannedProfile:
    """A profiling run before it runs; nothing has been paid yet.

    Attributes:
        run_id: the run that works the cells; it exists only once there is one.
        saved: what it means to do; with a budget, the cells it chooses from.
        known: cells that an outcome speaks for.
        left_out: held-out cells that a budget does not cover.
        given_up: cells that failed too often to be tried again unasked.
        resumed: whether a killed or paused run is taken up.
        spent_by: the finished run that spent this very budget on these very cells.
    """

    job: ProfileJob
    pool: Pool
    labelled: LabelledSet
    queries: tuple[Query, ...]
    versions: PoolVersions
    run_id: str
    identity: dict[str, Any]
    saved: SavedPlan
    known: int
    left_out: int = 0
    given_up: int = 0
    resumed: bool = False
    spent_by: str | None = None

    @property
    def cells(self) -> list[Cell]:
        """(query_id, pair_id) of the planned cells."""
        return [cell.cell for cell in self.saved.cells]

    @property
    def reasons(self) -> Counter[Reason]:
        """How many cells are planned for which reason, see `tasks.profiling.cells.REASONS`."""
        return Counter(cell.reason for cell in self.saved.cells)

    @property
    def oldest(self) -> datetime | None:
        """Outcomes from before this moment are old; None lets none grow old."""
        return _oldest(self.job, self.saved.planned_at)


def plan_profile(job: ProfileJob, *, env: Mapping[str, str], to_pay: bool = True) -> PlannedProfile:
    """Find out which cells are missing, stale or invalidated; spends nothing, writes nothing.

    A killed or paused run of the same job is taken up with the plan it began with.

    Args:
        job: what to profile.
        env: where keys are looked up.
        to_pay: whether keys and prices must be there already, as they must to run it.

    Raises:
        PoolError, PoolNotReadyError: the pool file is wrong, or keys or prices are missing.
        InputError: the labelled set cannot be read or holds no usable row.
        ProfileError: nothing could be learnt from the answers: it is said before they are paid for.
        ValueError: the budget or an age cannot be read.
        WarehouseError: the ledger or a committed file cannot be read.
    """
    from profiles.pool_file import load_pool

    pool = load_pool(job.pool)
    if to_pay:
        check_ready(pool, env=env, allow_unpriced=job.allow_unpriced)
    labelled = read_labelled(job.questions)
    _check_teachable(labelled.queries[: job.limit], job.questions)
    queries, labelled = _gradable(job, labelled)
    versions = PoolVersions(pool)
    identity = _identity(job, labelled, queries, pool, versions)
    now = datetime.now(UTC)
    ledger = open_ledger(job.root)
    try:
        runs = [run for run in ledger.runs() if run.kind == "profile"]
        run_id, saved = _run_of(job, runs, identity)
        found = _evidence(job, ledger, queries, pool, versions, saved, now)
    finally:
        ledger.close()
    hopeless = set() if job.retry_failed else given_up(found)
    fresh = cells_to_run(found, queries, [pair.pair_id for pair in pool.pairs], hopeless)
    known = len(queries) * len(pool.pairs) - len(fresh) - len(hopeless)
    left_out: list[PlannedCell] = []
    if job.budget is not None:
        train = {query.query_id for query in queries if query.split == TRAIN}
        left_out = [c for c in fresh if c.query_id not in train and c.source_run is None]
        fresh = [c for c in fresh if c.query_id in train or c.source_run is not None]
    spent_by = None
    if saved is not None:
        known = len(queries) * len(pool.pairs) - len(saved.cells) - len(left_out)
        hopeless = set()
    elif job.budget is not None:
        spent_by = _spent_already(job, runs, identity, fresh)
    resumed = saved is not None
    if saved is None:
        cells = [] if spent_by is not None else fresh
        saved = SavedPlan(labelled.input_sha256, now, cells)
    planned = PlannedProfile(
        job, pool, labelled, queries, versions, run_id, identity, saved, known, len(left_out),
        len(hopeless), resumed, spent_by,
    )  # fmt: skip
    if job.budget is not None and not resumed:
        _allow(planned)
    return planned


def _gradable(job: ProfileJob, labelled: LabelledSet) -> tuple[tuple[Query, ...], LabelledSet]:
    """The questions to ask; one without a reference would be paid for and teach nothing."""
    wanted = labelled.queries[: job.limit]
    queries = tuple(query for query in wanted if query.reference is not None)
    if len(queries) == len(wanted):
        return queries, labelled
    example = next(query for query in wanted if query.reference is None)
    warning = (
        f"questions without a reference, which are not asked: {len(wanted) - len(queries):,}; "
        f"the first is {example.custom_id!r} ({example.source}, row {example.source_row})"
    )
    return queries, replace(labelled, warnings=[*labelled.warnings, warning])


def _check_teachable(queries: Sequence[Query], source: str) -> None:
    from profiles.errors import ProfileError

    train = [query for query in queries if query.split == TRAIN]
    if not train:
        raise ProfileError(
            f"{source}: no question has split 'train', and a profile learns from those alone; "
            "label some, or leave the split out to have it drawn"
        )
    if all(query.reference is None for query in train):
        raise ProfileError(
            f"{source}: none of the {len(train):,} training questions has a reference to grade "
            "by, so nothing could be learnt from their answers; add `reference` and `grader`"
        )


def plan_path(root: Path, run_id: str) -> Path:
    """Where the plan of a run is kept."""
    return root / "staging" / run_id / "cells.json"


def outcomes_of(planned: PlannedProfile, ledger: LedgerReader) -> pl.DataFrame:
    """What is known now of the planned queries and pairs, see `tasks.profiling.evidence`.

    Raises:
        WarehouseError: a committed file cannot be read.
    """
    return evidence(
        planned.job.root,
        ledger,
        queries=planned.queries,
        pool=planned.pool,
        versions=planned.versions,
        oldest=planned.oldest,
    )


def _allow(planned: PlannedProfile) -> None:
    """Say in the plan what the budget comes to, in dollars or in cells."""
    budget, saved = planned.job.cell_budget, planned.saved
    assert budget is not None
    if budget.usd is not None:
        saved.allowance = float(budget.usd)
        return
    assert budget.share is not None
    rows = sum(query.split == TRAIN for query in planned.queries)
    every = rows * len(planned.pool.pairs)
    open_cells = sum(cell.source_run is None for cell in saved.cells)
    saved.allowance = float(max(0, round(budget.share * every) - (every - open_cells)))


def _evidence(
    job: ProfileJob,
    ledger: LedgerReader,
    queries: Sequence[Query],
    pool: Pool,
    versions: PoolVersions,
    saved: SavedPlan | None,
    now: datetime,
) -> pl.DataFrame:
    oldest = _oldest(job, now if saved is None else saved.planned_at)
    return evidence(job.root, ledger, queries=queries, pool=pool, versions=versions, oldest=oldest)


def _oldest(job: ProfileJob, planned_at: datetime) -> datetime | None:
    return None if job.max_age is None else planned_at - parse_age(job.max_age)


def _identity(
    job: ProfileJob,
    labelled: LabelledSet,
    queries: Sequence[Query],
    pool: Pool,
    versions: PoolVersions,
) -> dict[str, Any]:
    """Everything that decides which cells run and what they are; prices are no part of it."""
    graders = {query.reference.grader for query in queries if query.reference is not None}
    identity: dict[str, Any] = {
        "kind": "profile",
        "input_sha256": labelled.input_sha256,
        "limit": job.limit,
        "seed": job.seed,
        "chunk_size": job.chunk_size,
        "pairs": {
            pair.pair_id: "/".join(
                [versions.prompt(pair), versions.model(pair.model), versions.tool(pair.tool)]
            )
            for pair in pool.pairs
        },
        "graders": {grader: versions.grader(grader) for grader in sorted(graders)},
    }
    if job.retry_failed:
        identity["retry_failed"] = True
    if job.max_age is not None:
        identity["max_age"] = job.max_age
    if job.budget is not None:
        # The rounds of a budget depend on the clusters, and these on the encoder.
        how = {"encoder": job.encoder, "dtype": job.encoder_dtype, "clusters": job.clusters}
        identity |= {"budget": job.budget} | how
    return identity


def _base_name(job: ProfileJob, identity: Mapping[str, Any]) -> str:
    digest = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:10]
    return job.name or f"profile-{digest}"


def _same_runs(
    base: str, runs: Sequence[RunRecord], identity: Mapping[str, Any]
) -> list[RunRecord]:
    """Runs of this name and configuration, newest first: the second one is `<base>-2`."""
    name, sha = re.compile(rf"{re.escape(base)}(-\d+)?"), config_sha(identity)
    return [run for run in runs if name.fullmatch(run.run_id) and run.config_sha == sha]


def _run_of(
    job: ProfileJob, runs: Sequence[RunRecord], identity: Mapping[str, Any]
) -> tuple[str, SavedPlan | None]:
    """Name of the run, and its plan where it is an unfinished one that is taken up."""
    base = _base_name(job, identity)
    same = _same_runs(base, runs, identity)
    for run in same:
        if run.state != "complete":
            return run.run_id, load_plan(plan_path(job.root, run.run_id))
    taken = {run.run_id for run in runs}
    if job.name in taken and not same:
        # Another configuration has this name: opening the run says which settings differ.
        return base, None
    names = (base, *(f"{base}-{number}" for number in range(2, len(taken) + 3)))
    return next(name for name in names if name not in taken), None


def _spent_already(
    job: ProfileJob,
    runs: Sequence[RunRecord],
    identity: Mapping[str, Any],
    cells: Sequence[PlannedCell],
) -> str | None:
    """The finished run of the same budget, where nothing has become stale or new since.

    A budget is spent once on one state of affairs: the same command again is no second helping.
    Cells that failed are no news either.
    """
    for run in _same_runs(_base_name(job, identity), runs, identity):
        earlier = load_plan(plan_path(job.root, run.run_id))
        if run.state == "complete" and earlier is not None and earlier.stopped is not None:
            ran = {cell.cell for round_ in earlier.rounds for cell in round_}
            left = {cell.cell for cell in earlier.cells} - ran
            news = any(cell.reason != "failed" and cell.cell not in left for cell in cells)
            return None if news else run.run_id
    return None
