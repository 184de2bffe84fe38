"""Evaluating routers: fit on `train`, route `test` and `ood` as real backlogs, compare.

Definitions. Pairs are sorted by model, then tool. *micro* is the mean score over all questions of
a split, *macro* the unweighted mean over datasets of the mean inside each. An unscored outcome is
left out of every training mean and counts 0 when its pair is chosen. Mean cost is over chosen rows
of recorded cost. Intervals are percentiles of a paired bootstrap (`tasks.report.comparison`).

`random` is routed like every other router, but its figures are the exact expectation of a uniform
draw; what the routed draw came to stands beside them as `…_realised`.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from profiles.profile import DEFAULT_K, k_of
from tasks.batch.equip import equipment
from tasks.batch.stop import StopFlag
from tasks.evaluate.backlog import Site, SplitBacklog, route_split, route_steps, stage_split
from tasks.evaluate.budget import QueryBudget
from tasks.evaluate.fit import Knowledge, Share
from tasks.evaluate.measure import (
    Measured,
    Resolved,
    SplitResult,
    calibration_error,
    expectation,
    read_back,
    realised,
)
from tasks.evaluate.multi_step import MultiStep
from tasks.evaluate.router_names import (
    BASELINE,
    DEFAULT_ROUTERS,
    RouterChoice,
    read_routers,
)
from tasks.evaluate.table import OutcomeTable, read_table, recorded_pool
from tasks.evaluate.training import leave_out
from warehouse.ledger import keep_ledger_beside, open_ledger

if TYPE_CHECKING:
    from profiles.profile import Profile
    from profiles.routers.base import Router
    from tasks.batch.spec import WrapChunk
    from tasks.embedder import CachedEmbedder
    from tasks.evaluate.backlog import Routed
    from tasks.learn.fit_policy import PolicySettings
    from tasks.report.facts import EvaluationFacts

_DRAW = "random (one draw)"
"""The routed draw, in a comparison that holds the expectation under `random`."""


@dataclass(frozen=True, slots=True)
class EvaluateJob:
    """What to evaluate and how; most fields are those of `flows.settings.EvaluateSettings`.

    Attributes:
        directory: folder of `queries.parquet` and `outcomes.parquet`.
        root: embeddings are kept under it, for the next evaluation too.
        routers: names, see `tasks.evaluate.router_names`.
        clusters: K of cluster routers whose name gives none.
        seed: of random draws, of the product's KMeans, and of the sampler of cells.
        kmeans_seed: of the KMeans of `cluster-plain`; the reference figures have 42.
        cells: share of the training cells that is learnt from, in (0, 1].
        sampler: which cells, see `profiles.allocation`.
        leave_out: a dataset nothing is learnt from; all its rows are split `left_out`.
        keep: warehouse of the routed backlogs; None is a folder that is removed at the end.
        draws: of the bootstrap behind every interval.
        max_calls: mean calls a question at which multi-step routers choose their price on train;
            None is no such budget. `max_cost_per_query_usd`: mean dollars, likewise.
        training: how multi-step routers are fitted; the defaults where None.
    """

    directory: Path
    root: Path
    routers: tuple[str, ...] = DEFAULT_ROUTERS
    alpha: float = 0.0
    clusters: int | Literal["auto"] = DEFAULT_K
    seed: int = 0
    kmeans_seed: int = 42
    cells: float = 1.0
    sampler: str = "adaptive"
    leave_out: str | None = None
    encoder: str = "minilm"
    encoder_dtype: str = "float32"
    keep: Path | None = None
    chunk_size: int = 500
    concurrency: int = 1024
    draws: int = 5000
    max_calls: float | None = None
    max_cost_per_query_usd: Decimal | None = None
    training: PolicySettings | None = None


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Every router on every held-out split."""

    job: EvaluateJob
    table: OutcomeTable
    encoder_fingerprint: str | None
    results: tuple[SplitResult, ...]

    def as_json(self) -> dict[str, dict[str, dict[str, Any]]]:
        """`{router: {split: figures}}`, see `SplitResult.as_json`."""
        plain: dict[str, dict[str, dict[str, Any]]] = {}
        for result in self.results:
            plain.setdefault(result.choice.name, {})[result.split] = result.as_json()
        return plain

    def facts(self) -> EvaluationFacts:
        """What the table for people is made from."""
        from tasks.report.facts import EvaluationFacts, RouterFacts

        named = {result.choice.name for result in self.results}
        return EvaluationFacts(
            title=f"evaluate {self.table.name} · alpha {self.job.alpha:g}",
            baseline=BASELINE if BASELINE in named else None,
            routers=tuple(
                RouterFacts(
                    router=result.choice.name,
                    split=result.split,
                    score=result.score,
                    cost_usd=result.bill.cost_usd,
                    calls=result.bill.calls,
                    decisions_per_s=result.routed.decisions_per_s,
                    told=result.choice.told,
                )
                for result in self.results
            ),
        )


