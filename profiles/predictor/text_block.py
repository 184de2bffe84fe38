"""A table of n-grams as a few hundred numbers a text: TF-IDF, then truncated SVD."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from profiles.predictor.ngrams import SLOTS, Counter, character_grams, count_table, word_grams

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

COUNTERS: dict[str, Counter] = {"words": word_grams, "characters": character_grams}

_SVD_ROUNDS = 3
_CHUNK = 2048


@dataclass(frozen=True)
class TextBlock:
    """Projection of one kind of n-gram; stored arrays only, so it reads back as it was fitted.

    Attributes:
        kind: `words` or `characters`.
        slots: (F,) int32 rising, the n-grams that count.
        idf: (F,) float32, ln((1 + n) / (1 + df)) + 1.
        components: (F, C) float16, right singular vectors of the training table.
    """

    kind: str
    slots: NDArray[np.int32]
    idf: NDArray[np.float32]
    components: NDArray[np.float16]

    @cached_property
    def _columns(self) -> NDArray[np.int32]:
        columns = np.full(SLOTS, -1, np.int32)
        columns[self.slots] = np.arange(len(self.slots), dtype=np.int32)
        return columns

    @cached_property
    def _projection(self) -> NDArray[np.float32]:
        return self.components.astype(np.float32)

    def transform(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """(n, C) coordinates; zeros for a text without any known n-gram."""
        result = np.zeros((len(texts), self.components.shape[1]), np.float32)
        if not len(self.slots):
            return result
        for start in range(0, len(texts), _CHUNK):
            counts = count_table(texts[start : start + _CHUNK], COUNTERS[self.kind], self._columns)
            result[start : start + _CHUNK] = _weighted(counts, self.idf) @ self._projection
        return result


def fit_text_block(
    kind: str,
    texts: Sequence[str],
    *,
    max_features: int,
    min_df: int,
    components: int,
    seed: int,
) -> TextBlock:
    """Choose the n-grams and fit the projection on n training texts, labels unseen.

    The `max_features` n-grams that most texts hold are kept, of those that `min_df` texts hold.
    TF is 1 + ln(count), rows have unit length.
    """
    counts = count_table(texts, COUNTERS[kind], None)
    df = np.bincount(counts.indices, minlength=SLOTS)
    candidates = np.flatnonzero(df >= min_df)
    often = np.lexsort((candidates, -df[candidates]))[:max_features]
    slots = np.sort(candidates[often]).astype(np.int32)
    idf = (np.log((1.0 + len(texts)) / (1.0 + df[slots])) + 1.0).astype(np.float32)
    table = _weighted(counts[:, slots], idf)
    return TextBlock(kind, slots, idf, _right_vectors(table, components, seed))


def _right_vectors(table: csr_matrix, components: int, seed: int) -> NDArray[np.float16]:
    from sklearn.utils.extmath import randomized_svd

    wanted = min(components, min(table.shape) - 1)
    if wanted < 1 or not table.nnz:
        return np.zeros((table.shape[1], 0), np.float16)
    _, _, right = randomized_svd(table, n_components=wanted, n_iter=_SVD_ROUNDS, random_state=seed)
    return np.ascontiguousarray(right.T).astype(np.float16)


def _weighted(counts: csr_matrix, idf: NDArray[np.float32]) -> csr_matrix:
    """Sublinear TF-IDF with rows of unit length; an empty row stays zero."""
    table = counts.tocsr().astype(np.float32)
    table.sort_indices()
    table.data = (np.log(table.data) + np.float32(1)) * idf[table.indices]
    rows = np.repeat(np.arange(table.shape[0]), np.diff(table.indptr))
    squares = np.bincount(rows, table.data.astype(np.float64) ** 2, minlength=table.shape[0])
    lengths = np.sqrt(np.where(squares > 0, squares, 1.0))
    table.data = (table.data / lengths[rows]).astype(np.float32)
    return table
