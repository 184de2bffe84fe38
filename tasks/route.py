"""Routing a backlog, from the file to committed answers: the job behind `atlas route`."""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from profiles.prompts import prompt_version
from tasks.batch.backlog_source import BacklogSource
from tasks.batch.equip import check_ready, equipment, judge_of, sandbox_tier
from tasks.batch.finish import answer_duplicates, publish_run
from tasks.batch.job import BatchJob
from tasks.batch.run import run_batch
from tasks.batch.spec import BatchSettings, Equipment, ProgressSink, RunReport, WrapChunk
from tasks.batch.stop import StopFlag
from tasks.read import InputError, Staged, input_fingerprint, load_plan, stage_backlog
from tasks.route_explore import exploring, identity_of, refuse_blind, refuse_policy
from tasks.route_policy import PolicyChoice, check_has_policy, choose_policy
from warehouse.ledger import Ledger, open_ledger
from warehouse.run_lock import run_lock

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from profiles.pool import Pool
    from profiles.profile import Profile
    from profiles.routers.base import Router
    from tasks.batch.item import ItemSource


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteJob(BatchJob):
    """What to route and how; the fields are those of `flows.settings.RouteSettings`."""

    backlog: str
    router: str = "auto"
    profile: str = "latest"
    alpha: float = 0.0
    explore: float = 0.0
    explorer: str = "epsilon"
    explore_band: float = 0.02
    policy: str | None = None
    price: float | None = None
    max_cost_per_query_usd: Decimal | None = None
    mlflow_uri: str = ""
    artifacts: str = ""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A job with everything that was looked up for it; nothing has been paid yet.

    Attributes:
        router: decides; its name says what `auto` came to, such as `auto:predictor`. A policy
            takes its place where the job names one.
        because: one line on why `auto` came to that, or on the policy; empty for other routers.
    """

    job: RouteJob
    pool: Pool
    router: Router | PolicyChoice
    profile_id: str | None
    embed: Callable[[Sequence[str]], NDArray[np.float32]]
    run_id: str
    identity: dict[str, Any]
    input_sha256: str
    because: str = ""

    @property
    def folder(self) -> Path:
        """Where the run's plan is staged."""
        return self.job.root / "staging" / self.run_id

    @property
    def policy(self) -> PolicyChoice | None:
        """The policy that decides, None where a router does."""
        return self.router if isinstance(self.router, PolicyChoice) else None

    @property
    def choice(self) -> str:
        """One line on who decides and why, for people; empty where the job said it all."""
        if not self.because:
            return ""
        return f"{'policy' if self.policy else 'router auto'}: {self.because}"

    def source(self, staged: Staged) -> ItemSource:
        """The staged backlog, embedded and decided chunk by chunk."""
        if isinstance(self.router, PolicyChoice):
            return self.router.source(self.folder, staged, self.pool, time.perf_counter)
        return BacklogSource(
            folder=self.folder,
            chunks=staged.chunks,
            pool=self.pool,
            router=self.router,
            embed=self.embed,
            profile_id=self.profile_id,
            alpha=self.job.alpha,
            seed=self.job.seed,
            timer=time.perf_counter,
        )


def prepare(job: RouteJob, *, env: Mapping[str, str], to_pay: bool = True) -> Prepared:
    """Look up and check everything a job needs; reads no row and spends nothing.

    Args:
        job: what to route and how.
        env: where keys are looked up.
        to_pay: whether calls will follow; a mere plan needs neither keys nor prices.

    Raises:
        PoolError, PoolNotReadyError: the pool file is wrong, or keys or prices are missing.
        ProfileNotFoundError, ProfileError, RouterError: the knowledge to route by is missing.
        PolicyNotFoundError, RegistryError: the policy is; see `tasks.route_policy.choose_policy`.
        InputError: the backlog cannot be found or read.
    """
    from profiles.pool_file import load_pool

    pool = load_pool(job.pool)
    if to_pay:
        check_ready(pool, env=env, allow_unpriced=job.allow_unpriced)
    sha = input_fingerprint(job.backlog)
    identity: dict[str, Any] = {
        "kind": "route",
        "input_sha256": sha,
        "pool": pool.fingerprint,
        "alpha": job.alpha,
        "chunk_size": job.chunk_size,
        "limit": job.limit,
        "seed": job.seed,
        "prompts": prompt_version(),
    }
    encoder = [job.encoder, job.encoder_dtype]

    def named(identity: dict[str, Any]) -> str:
        return job.name or run_name(job.backlog, identity)

    if job.policy is not None:
        refuse_policy(job)
        choice, identity = choose_policy(job, identity | {"encoder": encoder}, pool, named)
        return Prepared(
            job, pool, choice, choice.profile.profile_id, choice.embed, named(identity), identity,
            sha, choice.because,
        )  # fmt: skip
    router, because, profile_id, embed = _router(job, pool)
    identity |= {
        "profile_id": profile_id,
        # A release that judges routers otherwise must not go on with another one's run.
        "router": router.name if because else job.router,
        "encoder": encoder if router.needs_embeddings else None,
    } | identity_of(job)
    return Prepared(job, pool, router, profile_id, embed, named(identity), identity, sha, because)


