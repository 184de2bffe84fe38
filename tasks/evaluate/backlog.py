"""One router on one held-out split: staged, claimed, answered, committed, like any backlog."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from profiles.outcomes import OutcomeMatrices, outcome_matrices
from profiles.policies.step_down import decided_by
from profiles.prompts import prompt_version
from tasks.batch.backlog_source import BacklogSource
from tasks.batch.run import run_batch
from tasks.batch.spec import BatchSettings, WrapChunk
from tasks.batch.stop import StopFlag
from tasks.batch.trajectory_source import TrajectorySource
from tasks.read import stage_queries
from tasks.route import run_name
from tasks.trajectory.navigator import Navigator
from tasks.version import code_version

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from profiles.policies.guide import Guide
    from profiles.pool import Pool
    from profiles.routers.base import Router
    from tasks.batch.item import ItemSource
    from tasks.batch.spec import Equipment, RunReport
    from tasks.evaluate.router_names import RouterChoice
    from tasks.evaluate.table import OutcomeTable
    from tasks.query import Query
    from tasks.read import Staged
    from warehouse.ledger import Ledger

Embed = Callable[[Sequence[str]], "NDArray[np.float32]"]


class EvaluationStoppedError(Exception):
    """The evaluation was stopped by hand before every question was routed."""


class Routed(NamedTuple):
    """How one backlog was routed.

    `decisions_per_s` counts deciding alone, embedding left out; it is None, like `rows_per_s` of
    the whole run, where an earlier session had routed the backlog already.
    """

    run_id: str
    decisions_per_s: float | None
    rows_per_s: float | None


@dataclass(slots=True)
class SplitBacklog:
    """A held-out split, staged once and routed by any number of routers.

    Attributes:
        staged: its plan.
        outcomes: what was recorded of its questions, in the file's order.
        place: row of every query id in `outcomes`.
    """

    table: OutcomeTable
    split: str
    folder: Path
    staged: Staged
    outcomes: OutcomeMatrices
    place: dict[str, int]

    def told(self, kind: str) -> Callable[[Sequence[Query]], dict[str, Any]]:
        """What a baseline is told of some of the questions beside their text."""
        if kind == "dataset-best":
            return lambda queries: {"datasets": tuple(query.dataset for query in queries)}
        if kind == "oracle":
            return self._scores
        return lambda _queries: {}

    def _scores(self, queries: Sequence[Query]) -> dict[str, Any]:
        rows = [self.place[query.query_id] for query in queries]
        # An unscored outcome counts 0 when it is chosen, so that is what it is worth here too.
        scores = np.nan_to_num(self.outcomes.scores[rows], nan=0.0)
        return {"scores": scores, "allowed": self.outcomes.observed[rows]}


def stage_split(table: OutcomeTable, split: str, root: Path, *, chunk_size: int) -> SplitBacklog:
    """Stage a split under `root`; what is staged there already is kept.

    Raises:
        StageError: the folder cannot be written, or holds another plan.
    """
    folder = root / "staging" / f"{split}-{table.sha256[:10]}"
    staged = stage_queries(
        table.backlog(split), folder, input_sha256=table.sha256, chunk_size=chunk_size
    )
    ids = table.rows(split).get_column("query_id").to_list()
    outcomes = outcome_matrices(ids, table.outcomes, table.pairs)
    place = {query_id: row for row, query_id in enumerate(ids)}
    return SplitBacklog(table, split, folder, staged, outcomes, place)


class _Silence:
    """A run's progress that nobody watches."""

    def start(self, total: int, already_done: int, max_cost: Decimal | None) -> None:
        """Nothing."""

    def advance(self, rows: int, cost_usd: Decimal) -> None:
        """Nothing."""

    def note(self, text: str) -> None:
        """Nothing."""

    def finish(self) -> None:
        """Nothing."""


@dataclass(frozen=True, slots=True)
class Site:
    """What every backlog of one evaluation is routed with.

    Attributes:
        root: warehouse of the evaluation; `ledger` is its ledger.
        pool: the recorded pairs.
        equipment: the recorded client, and nothing to grade with but recorded scores.
        embed: texts to (n, D) float32; called only for routers that look at texts.
        alpha: weight of cost.
        seed: of random routers.
        concurrency: rows in flight.
        stop: asked before every row.
        wrap: wraps the work of a chunk, in a Prefect task for example.
    """

    root: Path
    ledger: Ledger
    pool: Pool
    equipment: Equipment
    embed: Embed
    alpha: float
    seed: int
    concurrency: int
    stop: StopFlag
    wrap: WrapChunk