async def evaluate(
    job: EvaluateJob,
    *,
    env: Mapping[str, str],
    note: Callable[[str], None] = lambda _text: None,
    stop: StopFlag | None = None,
    wrap: WrapChunk = lambda work: work,
) -> Evaluation:
    """Fit every router on `train` and route every held-out split through each.

    Args:
        job: what to evaluate.
        env: passed on to whoever looks up keys; recorded models have none.
        note: told in a sentence what is being done.
        stop: asked before every row.
        wrap: wraps the work of a chunk, in a Prefect task for example.

    Raises:
        RecordedTableError: the table cannot be used, or a chosen outcome was never recorded.
        NoAnswersError: a multi-step router on a table without answers.
        RouterError, ProfileError, EmbeddingError: a router cannot be had or fitted.
        EvaluationStoppedError: it was stopped by hand.
        WarehouseError: a folder cannot be written.
    """
    choices = read_routers(
        job.routers, clusters=job.clusters, seed=job.seed, kmeans_seed=job.kmeans_seed
    )
    table = read_table(job.directory)
    if job.leave_out is not None:
        table = leave_out(table, job.leave_out)
    share = Share(job.cells, job.sampler, job.seed, k_of(job.clusters))
    pool = recorded_pool(table, concurrency=job.concurrency)
    texts = share.needs_embeddings or any(choice.needs_embeddings for choice in choices)
    with _embedder(job, wanted=texts) as embedder, _warehouse(job.keep) as root:
        knowledge = Knowledge(table, pool, embedder, note, share, choices)
        budget = QueryBudget(job.max_calls, job.max_cost_per_query_usd)
        steps = MultiStep(table, knowledge, budget, settings=job.training, seed=job.seed, note=note)
        # An experiment: its runs are none of the ledger that machines share.
        keep_ledger_beside(root)
        ledger = open_ledger(root)
        try:
            async with equipment(
                pool, env=env, seed=job.seed, clients=dict.fromkeys(pool.models, table.client)
            ) as tools:
                site = Site(
                    root=root,
                    ledger=ledger,
                    pool=pool,
                    equipment=tools,
                    embed=embedder or _no_embedding,
                    alpha=job.alpha,
                    seed=job.seed,
                    concurrency=job.concurrency,
                    stop=stop or StopFlag(),
                    wrap=wrap,
                )
                results: list[SplitResult] = []
                for split in table.held_out:
                    if any(choice.needs_embeddings for choice in choices):
                        knowledge.embed_split(split)
                    backlog = stage_split(table, split, root, chunk_size=job.chunk_size)
                    results += await _compare(job, site, knowledge, steps, backlog, choices, note)
        finally:
            ledger.close()
        fingerprint = None if embedder is None else embedder.fingerprint
    ordered = [result for choice in choices for result in results if result.choice is choice]
    return Evaluation(job, table, fingerprint, tuple(ordered))


