"""Finds what the page of a profile shows beside the profile: questions, history, earlier versions.

Nothing here is needed for a page: what cannot be found is left out, and the page says so.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tasks.report.profile_page_facts import Night, Refresh

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray

    from profiles.profile import Profile
    from tasks.query import Query

logger = logging.getLogger(__name__)

EXAMPLES = 3
"""Held-out questions shown for a cluster."""
MOST_HELD_OUT = 4000
"""Held-out questions looked at: enough for every cluster to have its share."""


def questions_of(root: Path, profile: Profile) -> tuple[list[Query], str]:
    """The labelled questions that a profile was made from, and where they are; else none.

    The newest profiling run that has all of the profile's training questions counts, if its file
    is still there and unchanged.
    """
    from tasks.read import read_labelled
    from warehouse.ledger import open_ledger

    wanted = set() if profile.train is None else set(profile.train.query_ids)
    try:
        ledger = open_ledger(root, read_only=True)
    except Exception as error:
        logger.info("No ledger to find the profile's questions by: %s", error)
        return [], ""
    try:
        runs = [run for run in ledger.runs() if run.kind == "profile"]
    finally:
        ledger.close()
    for run in sorted(runs, key=lambda run: run.started_at, reverse=True):
        try:
            labelled = read_labelled(run.input_path)
        except Exception as error:
            logger.info("The questions at %s cannot be read again: %s", run.input_path, error)
            continue
        known = {query.query_id for query in labelled.queries}
        if labelled.input_sha256 == run.input_sha256 and wanted <= known:
            return labelled.queries, run.input_path
    return [], ""


def held_out_examples(
    root: Path, profile: Profile, queries: Sequence[Query], *, each: int = EXAMPLES
) -> dict[int, tuple[str, ...]]:
    """Per cluster, the held-out questions nearest to its centre; clusters without any are absent.

    Only questions of another split than `train` whose embeddings are kept already: nothing is
    embedded to draw a page. A text that also stands among the training questions is no held-out
    one.
    """
    from tasks.embed import text_hash
    from tasks.embedder import cache_path
    from warehouse.embedding_cache import EmbeddingCache

    path = cache_path(root, profile.encoder_fingerprint)
    if not path.exists():
        return {}
    trained = {query.prompt for query in queries if query.split == "train"}
    held = [query.prompt for query in queries if query.split != "train"]
    texts = [text for text in dict.fromkeys(held) if text not in trained][:MOST_HELD_OUT]
    width = profile.clusters.centroids.shape[1]
    hashes = [text_hash(text) for text in texts]
    with EmbeddingCache(path, profile.encoder_fingerprint, width) as cache:
        vectors = cache.get_many(hashes)
    found = [
        (text, vectors[key]) for text, key in zip(texts, hashes, strict=True) if key in vectors
    ]
    if not found:
        return {}
    return _nearest(profile, [text for text, _ in found], np.stack([v for _, v in found]), each)


def _nearest(
    profile: Profile, texts: Sequence[str], embeddings: NDArray[np.float32], each: int
) -> dict[int, tuple[str, ...]]:
    labels, distances = profile.clusters.assign(embeddings)
    order = np.argsort(distances, kind="stable")
    chosen: dict[int, list[str]] = {}
    for row in order:
        own = chosen.setdefault(int(labels[row]), [])
        if len(own) < each:
            own.append(texts[row])
    return {cluster: tuple(own) for cluster, own in sorted(chosen.items())}


def history_of(root: Path) -> tuple[tuple[Night, ...], tuple[Refresh, ...]]:
    """Canary figures and refreshes so far; empty where there were none, or none can be read."""
    from tasks.freshness.history import freshness_history, refresh_history
    from warehouse.errors import WarehouseError

    try:
        return nights_from(freshness_history(root)), refreshes_from(refresh_history(root))
    except WarehouseError as error:
        logger.info("There is no history of refreshes to show: %s", error)
        return (), ()


def nights_from(frame: pl.DataFrame) -> tuple[Night, ...]:
    """Canary figures from rows of `tasks.freshness.history.freshness_history`."""
    from tasks.report import formats as f

    return tuple(
        Night(
            at=row["measured_at"],
            pair=f.pair_label(row["pair_id"]),
            metric=row["metric"],
            value=_float(row["value"]),
            low=_float(row["low"]),
            high=_float(row["high"]),
            e_value=_float(row["e_value"]),
            alarm=bool(row["alarm"]),
        )
        for row in frame.iter_rows(named=True)
    )


def refreshes_from(frame: pl.DataFrame) -> tuple[Refresh, ...]:
    """Refreshes from rows of `tasks.freshness.history.refresh_history`."""
    return tuple(
        Refresh(
            at=row["started_at"],
            profile_id=row["profile_id"] or "",
            cells=int(row["cells_run"] or 0),
            calls=int(row["calls"] or 0),
            cost_usd=None if row["cost_usd"] is None else Decimal(str(row["cost_usd"])),
            gate=row["reason"] or row["gate"] or "",
            published=bool(row["published"]),
        )
        for row in frame.iter_rows(named=True)
    )


def _float(value: Any) -> float:  # noqa: ANN401
    return float("nan") if value is None else float(value)


def previous_version(root: Path, profile: Profile) -> Profile | None:
    """The version that was in use before this one, else the one made before it; None for a first.

    Versions that cannot be read any more are passed over.
    """
    from profiles.errors import ProfileError
    from tasks.profiling.store import ProfileNotFoundError, find_profile, history, profile_versions

    names = [
        entry.previous
        for entry in reversed(history(root))
        if entry.profile_id == profile.profile_id and entry.event == "latest" and entry.previous
    ]
    names += [
        version.profile_id
        for version in profile_versions(root)
        if version.created_at is not None
        and version.created_at < profile.created_at
        and version.profile_id != profile.profile_id
    ]
    for name in dict.fromkeys(names):
        try:
            return find_profile(root, name)
        except (ProfileNotFoundError, ProfileError) as error:
            logger.info("The earlier version %s cannot be compared with: %s", name, error)
    return None


def parameters_of(profile: Profile) -> Mapping[str, str]:
    """How a profile was fitted, from the profile itself."""
    settings = profile.settings
    return {
        "clusters": str(profile.k),
        "KMeans": f"{settings.clusters.algorithm}, seed {settings.clusters.seed}",
        "prior strength": f"{profile.statistics.prior_strength:.1f} outcomes"
        + (" (estimated)" if settings.prior_strength is None else ""),
    }