async def route_split(
    backlog: SplitBacklog, choice: RouterChoice, router: Router, *, profile_id: str, site: Site
) -> Routed:
    """Route a split's questions; a run of the same name and configuration is taken up.

    Args:
        backlog: the staged questions.
        choice: how the router was asked for; names the run.
        router: decides.
        profile_id: what the router learnt from.
        site: what it is routed with.

    Raises:
        EvaluationStoppedError: it was stopped by hand.
        WarehouseError: files or ledger cannot be used.
    """
    source = BacklogSource(
        folder=backlog.folder,
        chunks=backlog.staged.chunks,
        pool=site.pool,
        router=router,
        embed=site.embed,
        profile_id=profile_id,
        alpha=site.alpha,
        seed=site.seed,
        told=backlog.told(choice.kind),
        timer=time.perf_counter,
    )
    settings = _settings(backlog, choice, profile_id, site)
    report = await _run(settings, source, backlog, choice, site)
    return Routed(settings.run_id, _decisions_per_s(source), _rows_per_s(report))


async def route_steps(
    backlog: SplitBacklog,
    choice: RouterChoice,
    guide: Guide,
    *,
    profile_id: str,
    graders: Mapping[str, str | None],
    site: Site,
) -> Routed:
    """Route a split's questions in many steps; a run of the same configuration is taken up.

    Args:
        backlog: the staged questions.
        choice: how the router was asked for; names the run.
        guide: decides every step.
        profile_id: what the guide learnt from.
        graders: grader by query id, which says what kind of answer a question wants.
        site: what it is routed with.

    Raises:
        EvaluationStoppedError: it was stopped by hand.
        WarehouseError: files or ledger cannot be used.
    """
    navigator = Navigator(guide, timer=time.perf_counter)
    source = TrajectorySource(
        folder=backlog.folder,
        chunks=backlog.staged.chunks,
        pool=site.pool,
        navigator=navigator,
        embed=site.embed,
        router=choice.name,
        profile_id=profile_id,
        alpha=site.alpha,
        grader=lambda query: graders.get(query.query_id),
    )
    strategy = guide.strategy
    settings = _settings(
        backlog,
        choice,
        profile_id,
        site,
        {
            "policy": guide.policy_id,
            "pairs": list(guide.pairs),
            "price": guide.price,
            "strategy": [strategy.name, *(getattr(strategy, name, None) for name in _RULES)],
            "away": decided_by(guide, away=True)[0],
        },
    )
    report = await _run(settings, source, backlog, choice, site)
    rows = report.unique_rows - report.resumed
    speed = rows / navigator.deciding_s if rows and navigator.deciding_s else None
    return Routed(settings.run_id, speed, _rows_per_s(report))


_RULES = ("order", "agree", "threshold", "fixed")
"""What tells two strategies of a name apart beside the price."""


async def _run(
    settings: BatchSettings,
    source: ItemSource,
    backlog: SplitBacklog,
    choice: RouterChoice,
    site: Site,
) -> RunReport:
    report = await run_batch(
        settings,
        ledger=site.ledger,
        source=source,
        equipment=site.equipment,
        progress=_Silence(),
        stop=site.stop,
        wrap=site.wrap,
    )
    if report.state != "complete":
        raise EvaluationStoppedError(
            f"stopped by hand while router {choice.name!r} routed split {backlog.split!r}; "
            "with --keep FOLDER the same command goes on where it stands"
        )
    return report


def _settings(
    backlog: SplitBacklog,
    choice: RouterChoice,
    profile_id: str,
    site: Site,
    steps: Mapping[str, Any] | None = None,
) -> BatchSettings:
    identity = {
        "kind": "evaluate",
        "table": backlog.table.sha256,
        "split": backlog.split,
        "router": choice.name,
        "profile_id": profile_id,
        "alpha": site.alpha,
        "seed": site.seed,
        "chunk_size": backlog.staged.chunk_size,
        "prompts": prompt_version(),
        **(steps or {}),
    }
    return BatchSettings(
        root=site.root,
        run_id=run_name(re.sub(r"[^\w-]+", "-", f"{choice.name}-{backlog.split}"), identity),
        kind="route",
        input_path=str(backlog.table.directory),
        input_sha256=backlog.table.sha256,
        identity=identity,
        rows=backlog.staged.rows,
        unique_rows=backlog.staged.unique,
        bad_rows=0,
        router=choice.name,
        profile_id=profile_id,
        code_version=code_version(),
        concurrency=site.concurrency,
        # Another pair's answer would hide that the chosen one was never recorded.
        fallbacks=0,
        seed=site.seed,
    )


def _decisions_per_s(source: BacklogSource) -> float | None:
    return source.decided / source.deciding_s if source.decided and source.deciding_s else None


def _rows_per_s(report: RunReport) -> float | None:
    rows = report.unique_rows - report.resumed
    return rows / report.wall_s if rows and report.wall_s else None
