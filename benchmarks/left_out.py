"""Routers on whole datasets that nothing was learnt from, one dataset after the other.

For every dataset of a table with training rows, everything is fitted on the other datasets'
training rows, and decides on all rows of the one left out, whatever their split. The decisions
come straight from the routers, without a backlog around them: there are seventy-five fits.
"""

from __future__ import annotations

import multiprocessing
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from profiles.build_profile import build_profile
from profiles.clusters import ClusterSettings
from profiles.outcomes import outcome_matrices
from profiles.profile import Profile, ProfileSettings
from profiles.routers.auto import AutoRouter
from profiles.routers.base import RoutingContext
from profiles.routers.registry import build_router
from tasks.evaluate.table import LEFT_OUT, TRAIN, OutcomeTable, read_table
from tasks.evaluate.training import leave_out

ROUTERS = ("cluster", "predictor", "auto")
SETTINGS = ProfileSettings(ClusterSettings(8), choose_k=(8,))
"""One K: the sweep over more of them would be paid for with every fit."""
PROCESSES = 2
_Z95 = 1.96


class Gain(NamedTuple):
    """A router minus the best single pair on the questions left out, in points, with 95 %."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class LeftOut:
    """One dataset left out.

    Attributes:
        n: its questions, all of which are scored.
        single: score of the best single pair of the other datasets, in points.
        gains: of every one of `ROUTERS`.
        resolved: what `auto` took.
    """

    table: str
    dataset: str
    n: int
    single: float
    gains: dict[str, Gain]
    resolved: str


def measure_left_out(
    tables: Sequence[tuple[str, Path]],
    root: Path,
    encoder: str = "minilm",
    processes: int = PROCESSES,
) -> list[LeftOut]:
    """Leave every dataset out once; results in the order of tables and dataset names.

    Args:
        tables: names and folders.
        root: embeddings are kept under it.
        encoder: embeds the questions.
        processes: at work side by side; with one, everything stays in this process.
    """
    began = time.monotonic()
    jobs = [
        (name, folder, root, encoder, dataset)
        for name, folder in tables
        for dataset in _trained_on(read_table(folder))
    ]
    found = []
    for number, one in enumerate(_run(jobs, processes), start=1):
        found.append(one)
        gains = ", ".join(f"{router} {gain.value:+.2f}" for router, gain in one.gains.items())
        print(
            f"  {one.table}: without {one.dataset} {gains} ({number} of {len(jobs)}, "
            f"{time.monotonic() - began:.0f} s)",
            file=sys.stderr,
            flush=True,
        )
    return found


def _run(jobs: list[tuple[str, Path, Path, str, str]], processes: int) -> Iterator[LeftOut]:
    if processes == 1:
        yield from map(_one, jobs)
        return
    # Threads of the numerical libraries and fork do not go together.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, mp_context=context) as pool:
        yield from pool.map(_one, jobs)


def _trained_on(table: OutcomeTable) -> list[str]:
    return sorted(set(table.rows(TRAIN).get_column("dataset")))


@lru_cache(maxsize=1)
def _embedded(folder: Path, root: Path, encoder: str) -> tuple[OutcomeTable, NDArray[np.float32]]:
    """A table and the embeddings of all its questions, in the file's order."""
    from tasks.embedder import cached_embedder

    table = read_table(folder)
    texts = table.queries.get_column("text").to_list()
    embedder = cached_embedder(root, encoder)
    try:
        blocks = [embedder(texts[start : start + 4096]) for start in range(0, len(texts), 4096)]
    finally:
        embedder.close()
    return table, np.concatenate(blocks)


def _one(job: tuple[str, Path, Path, str, str]) -> LeftOut:
    name, folder, root, encoder, dataset = job
    whole, embeddings = _embedded(folder, root, encoder)
    table = leave_out(whole, dataset)
    splits = table.queries.get_column("split").to_numpy()
    profile = build_profile(
        queries=table.queries,
        outcomes=table.outcomes,
        embeddings=embeddings[splits == TRAIN],
        pairs=table.pairs,
        pool_fingerprint="recorded",
        encoder_fingerprint=encoder,
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
        settings=SETTINGS,
    )
    scores = _scores(table, profile, embeddings[splits == LEFT_OUT])
    single = scores.pop("best-single")
    return LeftOut(
        table=name,
        dataset=dataset,
        n=len(single),
        single=100 * float(single.mean()),
        gains={router: _gain(own - single) for router, own in scores.items()},
        resolved=AutoRouter(profile).choice(0.0).router,
    )


def _scores(
    table: OutcomeTable, profile: Profile, embeddings: NDArray[np.float32]
) -> dict[str, NDArray[np.float64]]:
    """(n,) scores of the chosen pairs, by router; an unscored outcome counts 0."""
    rows = table.rows(LEFT_OUT)
    ids = rows.get_column("query_id").to_list()
    recorded = np.nan_to_num(outcome_matrices(ids, table.outcomes, table.pairs).scores)
    context = RoutingContext(tuple(ids), tuple(rows.get_column("text").to_list()))
    scores = {}
    for name in ("best-single", *ROUTERS):
        # A table too small for a predictor keeps the best single pair.
        fitted = name != "predictor" or profile.predictor is not None
        router = build_router(name if fitted else "best-single", profile)
        decisions = router.decide(embeddings, context)
        scores[name] = recorded[np.arange(len(ids)), decisions.pair]
    return scores


def _gain(gains: NDArray[np.float64]) -> Gain:
    value = 100 * float(gains.mean())
    half = 100 * _Z95 * float(gains.std()) / float(np.sqrt(len(gains)))
    return Gain(value, value - half, value + half)
