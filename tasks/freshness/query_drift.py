"""Are the questions of recent backlogs like those the profile was fitted on?"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from profiles.drift import PopulationDrift, population_drift
from profiles.drift.population import PSI_NOTE

if TYPE_CHECKING:
    import numpy as np
    import polars as pl
    from numpy.typing import NDArray

    from profiles.profile import Profile
    from warehouse.ledger import LedgerReader

RECENT = 2_000
"""Distinct queries looked at; more of them would say the same and have to be embedded."""


class QueryDrift(NamedTuple):
    """How recent backlogs differ from the profile.

    Attributes:
        runs: backlogs looked at, newest first.
        grown: clusters by how much their share grew: number, share now minus share in training,
            and the words that set it apart; at most three, none while shares are what they were.
    """

    runs: tuple[str, ...]
    found: PopulationDrift
    grown: tuple[tuple[int, float, tuple[str, ...]], ...]

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        found = self.found
        return {
            "runs": list(self.runs),
            "queries": found.n,
            "level": found.level,
            "ood_share": found.ood_share,
            "ood_interval": [found.ood_low, found.ood_high],
            "psi": found.psi,
            "psi_interval": [found.psi_low, found.psi_high],
            "chi_square": found.chi_square,
            "p_value": found.p_value,
            "grown": [[cluster, share, list(terms)] for cluster, share, terms in self.grown],
        }

    def sentence(self) -> str:
        """What it means, for people."""
        found = self.found
        if found.level == "too few":
            return f"recent backlogs hold {found.n:,} questions, too few to compare populations"
        figures = (
            f"{100 * found.ood_share:.1f} % [{100 * found.ood_low:.1f}, {100 * found.ood_high:.1f}]"
            f" of {found.n:,} recent questions are unlike anything profiled; stability index of"
            f" the clusters {found.psi:.2f} [{found.psi_low:.2f}, {found.psi_high:.2f}]"
        )
        if found.level == "alike":
            return f"recent questions are like the profiled ones: {figures}"
        verb = "have become another population" if found.alarm else "are moving"
        more = "; ".join(
            f"cluster {cluster} ({', '.join(terms[:3])}) {100 * share:+.0f} points"
            for cluster, share, terms in self.grown
        )
        return (
            f"recent questions {verb}: {figures}{f'; {more}' if more else ''}. "
            "`atlas profile suggest` writes the questions to label next"
        )


def recent_queries(
    root: Path, ledger: LedgerReader, *, most: int = RECENT, unlabelled: bool = False
) -> tuple[pl.DataFrame, tuple[str, ...]]:
    """Distinct queries of past backlogs, newest backlogs first, and the runs they came from.

    Where one backlog holds more than is left to take, those of the smallest hash are taken: a
    sample without a random number.

    Args:
        root: of the warehouse.
        ledger: knows runs and commits.
        most: queries to return.
        unlabelled: only those without a reference.

    Returns:
        Columns `query_id`, `custom_id`, `prompt`, `context`, `run_id`.

    Raises:
        WarehouseError: a committed file cannot be read.
    """
    import polars as pl

    from warehouse.query import scan

    columns = ("query_id", "custom_id", "prompt", "context", "run_id")
    frames: list[pl.DataFrame] = []
    seen: set[str] = set()
    runs: list[str] = []
    for run in ledger.runs():
        if run.kind != "route" or len(seen) >= most:
            continue
        rows = scan(root, ledger.commits("queries", run.run_id), "queries")
        if unlabelled:
            rows = rows.filter(pl.col("reference").is_null())
        fresh = (
            rows.select(columns)
            .filter(~pl.col("query_id").is_in(list(seen)))
            .unique("query_id", keep="first", maintain_order=True)
            .collect()
        )
        if fresh.is_empty():
            continue
        order = [hashlib.sha256(name.encode()).digest() for name in fresh.get_column("query_id")]
        kept = sorted(range(len(fresh)), key=order.__getitem__)[: most - len(seen)]
        frames.append(fresh[sorted(kept)])
        seen |= set(frames[-1].get_column("query_id").to_list())
        runs.append(run.run_id)
    if not frames:
        return pl.DataFrame(schema=dict.fromkeys(columns, pl.String)), ()
    return pl.concat(frames), tuple(runs)


def query_drift(
    root: Path,
    ledger: LedgerReader,
    profile: Profile,
    embed: Callable[[Sequence[str]], NDArray[np.float32]],
    *,
    seed: int = 0,
) -> QueryDrift | None:
    """Compare recent backlogs with a profile; None where no backlog was routed yet.

    Args:
        root: of the warehouse.
        ledger: knows runs and commits.
        profile: whose clusters and radius are the measure.
        embed: texts to (n, D), by the profile's encoder; vectors of routed questions are cached.
        seed: of the bootstrap.

    Raises:
        WarehouseError: a committed file cannot be read.
    """
    rows, runs = recent_queries(root, ledger)
    if rows.is_empty():
        return None
    labels, distances = profile.clusters.assign(embed(rows.get_column("prompt").to_list()))
    beyond = profile.clusters.is_out_of_distribution(distances)
    found = population_drift(profile.clusters.sizes, labels, beyond, seed=seed)
    order = [int(cluster) for cluster in (-found.moved).argsort(kind="stable")[:3]]
    grown = tuple(
        (cluster, float(found.moved[cluster]), profile.top_terms[cluster])
        for cluster in order
        if found.moved[cluster] > 0 and found.psi >= PSI_NOTE
    )
    return QueryDrift(runs, found, grown)
