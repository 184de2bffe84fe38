"""One unit of a batch run: a query with the pairs that may answer it, and how it ended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

from tasks.grade.base import Grade
from tasks.query import Query

if TYPE_CHECKING:
    from tasks.trajectory.walk import Step, TrajectoryPlan

Status = Literal[
    "answered", "failed", "in_doubt", "skipped_budget", "skipped_cancelled", "skipped_provider"
]
UNFINISHED = ("skipped_budget", "skipped_cancelled", "skipped_provider")
"""Statuses of rows that the same command takes up again."""


@dataclass(frozen=True, slots=True)
class Item:
    """A query and the pairs that may answer it, best first.

    Attributes:
        key: unique in the run: the query id of a route, query id and pair of a profile's cell.
        candidates: indexes in pair order.
        decision: columns of the `decisions` row, None where nothing was decided.
        cell: columns of the `outcomes` row that say which versions were asked.
        known: the `outcomes` row whose answer is only graded again; None asks the pair.
        plan: of a multi-step row, what it follows; None for one step.
    """

    key: str
    query: Query
    candidates: tuple[int, ...]
    decision: Mapping[str, Any] | None = None
    round: int = 0
    cell: Mapping[str, Any] | None = None
    known: Mapping[str, Any] | None = None
    plan: TrajectoryPlan | None = None


@dataclass(slots=True)
class ItemResult:
    """How an item ended.

    Attributes:
        pair: index of the pair that answered, or of the last one tried; None if none was.
        tried: pair indexes in the order they were tried.
        attempts: rows of the `attempts` table.
        confidence: probability of the answer, where many steps led to it; 0 where none of them
            had an answer that can be compared.
        steps: of a multi-step row, in order; none for one step.
    """

    item: Item
    status: Status
    answer: str | None = None
    pair: int | None = None
    tried: list[int] = field(default_factory=list)
    error_type: str | None = None
    error_message: str | None = None
    attempts: list[dict[str, Any]] = field(default_factory=list)
    grade: Grade | None = None
    duration_s: float = 0.0
    confidence: float | None = None
    steps: list[Step] = field(default_factory=list)

    @property
    def finished(self) -> bool:
        """Whether the item needs no more work."""
        return self.status not in UNFINISHED


class ItemSource(Protocol):
    """Where a run's items come from, chunk by chunk; the same items every time it is asked."""

    def chunk_ids(self) -> list[str]:
        """Ids of all planned chunks, in order."""
        ...

    def load(self, chunk_id: str) -> list[Item]:
        """Items of one chunk, decided. May take a while: it is called in a thread."""
        ...
