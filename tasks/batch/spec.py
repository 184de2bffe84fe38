"""What a batch run is, works with, and reports."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from warehouse.ledger import ChunkCounts

if TYPE_CHECKING:
    from profiles.pool import Pool
    from tasks.batch.chunk import ChunkReport
    from tasks.call.base import ChatClient
    from tasks.call.clock import Clock
    from tasks.call.limiter import ModelLimiter
    from tasks.call.retry import RetryPolicy
    from tasks.grade.graders import Graders
    from tasks.tools.base import Tool
    from warehouse.ledger.runs import Spend

Work = Callable[[str], Awaitable["ChunkReport"]]
"""Works one chunk, given its id."""
WrapChunk = Callable[[Work], Work]
"""Wraps the work of a chunk, in a Prefect task for example."""


class ProgressSink(Protocol):
    """Whoever shows how far a run is."""

    def start(self, total: int, already_done: int, max_cost: Decimal | None) -> None:
        """A session begins; `already_done` rows were finished by earlier ones."""
        ...

    def advance(self, rows: int, cost_usd: Decimal) -> None:
        """So many more rows ended, for so much."""
        ...

    def note(self, text: str) -> None:
        """Something a person should know."""
        ...

    def finish(self) -> None:
        """The session is over."""
        ...


@dataclass(frozen=True, slots=True)
class BatchSettings:
    """What one batch run is.

    Attributes:
        identity: everything that decides what is asked and answered; the same name with another
            identity is refused. The budget and the concurrency are not part of it.
        rows: rows read; `unique_rows` distinct ones are worked.
        concurrency: requests in flight over all models; each model's own limit applies beside it.
        resend: whether requests in doubt may be sent once more.
    """

    root: Path
    run_id: str
    kind: str
    input_path: str
    input_sha256: str
    identity: Mapping[str, Any]
    rows: int
    unique_rows: int
    bad_rows: int
    router: str
    profile_id: str | None
    code_version: str
    max_cost_usd: Decimal | None = None
    concurrency: int = 64
    fallbacks: int = 2
    resend: bool = True
    seed: int = 0
    judge: str | None = None
    sandbox_tier: str | None = None
    flow_run_id: str | None = None
    grows: bool = False
    """Whether more chunks may follow: then a run whose chunks are all done stays open."""


@dataclass(frozen=True, slots=True)
class Equipment:
    """What a run works with; the caller opens and closes it."""

    pool: Pool
    clients: Mapping[str, ChatClient]
    tools: Mapping[str, Tool]
    graders: Graders
    limiter: ModelLimiter
    retry: RetryPolicy
    clock: Clock


class RunReport(NamedTuple):
    """How a session of a run ended.

    Attributes:
        state: complete | paused_budget | cancelled | failed.
        counts: unique rows over the whole run, committed so far.
        pending: unique rows without a final answer yet.
        resumed: unique rows that earlier sessions had finished.
        spend: money of the whole run.
        wall_s: duration of this session.
        fatal: fatal errors that closed a provider, by account or model.
    """

    run_id: str
    state: str
    rows: int
    unique_rows: int
    bad_rows: int
    counts: ChunkCounts
    pending: int
    resumed: int
    spend: Spend
    wall_s: float
    fatal: dict[str, str]


def config_sha(identity: Mapping[str, Any]) -> str:
    """Hash of a run's identity."""
    text = json.dumps(identity, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()
