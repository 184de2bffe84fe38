"""What a policy learns from and what it is held against: a profile's questions with their answers.

Training rows are those of the profile. Held-out rows are the questions of split `test`, which the
profile was not fitted on, with every cell that was ever recorded of them. A cell that was never
run is missing: its score is NaN and it is never counted as wrong.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from profiles.errors import ProfileError
from tasks.grade.answer_key import answer_key
from tasks.learn.recorded import code_keys
from tasks.profiling.cells_kept import kept_cells

if TYPE_CHECKING:
    import polars as pl

    from profiles.profile import Profile

Matrix = NDArray[np.float64]
Embed = Callable[[Sequence[str]], NDArray[np.float32]]

TEST = "test"


class HeldOut(NamedTuple):
    """n questions that a profile was not fitted on, in the labelled set's order."""

    query_ids: tuple[str, ...]
    datasets: tuple[str, ...]
    texts: tuple[str, ...]
    embeddings: NDArray[np.float32]
    """(n, D)."""
    scores: Matrix
    """(n, P) in the profile's pair order; NaN is missing or unscored."""
    costs_usd: Matrix
    """(n, P); NaN is unknown."""
    keys: NDArray[np.int64]
    """(n, P) answer keys, see `tasks.learn.recorded.code_keys`; -1 has none."""
    distances: Matrix
    """(n,) to the nearest centroid."""


class Cells(NamedTuple):
    """Recorded cells of n questions, (n, P) each."""

    keys: NDArray[np.int64]
    scores: Matrix
    costs_usd: Matrix
    compared: int
    """Cells whose answer has a key that was read from its text."""


def training_keys(root: Path, profile: Profile) -> NDArray[np.int64]:
    """(n, P) answer keys of a profile's training rows, in its row and pair order.

    An answer that was scored but whose text was not kept is an answer of its own: it agrees with
    nobody, and is no failure either.

    Args:
        root: of the warehouse.
        profile: with its training rows.

    Raises:
        ProfileError: the profile keeps no training rows, or their answers were not kept, or none
            of them can be compared.
    """
    train = profile.train
    if train is None:
        msg = f"{profile.profile_id} keeps no training rows, which a policy learns from"
        raise ProfileError(msg)
    cells = _matrices(kept_cells(root, profile.profile_id), train.query_ids, profile)
    if not cells.compared:
        msg = (
            f"none of the answers behind {profile.profile_id} can be compared (no text was recorded"
            " of them), and a policy decides by comparing answers; profile with recorded answers"
        )
        raise ProfileError(msg)
    return cells.keys


def held_out(
    root: Path,
    profile: Profile,
    *,
    splits: Sequence[str] = (TEST,),
    embed: Embed | None = None,
) -> HeldOut:
    """The held-out questions of the labelled set behind a profile.

    Args:
        root: of the warehouse.
        profile: knows the pairs and the clusters.
        splits: of the labelled set; a question that the profile was fitted on is never held out.
        embed: texts to (n, D); the profile's own encoder, cached under `root`, where None.

    Raises:
        ProfileError: the answers behind the profile were not kept, or its encoder is not the one
            that is installed.
        EmbeddingError: the encoder cannot be loaded.
    """
    import polars as pl

    cells = kept_cells(root, profile.profile_id)
    fitted = set(() if profile.train is None else profile.train.query_ids)
    chosen = (
        cells.filter(pl.col("split").is_in(list(splits)))
        .unique("query_id", keep="first", maintain_order=True)
        .select("query_id", "dataset", "text")
    )
    rows = [row for row in chosen.iter_rows() if row[0] not in fitted]
    ids, datasets, texts = (tuple(str(row[part] or "") for row in rows) for part in range(3))
    found = _matrices(cells, ids, profile)
    embeddings = _embeddings(root, profile, texts, embed)
    distances = profile.clusters.assign(embeddings)[1] if texts else np.zeros(0)
    return HeldOut(
        ids,
        datasets,
        texts,
        embeddings,
        found.scores,
        found.costs_usd,
        found.keys,
        np.asarray(distances, np.float64),
    )


def data_hash(query_ids: Sequence[str], *arrays: NDArray[np.generic]) -> str:
    """16 hexadecimal digits over questions and what is known of them."""
    digest = hashlib.sha256("\x1f".join(query_ids).encode())
    for array in arrays:
        digest.update(f"{array.dtype.str}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()[:16]


def _matrices(cells: pl.DataFrame, query_ids: Sequence[str], profile: Profile) -> Cells:
    """The cells of some questions, in the profile's pair order."""
    row_of = {query_id: number for number, query_id in enumerate(query_ids)}
    column_of = profile.index()
    shape = len(row_of), len(column_of)
    texts: list[list[str | None]] = [[None] * shape[1] for _ in row_of]
    scores, costs = np.full(shape, np.nan), np.full(shape, np.nan)
    unread: list[tuple[int, int]] = []
    told = cells.select("query_id", "pair_id", "grader", "answer", "failed", "score", "cost_usd")
    for query_id, pair_id, grader, answer, failed, score, cost in told.iter_rows():
        row, column = row_of.get(query_id), column_of.get(pair_id)
        if row is None or column is None:
            continue
        texts[row][column] = answer_key(answer, grader)
        scores[row, column] = np.nan if score is None else score
        costs[row, column] = np.nan if cost is None else cost
        if answer is None and score is not None and not failed:
            unread.append((row, column))
    keys = code_keys(texts) if row_of else np.zeros(shape, np.int64)
    compared = int((keys >= 0).sum())
    for row, column in unread:
        keys[row, column] = keys[row].max() + 1
    return Cells(keys, scores, costs, compared)


def _embeddings(
    root: Path, profile: Profile, texts: Sequence[str], embed: Embed | None
) -> NDArray[np.float32]:
    if not texts:
        return np.zeros((0, profile.clusters.centroids.shape[1]), np.float32)
    if embed is not None:
        return embed(texts)
    from tasks.embedder import cached_embedder

    wanted = profile.encoder_fingerprint
    name, dtype = wanted.partition("@")[0], wanted.rpartition("/")[2]
    embedder = cached_embedder(root, name, dtype=dtype)
    try:
        if embedder.fingerprint != wanted:
            msg = (
                f"{profile.profile_id} was made with the encoder {wanted}, and here is"
                f" {embedder.fingerprint}: install that one, or profile again"
            )
            raise ProfileError(msg)
        return embedder(texts)
    finally:
        embedder.close()