def run_name(source: str, identity: Mapping[str, Any]) -> str:
    """Name of a run: the input's own name and ten digits of its identity's hash."""
    digest = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:10]
    stem = re.sub(r"[^A-Za-z0-9._-]+", "-", Path(source).name.split(".")[0]).strip("-.") or "run"
    return f"{stem[:60]}-{digest}"


def _router(
    job: RouteJob, pool: Pool
) -> tuple[Router, str, str | None, Callable[[Sequence[str]], NDArray[np.float32]]]:
    from profiles.routers.pool_only import fixed_for_pool
    from tasks.profiling.store import find_profile

    check_has_policy(job.router)
    if job.router.startswith("fixed:") or job.router == "random":
        refuse_blind(job)
        return fixed_for_pool(job.router, pool), "", None, _no_embedding
    from profiles.profile import check_compatible
    from profiles.routers.registry import build_router, check_router_name

    check_router_name(job.router)
    profile = find_profile(job.root, job.profile)
    if job.router == "auto":
        router, because = _resolved(profile, job.alpha)
    else:
        router, because = build_router(job.router, profile), ""
    router = exploring(job, router, profile)
    if not router.needs_embeddings:
        check_compatible(profile, pool, profile.encoder_fingerprint)
        return router, because, profile.profile_id, _no_embedding
    from tasks.embedder import cached_embedder

    embedder = cached_embedder(job.root, job.encoder, dtype=job.encoder_dtype)
    check_compatible(profile, pool, embedder.fingerprint)
    return router, because, profile.profile_id, embedder


def _resolved(profile: Profile, alpha: float) -> tuple[Router, str]:
    from profiles.routers.auto import AutoRouter

    auto = AutoRouter(profile)
    return auto.resolved(alpha), auto.choice(alpha).sentence


def _no_embedding(_texts: Sequence[str]) -> NDArray[np.float32]:
    raise AssertionError("this router needs no embeddings")


async def route(
    prepared: Prepared,
    *,
    env: Mapping[str, str],
    progress: ProgressSink,
    stop: StopFlag | None = None,
    wrap: WrapChunk = lambda work: work,
    on_staged: Callable[[Staged], None] = lambda _staged: None,
) -> RunReport:
    """Stage the backlog if that is not done, then run or resume it to its end.

    Raises:
        InputError, StageError: the backlog cannot be read, or changed since the run began.
        WarehouseError: see `tasks.batch.run.run_batch`.
        ClientSetupError, ToolConfigError: the pool names what cannot be had here.
    """
    job = prepared.job
    ledger = open_ledger(job.root)
    try:
        staged = stage(prepared)
        on_staged(staged)
        async with equipment(prepared.pool, env=env, seed=job.seed) as tools:
            return await _run(prepared, staged, ledger, tools, progress, stop or StopFlag(), wrap)
    finally:
        ledger.close()


def stage(prepared: Prepared) -> Staged:
    """Read the backlog into the run's own folder, once.

    Raises:
        InputError: the backlog is not the one the run began with.
        LedgerBusyError: another live process reads it into that folder at this moment.
    """
    job = prepared.job
    staged = load_plan(prepared.folder)
    if staged is None:
        # Begun twice at once, each would clear away what the other one has written.
        with run_lock(job.root, prepared.run_id):
            staged = stage_backlog(
                job.backlog, prepared.folder, chunk_size=job.chunk_size, limit=job.limit
            )
    if staged.input_sha256 != prepared.input_sha256:
        raise InputError(
            f"{job.backlog} is not what run {prepared.run_id!r} began with: its content changed. "
            "Put the old file back to resume, or give the new one its own --name."
        )
    return staged


async def _run(
    prepared: Prepared,
    staged: Staged,
    ledger: Ledger,
    tools: Equipment,
    progress: ProgressSink,
    stop: StopFlag,
    wrap: WrapChunk,
) -> RunReport:
    job = prepared.job
    source = prepared.source(staged)
    settings = _settings(prepared, staged, tools)
    report = await run_batch(
        settings,
        ledger=ledger,
        source=source,
        equipment=tools,
        progress=progress,
        stop=stop,
        wrap=wrap,
        finalise=lambda: answer_duplicates(
            job.root,
            ledger,
            prepared.run_id,
            folder=prepared.folder,
            staged=staged,
            code_version=settings.code_version,
        ),
    )
    publish_run(
        job.root,
        ledger,
        prepared.run_id,
        dead_letters=staged.dead_letter_path,
        code_version=settings.code_version,
        now=datetime.now(UTC),
    )
    return report


def _settings(prepared: Prepared, staged: Staged, tools: Equipment) -> BatchSettings:
    job = prepared.job
    return job.batch_settings(
        run_id=prepared.run_id,
        kind="route",
        input_path=str(job.backlog),
        input_sha256=prepared.input_sha256,
        identity=prepared.identity,
        rows=staged.rows - staged.bad,
        unique_rows=staged.unique,
        bad_rows=staged.bad,
        router=prepared.router.name,
        profile_id=prepared.profile_id,
        judge=judge_of(prepared.pool),
        sandbox_tier=sandbox_tier(tools),
    )
