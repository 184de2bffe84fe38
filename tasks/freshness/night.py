"""One night's watch over the pairs: choose canaries, ask them, work out drift, declare it.

Every step looks at committed rows for what was done already, so that a night that was killed is
finished by doing it once more.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tasks.freshness.canary_run import CanaryRun, plan_canaries
from tasks.freshness.canary_sets import (
    CanarySet,
    commit_sets,
    known_sets,
    living_sets,
    new_sets,
)
from tasks.freshness.drift_state import (
    INVALIDATING,
    PairDrift,
    alarm_sentence,
    drift_of_night,
    drift_rows,
)
from tasks.freshness.writing import commit_rows

if TYPE_CHECKING:
    from profiles.pool import Pool
    from profiles.profile import Profile
    from tasks.freshness.refresh_run import RefreshRun
    from tasks.profiling.cell_versions import PoolVersions
    from tasks.query import Query
    from warehouse.ledger import Ledger


class Alarm(NamedTuple):
    """One metric of one pair that drifted in this refresh."""

    pair_id: str
    metric: str
    sentence: str

    @property
    def stale(self) -> bool:
        """Whether it makes the pair's cells stale."""
        return self.metric in INVALIDATING


@dataclass(frozen=True, slots=True)
class Watch:
    """What a night's watch works with.

    Attributes:
        count: canaries a pair.
        first_night_runs: how often a new set is asked on its first night.
    """

    root: Path
    ledger: Ledger
    refresh: RefreshRun
    pool: Pool
    queries: Mapping[str, Query]
    versions: PoolVersions
    count: int
    first_night_runs: int
    seed: int

    def living(self) -> dict[str, CanarySet]:
        """Sets that still count, by pair id."""
        stale: dict[str, datetime] = {}
        for said in self.ledger.invalidations():
            stale[said.pair_id] = max(said.before, stale.get(said.pair_id, said.before))
        return living_sets(
            known_sets(self.root, self.ledger),
            pool=self.pool,
            queries=self.queries,
            versions=self.versions,
            stale=stale,
        )

    def choose(self, profile: Profile, *, now: datetime) -> dict[str, CanarySet]:
        """The living sets, with new ones for the pairs that have none.

        A pair that drifted in this very refresh waits for the next one: its cells are being run
        again, and canaries are chosen by them.

        Raises:
            WarehouseError: a file cannot be read or written.
        """
        living = self.living()
        if self.count == 0:
            return living
        drifted = {
            said.pair_id: CanarySet("", said.pair_id, (), "", now)
            for said in self.ledger.invalidations()
            if said.run_id == self.refresh.run_id
        }
        made = new_sets(
            profile,
            pool=self.pool,
            queries=self.queries,
            versions=self.versions,
            living=drifted | living,
            earlier=known_sets(self.root, self.ledger),
            count=self.count,
            seed=self.seed,
            now=now,
        )
        commit_sets(
            self.root,
            self.ledger,
            made,
            profile=profile,
            run_id=self.refresh.run_id,
            seed=self.seed,
        )
        return living | {one.pair_id: one for one in made}

    def plan(self, living: Mapping[str, CanarySet]) -> list[CanaryRun]:
        """The canary runs that the night still lacks; none with `count` 0."""
        if self.count == 0:
            return []
        return plan_canaries(
            self.ledger.runs(),
            living,
            night=self.refresh.night,
            first_night_runs=self.first_night_runs,
        )

    def measure(
        self, living: Mapping[str, CanarySet], *, clock: Callable[[], datetime]
    ) -> list[PairDrift]:
        """Work out what tonight's canaries say, and commit it; each set is measured once a night.

        Raises:
            WarehouseError: a file cannot be read or written.
        """
        import polars as pl

        from warehouse.query import scan

        night = self.refresh.night
        commits = self.ledger.commits("drift")
        rows = scan(self.root, commits, "drift").filter(pl.col("night") == night)
        done = set(rows.select("set_id").collect().get_column("set_id").to_list())
        open_ = {pair: one for pair, one in living.items() if one.set_id not in done}
        found = drift_of_night(self.root, self.ledger, open_, night=night)
        number = sum(one.run_id == self.refresh.run_id for one in commits)
        commit_rows(
            self.root,
            self.ledger,
            "drift",
            drift_rows(found, night=night, now=clock()),
            run_id=self.refresh.run_id,
            chunk_id=f"drift-{number}",
        )
        return found

    def alarms(self, found: list[PairDrift]) -> list[Alarm]:
        """Alarms of this refresh; those of an earlier attempt are read from what it committed."""
        import polars as pl

        from warehouse.query import scan

        fresh = {
            (one.canaries.pair_id, reading.metric): alarm_sentence(reading)
            for one in found
            for reading in one.alarms
        }
        rows = (
            scan(self.root, self.ledger.commits("drift", self.refresh.run_id), "drift")
            .filter(pl.col("alarm"))
            .sort("pair_id", "metric")
            .collect()
        )
        return [
            Alarm(
                row["pair_id"],
                row["metric"],
                fresh.get(
                    (row["pair_id"], row["metric"]),
                    f"{row['metric']} went {row['direction']}: {row['value']:.4g} tonight, "
                    f"{_number(row['baseline'])} before (p = {row['p_value']:.1e})",
                ),
            )
            for row in rows.iter_rows(named=True)
        ]

    def declare(self, alarms: list[Alarm]) -> list[str]:
        """Declare the cells of drifted pairs stale; the pairs. Once more changes nothing.

        What was answered before this refresh began is stale; what it ran itself is kept.
        """
        pairs: dict[str, list[str]] = {}
        for alarm in alarms:
            if alarm.stale:
                pairs.setdefault(alarm.pair_id, []).append(alarm.sentence)
        for pair_id, sentences in pairs.items():
            self.ledger.invalidate(
                pair_id,
                before=self.refresh.started_at,
                reason=f"drift: {'; '.join(sentences)}",
                run_id=self.refresh.run_id,
            )
        return list(pairs)


def _number(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.4g}"
