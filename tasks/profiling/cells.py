"""Cells of a profiling run: labelled queries × pairs, planned once, worked like a backlog."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.batch.item import Item

if TYPE_CHECKING:
    from profiles.pool import Pair, Pool
    from tasks.query import Query

Cell = tuple[str, str]
"""(query_id, pair_id)."""


@dataclass(slots=True)
class CellSource:
    """The planned cells of one profiling run.

    Cells of one query stand together, so that an interrupted run leaves whole queries: pairs are
    compared on the same questions.
    """

    queries: dict[str, Query]
    pool: Pool
    cells: Sequence[Cell]
    chunk_size: int

    def chunk_ids(self) -> list[str]:
        """Ids of all planned chunks, in order."""
        return [f"{start:06d}" for start in range(-(-len(self.cells) // self.chunk_size))]

    def load(self, chunk_id: str) -> list[Item]:
        """Items of one chunk: each names the one pair that has to answer."""
        index = {pair.pair_id: number for pair, number in self.pool.index().items()}
        start = int(chunk_id) * self.chunk_size
        return [
            Item(
                key=f"{query_id}|{pair_id}",
                query=self.queries[query_id],
                candidates=(index[pair_id],),
            )
            for query_id, pair_id in self.cells[start : start + self.chunk_size]
        ]


def missing_cells(queries: Sequence[Query], pairs: Sequence[Pair], known: set[Cell]) -> list[Cell]:
    """Cells that no committed outcome covers, query by query in the order given."""
    return [
        (query.query_id, pair.pair_id)
        for query in queries
        for pair in pairs
        if (query.query_id, pair.pair_id) not in known
    ]


def save_plan(path: Path, cells: Sequence[Cell], *, input_sha256: str) -> None:
    """Write the plan of a profiling run, atomically: resuming it must not plan anew."""
    temporary = path.with_suffix(".tmp")
    path.parent.mkdir(parents=True, exist_ok=True)
    with temporary.open("w", encoding="utf-8") as file:
        json.dump({"input_sha256": input_sha256, "cells": list(cells)}, file)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def load_plan(path: Path) -> list[Cell] | None:
    """The plan saved at `path`, or None if there is none."""
    if not path.exists():
        return None
    data = json.loads(path.read_text(encoding="utf-8"))
    return [(query_id, pair_id) for query_id, pair_id in data["cells"]]
