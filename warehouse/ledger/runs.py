"""Runs and chunks: what was asked for, how far it came."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal

RunKind = Literal["route", "profile"]
RunState = Literal["running", "paused_budget", "failed", "cancelled", "complete"]


@dataclass(frozen=True, slots=True)
class RunRecord:
    """One batch run.

    Attributes:
        run_id: its name; the same command finds it again.
        state: running | paused_budget | failed | cancelled | complete. A `running` run whose
            lock nobody holds was killed and waits to be resumed.
        rows: rows read, bad ones left out; `unique_rows` of them have distinct content.
        max_cost_usd: the cap, None for no cap.
    """

    run_id: str
    kind: str
    state: str
    input_path: str
    input_sha256: str
    config_json: str
    config_sha: str
    code_version: str
    started_at: datetime
    max_cost_usd: Decimal | None = None
    rows: int = 0
    unique_rows: int = 0
    bad_rows: int = 0
    chunks: int = 0
    sandbox_tier: str | None = None
    profile_id: str | None = None
    flow_run_id: str | None = None
    mlflow_run_id: str | None = None
    message: str | None = None
    ended_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class ChunkCounts:
    """How the unique rows of one committed chunk ended."""

    answered: int = 0
    failed: int = 0
    skipped: int = 0
    in_doubt: int = 0

    def __add__(self, other: ChunkCounts) -> ChunkCounts:
        return ChunkCounts(
            self.answered + other.answered,
            self.failed + other.failed,
            self.skipped + other.skipped,
            self.in_doubt + other.in_doubt,
        )

    @property
    def total(self) -> int:
        """All unique rows."""
        return self.answered + self.failed + self.skipped + self.in_doubt


@dataclass(frozen=True, slots=True)
class Spend:
    """Money of one run, in dollars.

    Attributes:
        settled_usd: charges of answered requests.
        doubt_usd: reservations kept for requests of unknown fate.
        reserved_usd: reservations of requests under way.
        unpriced: settled requests whose price is unknown and that no sum counts.
    """

    settled_usd: Decimal
    doubt_usd: Decimal
    reserved_usd: Decimal
    unpriced: int

    @property
    def total_usd(self) -> Decimal:
        """Everything that counts against the budget."""
        return self.settled_usd + self.doubt_usd + self.reserved_usd


def counts_from(row: Mapping[str, Any]) -> ChunkCounts:
    """Counts of a chunk row."""
    return ChunkCounts(row["answered"], row["failed"], row["skipped"], row["in_doubt"])
