"""Cells of a profiling run: planned once, saved before the first call, worked like a backlog."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from tasks.batch.item import Item
from tasks.profiling.cell_versions import PoolVersions, cell_columns
from warehouse.commits import make_folder, published
from warehouse.errors import WarehouseError

if TYPE_CHECKING:
    from profiles.pool import Pool
    from tasks.query import Query

Cell = tuple[str, str]
"""(query_id, pair_id)."""

Reason = Literal[
    "missing", "failed", "question", "prompt", "model", "tool", "invalidated", "old", "grader",
    "regrade",
]  # fmt: skip

REASONS: Mapping[Reason, str] = {
    "missing": "never run",
    "failed": "the last call failed",
    "question": "the question's text changed",
    "prompt": "the pair's prompt changed",
    "model": "the model changed",
    "tool": "the tool changed",
    "invalidated": "declared stale",
    "old": "older than --max-age",
    "grader": "the grader or reference changed, and no answer was kept to grade again",
    "regrade": "the grader or reference changed: only graded again",
}
"""Why a cell is planned, in words."""


class PlannedCell(NamedTuple):
    """One cell to work.

    Attributes:
        reason: why, a key of `REASONS`.
        source_run: of a cell that is only graded again, the run whose outcome has the answer.
    """

    query_id: str
    pair_id: str
    reason: Reason
    source_run: str | None = None

    @property
    def cell(self) -> Cell:
        """(query_id, pair_id)."""
        return self.query_id, self.pair_id


@dataclass(slots=True)
class SavedPlan:
    """What a run means to do, on the disk before it does any of it.

    Attributes:
        planned_at: the moment ages of outcomes are counted from.
        cells: everything that was missing or stale when the run was planned.
        rounds: what a budget was spent on, each round saved before it runs; empty without one.
        stopped: why the rounds ended; None while they go on, or without a budget.
        allowance: dollars or cells that the rounds may take; None without a budget.
        prepared: how many of the first rounds the allocator did not choose: answers to grade
            again, and the pilot of pairs whose cost nobody knows.
        expected_usd: expected dollars of a cell of every pair, in pair order, NaN where unknown,
            once the allocator is built; None where cells count alike.
    """

    input_sha256: str
    planned_at: datetime
    cells: list[PlannedCell]
    rounds: list[list[PlannedCell]] = field(default_factory=list)
    stopped: str | None = None
    allowance: float | None = None
    prepared: int = 0
    expected_usd: list[float] | None = None


@dataclass(slots=True)
class CellSource:
    """The planned cells of one profiling run, chunk by chunk.

    Cells of one query stand together, so that an interrupted run leaves whole queries: pairs are
    compared on the same questions.

    Attributes:
        known: outcome rows whose answers are only graded again, by cell.
    """

    queries: Mapping[str, Query]
    pool: Pool
    chunks: Sequence[Sequence[PlannedCell]]
    versions: PoolVersions
    known: Mapping[Cell, Mapping[str, Any]] = field(default_factory=dict)

    def chunk_ids(self) -> list[str]:
        """Ids of all planned chunks, in order."""
        return [chunk_name(number) for number in range(len(self.chunks))]

    def load(self, chunk_id: str) -> list[Item]:
        """Items of one chunk: each names the one pair that has to answer."""
        index = {pair.pair_id: number for pair, number in self.pool.index().items()}
        return [self._item(cell, index[cell.pair_id]) for cell in self.chunks[int(chunk_id)]]

    def _item(self, cell: PlannedCell, pair: int) -> Item:
        query = self.queries[cell.query_id]
        return Item(
            key=f"{cell.query_id}|{cell.pair_id}",
            query=query,
            candidates=(pair,),
            cell=cell_columns(self.versions, query, self.pool.pairs[pair]),
            known=None if cell.source_run is None else self.known[cell.cell],
        )


def chunk_name(number: int) -> str:
    """Id of the chunk of that number."""
    return f"{number:06d}"


def in_chunks(cells: Sequence[PlannedCell], size: int) -> list[Sequence[PlannedCell]]:
    """Cells in chunks of `size`, in order."""
    return [cells[start : start + size] for start in range(0, len(cells), size)]


def save_plan(path: Path, plan: SavedPlan) -> None:
    """Write the plan of a profiling run, whole or not at all: resuming it must not plan anew.

    Raises:
        WarehouseError: the folder cannot be written.
    """
    data = {
        "format": 2,
        "input_sha256": plan.input_sha256,
        "planned_at": plan.planned_at.isoformat(),
        "cells": [list(cell) for cell in plan.cells],
        "rounds": [[list(cell) for cell in cells] for cells in plan.rounds],
        "stopped": plan.stopped,
        "allowance": plan.allowance,
        "prepared": plan.prepared,
        "expected_usd": plan.expected_usd,
    }
    make_folder(path.parent)
    with published(path) as temporary:
        temporary.write_text(json.dumps(data), encoding="utf-8")


def load_plan(path: Path) -> SavedPlan | None:
    """The plan saved at `path`, or None if there is none.

    Raises:
        WarehouseError: it is there but damaged.
    """
    if not path.exists():
        return None
    try:
        data = json.loads(path.read_bytes())
        if "format" not in data:
            # A run of version 0.1 that was interrupted; its file is as old as its plan.
            planned_at = datetime.fromtimestamp(path.stat().st_mtime).astimezone()
            cells = [PlannedCell(query, pair, "missing") for query, pair in data["cells"]]
            return SavedPlan(data["input_sha256"], planned_at, cells)
        return SavedPlan(
            data["input_sha256"],
            datetime.fromisoformat(data["planned_at"]),
            _cells(data["cells"]),
            [_cells(cells) for cells in data["rounds"]],
            data["stopped"],
            data["allowance"],
            data["prepared"],
            data["expected_usd"],
        )
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise WarehouseError(
            f"The plan {path} cannot be read ({error}). Remove it to plan anew: cells that were "
            "committed are known and not paid for twice."
        ) from error


def _cells(rows: Iterable[Sequence[Any]]) -> list[PlannedCell]:
    return [PlannedCell(*row) for row in rows]
