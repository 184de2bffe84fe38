"""Embed: texts in, L2-normalised vectors out, every distinct text once."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np

from tasks.encoders import EmbeddingError, Encoder, load_encoder

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Cache", "EmbeddingError", "Encoder", "embed", "load_encoder", "text_hash"]

_BLOCK = 1024
"""Texts between two writes to the cache: what a crash can lose."""


class Cache(Protocol):
    """Where embeddings of one encoder are kept, by text hash."""

    def get_many(self, hashes: Sequence[str]) -> Mapping[str, NDArray[np.float32]]:
        """The known ones of these hashes, each a (D,) vector."""
        ...

    def put_many(self, hashes: Sequence[str], matrix: NDArray[np.float32]) -> None:
        """Keep the rows of an (n, D) matrix."""
        ...


def text_hash(text: str) -> str:
    """The cache key of a text: sha256 over its exact characters, hexadecimal."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def embed(
    texts: Sequence[str], encoder: Encoder, cache: Cache | None = None
) -> NDArray[np.float32]:
    """Embed n texts: each distinct one once, known ones from the cache.

    New vectors go to the cache after every block of 1,024 texts, so that little is lost when a
    run is killed. A cached vector of the wrong width or with NaN is computed again.

    Returns:
        (n, D) float32, rows of length 1, in the order of the texts.

    Raises:
        EmbeddingError: if a text is not a string, or the encoder returns something unusable.
    """
    for row, text in enumerate(texts):
        if not isinstance(text, str):
            msg = f"text {row} (counted from 0) is {type(text).__name__}, not a string"
            raise EmbeddingError(msg)
    distinct = {text_hash(text): text for text in texts}
    known = _usable(cache.get_many(list(distinct)) if cache is not None else {}, encoder)
    missing = sorted(
        (key for key in distinct if key not in known),
        key=lambda key: (-len(distinct[key]), key),
    )
    for start in range(0, len(missing), _BLOCK):
        keys = missing[start : start + _BLOCK]
        matrix = encoder.encode([distinct[key] for key in keys])
        _check_matrix(matrix, len(keys), encoder)
        if cache is not None:
            cache.put_many(keys, matrix)
        known.update(zip(keys, matrix, strict=True))
    result = np.empty((len(texts), encoder.dimension), np.float32)
    for row, text in enumerate(texts):
        result[row] = known[text_hash(text)]
    return result


def _usable(
    found: Mapping[str, NDArray[np.float32]], encoder: Encoder
) -> dict[str, NDArray[np.float32]]:
    return {
        key: vector
        for key, vector in found.items()
        if np.shape(vector) == (encoder.dimension,) and np.isfinite(vector).all()
    }


def _check_matrix(matrix: NDArray[np.float32], rows: int, encoder: Encoder) -> None:
    if matrix.shape != (rows, encoder.dimension) or not np.isfinite(matrix).all():
        msg = (
            f"encoder {encoder.name!r} returned shape {matrix.shape} for {rows} texts, or numbers"
            " that are not finite; try dtype float32"
        )
        raise EmbeddingError(msg)
