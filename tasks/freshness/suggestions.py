"""Which questions of past backlogs to label next, written as a file that the labelled reader takes.

Each line has `text`, `custom_id`, `dataset`, `split`, and `reference` and `grader` to be filled in;
what else stands there (`why`, `cluster`, `worth`, `run_id`) the reader passes over. A line whose
reference is left empty counts as a question that cannot be graded, not as an error.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from profiles.drift.informative import Suggestion, suggest
from tasks.freshness.query_drift import recent_queries
from warehouse.commits import published

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from profiles.profile import Profile
    from warehouse.ledger import LedgerReader

DATASET = "suggested"
MOST = 20_000
"""Questions of past backlogs that are considered."""


class SuggestionError(Exception):
    """Nothing can be suggested, or not written there."""


def suggested_rows(
    root: Path,
    ledger: LedgerReader,
    profile: Profile,
    embed: Callable[[Sequence[str]], NDArray[np.float32]],
    *,
    count: int,
) -> list[dict[str, Any]]:
    """The most informative unlabelled questions of past backlogs, best first.

    Args:
        root: of the warehouse.
        ledger: knows runs and commits.
        profile: what is known; its training questions are not suggested again.
        embed: texts to (n, D), by the profile's encoder.
        count: how many.

    Raises:
        SuggestionError: no backlog holds an unlabelled question.
        WarehouseError: a committed file cannot be read.
    """
    import polars as pl

    rows, _ = recent_queries(root, ledger, most=MOST, unlabelled=True)
    labelled = () if profile.train is None else profile.train.query_ids
    rows = rows.filter(~pl.col("query_id").is_in(list(labelled)))
    if rows.is_empty():
        raise SuggestionError(
            f"No backlog under {root} holds an unlabelled question that is not profiled already: "
            "route one first (atlas route BACKLOG)."
        )
    texts = rows.get_column("prompt").to_list()
    embeddings = embed(texts)
    labels, distances = profile.clusters.assign(embeddings)
    found = suggest(
        embeddings,
        labels,
        profile.clusters.is_out_of_distribution(distances),
        profile.statistics,
        count=count,
        uncertainty=_uncertainty(profile, texts, embeddings),
        known=None if profile.train is None else profile.train.embeddings,
    )
    return [_line(one, rows.row(one.row, named=True)) for one in found]


def _uncertainty(
    profile: Profile, texts: Sequence[str], embeddings: NDArray[np.float32]
) -> NDArray[np.float64] | None:
    """(n,) how uncertain it is whether the likeliest pair is right: 1 at ½, 0 at 0 or 1."""
    import numpy as np

    if profile.predictor is None:
        return None
    best = np.nanmax(profile.predictor.predict(texts, embeddings).probability, axis=1)
    uncertain: NDArray[np.float64] = 1.0 - np.abs(2.0 * np.clip(best, 0.0, 1.0) - 1.0)
    return uncertain


def _line(found: Suggestion, row: Mapping[str, Any]) -> dict[str, Any]:
    line = {
        "text": row["prompt"],
        "custom_id": row["custom_id"],
        "reference": None,
        "grader": None,
        "dataset": DATASET,
        "split": "train",
        "why": found.why,
        "cluster": found.cluster,
        "worth": round(found.worth, 3),
        "run_id": row["run_id"],
    }
    return {**line, "context": row["context"]} if row["context"] else line


def check_free(path: Path) -> None:
    """Refuse a file that is there.

    Raises:
        SuggestionError: the file exists.
    """
    if path.exists():
        raise SuggestionError(
            f"{path} exists already, and may hold labels; choose another name with --out."
        )


def write_suggestions(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write suggestions as JSON lines, whole or not at all; never over a file that is there.

    Raises:
        SuggestionError: the file exists.
        WarehouseError: it cannot be written.
    """
    check_free(path)
    with published(path) as temporary:
        lines = (json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        temporary.write_text("".join(lines), encoding="utf-8")
