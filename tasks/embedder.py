"""An encoder with its disk cache: what a run calls to embed texts."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.embed import Encoder, embed, load_encoder

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from warehouse.embedding_cache import EmbeddingCache

FOLDER = "embeddings"


class CachedEmbedder:
    """Embeds texts, each text once; vectors are kept under `<root>/embeddings/`.

    Args:
        encoder: computes what is not cached yet.
        cache: where vectors are kept.
    """

    def __init__(self, encoder: Encoder, cache: EmbeddingCache) -> None:
        self._encoder = encoder
        self._cache = cache
        # Two chunks may ask at once; the encoder already uses every core for one of them.
        self._turn = threading.Lock()

    @property
    def fingerprint(self) -> str:
        """Fingerprint of the encoder."""
        return self._encoder.fingerprint

    @property
    def name(self) -> str:
        """Name of the encoder."""
        return self._encoder.name

    def __call__(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Embed n texts: (n, D) float32, L2-normalised."""
        with self._turn:
            return embed(texts, self._encoder, self._cache)

    def close(self) -> None:
        """Close the cache."""
        self._cache.close()


def cached_embedder(root: Path, name: str, *, dtype: str = "float32") -> CachedEmbedder:
    """Load an encoder with its cache under `root`.

    Raises:
        EmbeddingError: the encoder cannot be loaded.
    """
    from warehouse.embedding_cache import EmbeddingCache

    encoder = load_encoder(name, dtype=dtype)
    path = cache_path(root, encoder.fingerprint)
    path.parent.mkdir(parents=True, exist_ok=True)
    return CachedEmbedder(encoder, EmbeddingCache(path, encoder.fingerprint, encoder.dimension))


def cache_path(root: Path, fingerprint: str) -> Path:
    """Where the vectors of the encoder of this fingerprint are kept."""
    # Fingerprints may hold the slash of a hub's model name.
    digest = hashlib.sha256(fingerprint.encode()).hexdigest()[:16]
    return root / FOLDER / f"{digest}.sqlite"
