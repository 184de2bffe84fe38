"""The canaries of every pair: chosen once, kept in the table `canaries`, chosen anew when due.

A set lives as long as its cells are what they were: while question, reference, prompt, model, tool
and grader keep their versions and nobody has declared the pair's outcomes stale. Then the next one
is chosen from what the profile knows by then, and its history begins anew.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tasks.freshness.writing import commit_rows
from tasks.profiling.cell_versions import cell_columns

if TYPE_CHECKING:
    from profiles.pool import Pair, Pool
    from profiles.profile import Profile
    from tasks.profiling.cell_versions import PoolVersions
    from tasks.query import Query
    from warehouse.ledger import Ledger


class CanarySet(NamedTuple):
    """The canaries of one pair.

    Attributes:
        query_ids: in the order of their positions.
        versions: hash over the cells as they were when chosen.
    """

    set_id: str
    pair_id: str
    query_ids: tuple[str, ...]
    versions: str
    chosen_at: datetime


def known_sets(root: Path, ledger: Ledger) -> list[CanarySet]:
    """Every set ever chosen, oldest first.

    Raises:
        WarehouseError: a committed file cannot be read.
    """
    from warehouse.query import scan

    rows = scan(root, ledger.commits("canaries"), "canaries").collect()
    sets = [
        CanarySet(
            str(set_id),
            group.item(0, "pair_id"),
            tuple(group.sort("position").get_column("query_id").to_list()),
            group.item(0, "versions"),
            group.item(0, "chosen_at"),
        )
        for (set_id,), group in rows.group_by("set_id", maintain_order=True)
    ]
    return sorted(sets, key=lambda one: (one.chosen_at, one.set_id))


def living_sets(
    sets: Sequence[CanarySet],
    *,
    pool: Pool,
    queries: Mapping[str, Query],
    versions: PoolVersions,
    stale: Mapping[str, datetime],
) -> dict[str, CanarySet]:
    """By pair id, the newest set that still counts.

    Args:
        sets: every set ever chosen.
        pool: its pairs are watched.
        queries: the labelled questions of today, by id.
        versions: of the pool.
        stale: per pair, the moment before which its outcomes no longer count.
    """
    pairs = {pair.pair_id: pair for pair in pool.pairs}
    living: dict[str, CanarySet] = {}
    for one in sets:
        pair = pairs.get(one.pair_id)
        if pair is None or (one.pair_id in stale and stale[one.pair_id] > one.chosen_at):
            continue
        if set_versions(one.query_ids, pair, queries, versions) == one.versions:
            living[one.pair_id] = one
    return living


def new_sets(
    profile: Profile,
    *,
    pool: Pool,
    queries: Mapping[str, Query],
    versions: PoolVersions,
    living: Mapping[str, CanarySet],
    earlier: Sequence[CanarySet],
    count: int,
    seed: int,
    now: datetime,
) -> list[CanarySet]:
    """Sets for the pairs that have none; a pair without scored training questions gets none.

    Args:
        profile: whose training outcomes the choice is made by.
        pool: its pairs are watched.
        queries: the labelled questions of today, by id.
        versions: of the pool.
        living: what there is, by pair id.
        earlier: every set ever chosen.
        count: canaries a set.
        seed: of the choice.
        now: stamped on the sets.
    """
    from profiles.drift import choose_canaries

    train = profile.train
    if train is None:
        return []
    usable = [row for row, name in enumerate(train.query_ids) if _gradable(queries.get(name))]
    names = [train.query_ids[row] for row in usable]
    labels = profile.clusters.assign(train.embeddings[usable]).labels if usable else None
    columns = profile.index()
    made = []
    for pair in pool.pairs:
        if pair.pair_id in living or pair.pair_id not in columns or labels is None:
            continue
        chosen = choose_canaries(
            names,
            labels,
            train.scores[usable, columns[pair.pair_id]],
            pair_id=pair.pair_id,
            seed=seed,
            count=count,
        )
        version = set_versions(chosen, pair, queries, versions)
        if not chosen or version is None:
            continue
        number = sum(one.pair_id == pair.pair_id for one in earlier)
        word = f"{pair.pair_id}\n{version}\n{number}\n{seed}"
        set_id = f"set-{hashlib.sha256(word.encode()).hexdigest()[:12]}"
        made.append(CanarySet(set_id, pair.pair_id, tuple(chosen), version, now))
    return made


def commit_sets(
    root: Path,
    ledger: Ledger,
    sets: Sequence[CanarySet],
    *,
    profile: Profile,
    run_id: str,
    seed: int,
) -> None:
    """Write new sets to the table `canaries`, before the first of their questions is asked.

    Raises:
        WarehouseError: the file cannot be written.
    """
    train, columns = profile.train, profile.index()
    assert train is not None
    place = {name: row for row, name in enumerate(train.query_ids)}
    labels = profile.clusters.assign(train.embeddings).labels
    rows = [
        {
            "set_id": one.set_id,
            "pair_id": one.pair_id,
            "query_id": query_id,
            "position": position,
            "profile_id": profile.profile_id,
            "cluster_id": int(labels[place[query_id]]),
            "score_then": float(train.scores[place[query_id], columns[one.pair_id]]),
            "versions": one.versions,
            "seed": seed,
            "chosen_at": one.chosen_at,
        }
        for one in sets
        for position, query_id in enumerate(one.query_ids)
    ]
    if sets:
        # One file a choice: a second choice in one refresh must not replace the first.
        chunk_id = f"canaries-{sets[0].set_id}"
        commit_rows(root, ledger, "canaries", rows, run_id=run_id, chunk_id=chunk_id)


def set_versions(
    query_ids: Sequence[str], pair: Pair, queries: Mapping[str, Query], versions: PoolVersions
) -> str | None:
    """Hash over the cells of a set as they are today; None where a question is gone."""
    keys = []
    for query_id in query_ids:
        query = queries.get(query_id)
        if query is None:
            return None
        keys.append(cell_columns(versions, query, pair)["cell_key"])
    return hashlib.sha256("\n".join(keys).encode()).hexdigest()[:16]


def _gradable(query: Query | None) -> bool:
    return query is not None and query.reference is not None
