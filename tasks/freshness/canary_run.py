"""Asking the canaries of a night: runs of kind `canary`, claimed, budgeted and resumed as any.

Every living set is asked once a night; a new one several times on its first night, because what is
tested is whether the latest runs are like the earlier ones and a longer record sees sooner. The
night is part of a run's configuration: a second refresh of the same day finds its sets asked.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from tasks.batch.equip import equipment, judge_of, sandbox_tier
from tasks.batch.finish import publish_run
from tasks.batch.item import Item
from tasks.batch.run import run_batch
from tasks.batch.spec import ProgressSink, RunReport, WrapChunk
from tasks.batch.stop import StopFlag
from tasks.profiling.cell_versions import PoolVersions, cell_columns

if TYPE_CHECKING:
    from profiles.pool import Pool
    from tasks.batch.job import BatchJob
    from tasks.freshness.canary_sets import CanarySet
    from tasks.query import Query
    from warehouse.ledger import Ledger, RunRecord

KIND = "canary"
FIRST_NIGHT_RUNS = 5
"""How often a new set is asked on its first night."""


class CanaryRun(NamedTuple):
    """One run over some sets.

    Attributes:
        repeat: 0 for the run that counts as the night; the others lengthen the record only.
    """

    run_id: str
    night: str
    repeat: int
    sets: tuple[CanarySet, ...]


@dataclass(slots=True)
class CanarySource:
    """The canaries of one run, chunk by chunk."""

    run: CanaryRun
    pool: Pool
    queries: Mapping[str, Query]
    chunk_size: int

    def chunk_ids(self) -> list[str]:
        """Ids of all planned chunks, in order."""
        cells = sum(len(one.query_ids) for one in self.run.sets)
        return [f"{number:06d}" for number in range(-(-cells // self.chunk_size))]

    def load(self, chunk_id: str) -> list[Item]:
        """Items of one chunk: each names the one pair that has to answer."""
        versions = PoolVersions(self.pool)
        index = {pair.pair_id: number for pair, number in self.pool.index().items()}
        cells = [(query_id, one.pair_id) for one in self.run.sets for query_id in one.query_ids]
        start = int(chunk_id) * self.chunk_size
        return [
            Item(
                key=f"{query_id}|{pair_id}",
                query=self.queries[query_id],
                candidates=(index[pair_id],),
                cell=cell_columns(
                    versions, self.queries[query_id], self.pool.pairs[index[pair_id]]
                ),
            )
            for query_id, pair_id in cells[start : start + self.chunk_size]
        ]


def plan_canaries(
    runs: Sequence[RunRecord],
    living: Mapping[str, CanarySet],
    *,
    night: str,
    first_night_runs: int = FIRST_NIGHT_RUNS,
) -> list[CanaryRun]:
    """The runs that this night still lacks, unfinished ones first; empty when all were asked.

    Args:
        runs: all runs of the ledger.
        living: sets by pair id.
        night: the day in UTC.
        first_night_runs: how often a set that was never asked before is asked.
    """
    by_id = {one.set_id: one for one in living.values()}
    configs = [(run, json.loads(run.config_json)) for run in runs if run.kind == KIND]
    planned: list[CanaryRun] = []
    asked: dict[str, set[tuple[str, int]]] = {}
    for run, config in configs:
        for set_id in config["sets"]:
            asked.setdefault(set_id, set()).add((config["night"], config["repeat"]))
        unfinished = run.state != "complete" and all(name in by_id for name in config["sets"])
        if unfinished:
            sets = tuple(by_id[name] for name in config["sets"])
            planned.append(CanaryRun(run.run_id, config["night"], config["repeat"], sets))
    wanted: dict[int, list[CanarySet]] = {}
    for one in sorted(living.values(), key=lambda one: one.set_id):
        been = asked.get(one.set_id, set())
        first = min((when for when, _ in been), default=night)
        for repeat in range(first_night_runs if first == night else 1):
            if (night, repeat) not in been:
                wanted.setdefault(repeat, []).append(one)
    taken = {run.run_id for run, _ in configs}
    for repeat, sets_ in sorted(wanted.items()):
        run_id = _free_name(f"canary-{night}" + (f"-again{repeat}" if repeat else ""), taken)
        taken.add(run_id)
        planned.append(CanaryRun(run_id, night, repeat, tuple(sets_)))
    return planned


def _free_name(name: str, taken: set[str]) -> str:
    number, free = 1, name
    while free in taken:
        number += 1
        free = f"{name}-{number}"
    return free


async def run_canaries(
    planned: CanaryRun,
    *,
    job: BatchJob,
    pool: Pool,
    queries: Mapping[str, Query],
    ledger: Ledger,
    env: Mapping[str, str],
    progress: ProgressSink,
    stop: StopFlag,
    wrap: WrapChunk = lambda work: work,
) -> RunReport:
    """Ask one run's canaries, or take it up where it stands.

    Raises:
        WarehouseError: files or ledger cannot be used, or another process works on the run.
        ClientSetupError, ToolConfigError: the pool names what cannot be had here.
    """
    source = CanarySource(planned, pool, queries, job.chunk_size)
    cells = sum(len(one.query_ids) for one in planned.sets)
    identity: dict[str, Any] = {
        "kind": KIND,
        "night": planned.night,
        "repeat": planned.repeat,
        "sets": [one.set_id for one in planned.sets],
    }
    async with equipment(pool, env=env, seed=job.seed) as tools:
        settings = job.batch_settings(
            run_id=planned.run_id,
            kind=KIND,
            input_path="canaries",
            input_sha256="",
            identity=identity,
            rows=cells,
            unique_rows=cells,
            bad_rows=0,
            router=KIND,
            profile_id=None,
            judge=judge_of(pool),
            sandbox_tier=sandbox_tier(tools),
        )
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
