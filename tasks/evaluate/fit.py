"""Learning from a table's `train` rows: one profile for every way of clustering them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np

from profiles.build_profile import TRAIN, build_profile, train_queries
from profiles.clusters import ClusterSettings
from profiles.profile import ProfileSettings

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from profiles.pool import Pool
    from profiles.profile import Profile
    from tasks.embedder import CachedEmbedder
    from tasks.evaluate.table import OutcomeTable

NO_ENCODER = "none"
"""Stands for the encoder where no router looks at a text."""

_BLOCK = 4096
"""Texts embedded between two words about it."""


class Knowledge:
    """Profiles of a table by cluster settings, each fitted when it is first asked for.

    Args:
        table: the outcomes; rows of split `train` alone are looked at.
        pool: its pairs.
        embedder: embeds the training texts; None where no router looks at a text.
        note: told in a sentence what is being done.
    """

    def __init__(
        self,
        table: OutcomeTable,
        pool: Pool,
        embedder: CachedEmbedder | None,
        note: Callable[[str], None] = lambda _text: None,
    ) -> None:
        self._table = table
        self._pool = pool
        self._embedder = embedder
        self._note = note
        self._vectors: NDArray[np.float32] | None = None
        self._profiles: dict[ClusterSettings, Profile] = {}

    def profile(self, clusters: ClusterSettings | None) -> Profile:
        """The profile clustered in that way; any profile where clusters do not matter.

        Raises:
            ProfileError: the rows cannot be clustered so.
            EmbeddingError: the texts cannot be embedded.
        """
        if clusters is None:
            if self._profiles:
                return next(iter(self._profiles.values()))
            clusters = ClusterSettings(k=1)
        if clusters not in self._profiles:
            self._profiles[clusters] = self._fit(clusters)
        return self._profiles[clusters]

    def embed_split(self, split: str) -> None:
        """Embed a held-out split into the cache, so that no router is kept waiting for it.

        Raises:
            EmbeddingError: the texts cannot be embedded.
        """
        if self._embedder is not None:
            self._embed(self._embedder, split)

    def _fit(self, clusters: ClusterSettings) -> Profile:
        embedder = self._embedder
        return build_profile(
            queries=self._table.queries,
            outcomes=self._table.outcomes,
            embeddings=self._embeddings(),
            pairs=self._table.pairs,
            pool_fingerprint=self._pool.fingerprint,
            encoder_fingerprint=NO_ENCODER if embedder is None else embedder.fingerprint,
            created_at=datetime.now(UTC),
            settings=ProfileSettings(clusters=clusters),
        )

    def _embeddings(self) -> NDArray[np.float32]:
        """(n, D) of the training texts."""
        if self._vectors is None:
            if self._embedder is None:
                train = train_queries(self._table.queries)
                self._vectors = np.ones((len(train), 1), np.float32)
            else:
                self._vectors = np.concatenate(self._embed(self._embedder, TRAIN))
        return self._vectors

    def _embed(self, embedder: CachedEmbedder, split: str) -> list[NDArray[np.float32]]:
        texts: Sequence[str] = self._table.rows(split).get_column("text").to_list()
        blocks = []
        for start in range(0, len(texts), _BLOCK):
            block = texts[start : start + _BLOCK]
            upto = f"{start + len(block):,} of {len(texts):,}"
            self._note(f"{split}: embedding {upto} questions (kept for the next time)")
            blocks.append(embedder(block))
        return blocks