async def _compare(
    job: EvaluateJob,
    site: Site,
    knowledge: Knowledge,
    steps: MultiStep,
    backlog: SplitBacklog,
    choices: tuple[RouterChoice, ...],
    note: Callable[[str], None],
) -> list[SplitResult]:
    """Route one split through every router, then compare what was committed."""
    from profiles.routers.auto import AutoRouter
    from tasks.report.comparison import compare

    routed: dict[str, Routed] = {}
    measured: dict[str, Measured] = {}
    taken: dict[str, Resolved | None] = {}
    for choice in choices:
        name = choice.name
        note(f"{backlog.split}: {len(backlog.place):,} questions through {name}")
        alone = steps.one_step_reason(choice)
        if choice.multi_step and not alone:
            guided = steps.guided(choice)
            taken[name] = guided.resolved
            routed[name] = await route_steps(
                backlog,
                choice,
                guided.guide,
                profile_id=guided.profile.profile_id,
                graders=steps.grader_of(),
                site=site,
            )
            measured[name] = read_back(site.root, backlog, routed[name].run_id)
            continue
        profile = knowledge.profile(choice)
        router = AutoRouter(profile) if alone else choice.build(profile)
        resolved = _resolved(choice, router, profile, job.alpha)
        taken[name] = resolved and resolved._replace(why=alone + resolved.why)
        if isinstance(router, AutoRouter):
            router = router.resolved(job.alpha)
        routed[name] = await route_split(
            backlog, choice, router, profile_id=profile.profile_id, site=site
        )
        measured[name] = read_back(site.root, backlog, routed[name].run_id)
    drawn = measured.get("random")
    if drawn is not None:
        measured["random"] = expectation(backlog, site.pool.pairs)
        measured[_DRAW] = drawn
    compared = compare(
        {name: one.scores for name, one in measured.items()},
        backlog.table.rows(backlog.split).get_column("dataset").to_list(),
        BASELINE if BASELINE in measured else None,
        draws=job.draws,
    )
    return [
        SplitResult(
            choice=choice,
            split=backlog.split,
            score=compared.routers[choice.name],
            scores=measured[choice.name].scores,
            bill=measured[choice.name].bill,
            routed=routed[choice.name],
            realised=realised(drawn, compared, _DRAW)
            if drawn is not None and choice.kind == "random"
            else None,
            ece=calibration_error(measured[choice.name]),
            resolved=taken[choice.name],
        )
        for choice in choices
    ]


def _resolved(
    choice: RouterChoice, router: Router, profile: Profile, alpha: float
) -> Resolved | None:
    """What `auto`, or a predictor that could not be fitted, came to."""
    from profiles.routers.auto import AutoRouter

    if isinstance(router, AutoRouter):
        taken = router.choice(alpha)
        return Resolved(taken.router, taken.k, taken.sentence)
    if choice.kind == "predictor" and profile.predictor is None:
        return Resolved(BASELINE, None, "too few scored training questions for a predictor")
    return None


def _no_embedding(_texts: object) -> Any:  # noqa: ANN401
    raise AssertionError("no router of this evaluation looks at texts")


@contextmanager
def _embedder(job: EvaluateJob, *, wanted: bool) -> Iterator[CachedEmbedder | None]:
    """The encoder with its cache, closed at the end; None where nobody looks at texts."""
    if not wanted:
        yield None
        return
    from tasks.embedder import cached_embedder

    embedder = cached_embedder(job.root, job.encoder, dtype=job.encoder_dtype)
    try:
        yield embedder
    finally:
        embedder.close()


@contextmanager
def _warehouse(keep: Path | None) -> Iterator[Path]:
    """The folder of the routed backlogs; a temporary one is removed at the end."""
    if keep is not None:
        yield keep
        return
    with tempfile.TemporaryDirectory(prefix="atlas-evaluate-") as folder:
        yield Path(folder)
