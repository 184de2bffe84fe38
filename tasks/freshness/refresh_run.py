"""The record of a refresh: one run of kind `refresh` in the ledger, taken up where it was killed.

The run holds no work of its own: cells and canaries are runs of their own kinds. What it fixes is
the night and the moment it began, so that a refresh that is resumed after midnight, or after an
alarm, decides as the first attempt would have.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from tasks.freshness.writing import commit_rows
from tasks.version import code_version
from warehouse.commits import remove_uncommitted
from warehouse.ledger import RunRecord

if TYPE_CHECKING:
    from warehouse.ledger import Ledger

KIND = "refresh"
PARTS = ("profile", "canary")
"""Kinds of the runs that a refresh is made of."""


class RefreshRun(NamedTuple):
    """One refresh.

    Attributes:
        night: its day in UTC.
        old_profile_id: the version in use when it began.
        resumed: whether an earlier attempt began it.
        runs: the runs it is made of, those of earlier attempts included; grows by `join`.
    """

    run_id: str
    night: str
    started_at: datetime
    old_profile_id: str | None
    resumed: bool
    runs: list[str]

    def join(self, ledger: Ledger, run_id: str) -> None:
        """Note a run as part of this refresh, before it begins."""
        if run_id not in self.runs:
            self.runs.append(run_id)
            ledger.update_run(self.run_id, config_json=self.config_json())

    def config_json(self) -> str:
        """What the ledger keeps of it."""
        return json.dumps(
            {
                "kind": KIND,
                "night": self.night,
                "old_profile_id": self.old_profile_id,
                "runs": self.runs,
            },
            sort_keys=True,
        )


class Spent(NamedTuple):
    """What the runs of a refresh came to.

    Attributes:
        cost_usd: doubt included; calls of unknown price are counted nowhere.
        calls: attempts that were sent, retries included.
        cells: cells answered or failed, canaries not counted.
        canaries: canary questions answered or failed.
    """

    cost_usd: Decimal
    calls: int
    cells: int
    canaries: int


def open_refresh(root: Path, ledger: Ledger, *, now: datetime, latest: str | None) -> RefreshRun:
    """Begin a refresh, or take up the one that was killed or paused.

    Call it while holding the lock of refreshes.

    Args:
        root: of the warehouse.
        ledger: keeps the run.
        now: with a zone.
        latest: id of the version in use.
    """
    runs = [run for run in ledger.runs() if run.kind == KIND]
    for run in runs:
        if run.state != "complete":
            config = json.loads(run.config_json)
            ledger.update_run(run.run_id, state="running", message=None)
            remove_uncommitted(root, run.run_id, ledger.commits(run_id=run.run_id))
            return RefreshRun(
                run.run_id,
                config["night"],
                run.started_at,
                config["old_profile_id"],
                resumed=True,
                runs=config["runs"],
            )
    night = f"{now.astimezone(UTC):%Y-%m-%d}"
    taken = {run.run_id for run in runs}
    number, run_id = 1, f"refresh-{night}"
    while run_id in taken:
        number += 1
        run_id = f"refresh-{night}-{number}"
    refresh = RefreshRun(run_id, night, now.astimezone(UTC), latest, resumed=False, runs=[])
    record = RunRecord(
        run_id=run_id,
        kind=KIND,
        state="running",
        input_path="refresh",
        input_sha256="",
        config_json=refresh.config_json(),
        config_sha="",
        code_version=code_version(),
        started_at=refresh.started_at,
    )
    ledger.create_run(record, [])
    return refresh


def pause_refresh(ledger: Ledger, refresh: RefreshRun, state: str) -> None:
    """Note that a refresh waits: the same command goes on."""
    ledger.update_run(refresh.run_id, state=state)


def close_refresh(
    root: Path, ledger: Ledger, refresh: RefreshRun, row: dict[str, Any], *, now: datetime
) -> None:
    """Write the row of a refresh that is done, then call its run complete.

    Raises:
        WarehouseError: the file cannot be written.
    """
    stamped = {
        "night": refresh.night,
        "old_profile_id": refresh.old_profile_id,
        "started_at": refresh.started_at,
        "ended_at": now.astimezone(UTC),
        **row,
    }
    commit_rows(root, ledger, "refreshes", [stamped], run_id=refresh.run_id, chunk_id="refresh")
    ledger.update_run(refresh.run_id, state="complete", ended_at=now.astimezone(UTC))


def spent_by(root: Path, ledger: Ledger, refresh: RefreshRun) -> Spent:
    """What the runs of a refresh came to; a run that was paused before it counts whole.

    Raises:
        WarehouseError: a committed file cannot be read.
    """
    import polars as pl

    from warehouse.query import scan

    own = {run.run_id: run.kind for run in ledger.runs() if run.run_id in refresh.runs}
    cost = sum((ledger.spend(run_id).total_usd for run_id in own), Decimal(0))
    commits = [one for one in ledger.commits("attempts") if one.run_id in own]
    chats = scan(root, commits, "attempts").filter(
        (pl.col("operation_name") == "chat") & (pl.col("status") != "cached")
    )
    calls = int(chats.select(pl.len()).collect().item())
    done = dict.fromkeys(PARTS, 0)
    for run_id, kind in own.items():
        counts = ledger.counts(run_id)
        done[kind] += counts.answered + counts.failed
    return Spent(cost, calls, done["profile"], done["canary"])
