"""Learning from a table's `train` rows: one profile for every way of fitting them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np

from profiles.build_profile import TRAIN, build_profile, train_queries
from profiles.clusters import ClusterSettings, fit_clusters
from profiles.profile import DEFAULT_K, SWEEP, ProfileSettings
from tasks.evaluate.training import cells_run

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray

    from profiles.pool import Pool
    from profiles.profile import Profile
    from tasks.embedder import CachedEmbedder
    from tasks.evaluate.router_names import RouterChoice
    from tasks.evaluate.table import OutcomeTable

NO_ENCODER = "none"
"""Stands for the encoder where no router looks at a text."""

_BLOCK = 4096
"""Texts embedded between two words about it."""


@dataclass(frozen=True, slots=True)
class Share:
    """Which part of the training cells is learnt from.

    Attributes:
        cells: share of the cells, in (0, 1].
        sampler: which ones, see `profiles.allocation`.
        seed: of the sampler, and of the clusters it looks at.
        clusters: their number.
    """

    cells: float = 1.0
    sampler: str = "adaptive"
    seed: int = 0
    clusters: int = DEFAULT_K

    @property
    def needs_embeddings(self) -> bool:
        """Whether the sampler looks at clusters."""
        return self.cells < 1 and self.sampler == "adaptive"


class Knowledge:
    """Profiles of a table by how they are fitted, each fitted when it is first asked for.

    Args:
        table: the outcomes; rows of split `train` alone are looked at.
        pool: its pairs.
        embedder: embeds the training texts; None where nobody looks at a text.
        note: told in a sentence what is being done.
        share: which of the training cells are learnt from.
        choices: the routers that will ask, so that those of one clustering share one fit.
    """

    def __init__(
        self,
        table: OutcomeTable,
        pool: Pool,
        embedder: CachedEmbedder | None,
        note: Callable[[str], None] = lambda _text: None,
        share: Share | None = None,
        choices: Sequence[RouterChoice] = (),
    ) -> None:
        self._table = table
        self._pool = pool
        self._embedder = embedder
        self._note = note
        self._share = share or Share()
        self._learnt = {(one.clusters, one.choose_k) for one in choices if one.learnt}
        self._vectors: NDArray[np.float32] | None = None
        self._learnt_from: pl.DataFrame | None = None
        self._profiles: dict[ProfileSettings, Profile] = {}

    def profile(self, choice: RouterChoice) -> Profile:
        """The profile that a router decides from; for one without clusters, see `_baseline`.

        Raises:
            ProfileError: the rows cannot be clustered so.
            EmbeddingError: the texts cannot be embedded.
        """
        clusters = choice.clusters or self._baseline
        learnt = choice.learnt or (clusters, choice.choose_k) in self._learnt
        settings = ProfileSettings(
            clusters=clusters,
            choose_k=SWEEP if choice.choose_k else (),
            predictor=learnt,
            selection=learnt,
        )
        if settings not in self._profiles:
            if learnt:
                self._note("train: fitting the predictor, and every router out of fold")
            self._profiles[settings] = self._fit(settings)
        return self._profiles[settings]

    @property
    def _baseline(self) -> ClusterSettings:
        """Clusters behind the overall figures of a router that knows none, whoever else asks.

        Where cells were not run, those figures follow the clusters. A sampler that looks at
        clusters runs a pair where it may win, so within its own clusters alone what it left out is
        like what it ran; as one cluster, a specialist would pass for the best pair everywhere.
        """
        if self._share.needs_embeddings:
            return ClusterSettings(self._share.clusters, seed=self._share.seed)
        return ClusterSettings(k=1)

    @property
    def outcomes(self) -> pl.DataFrame:
        """The outcomes that are learnt from; those of other splits may stand among them."""
        if self._learnt_from is None:
            self._learnt_from = self._run_cells()
        return self._learnt_from

    def embed_split(self, split: str) -> None:
        """Embed a held-out split into the cache, so that no router is kept waiting for it.

        Raises:
            EmbeddingError: the texts cannot be embedded.
        """
        if self._embedder is not None:
            self._embed(self._embedder, split)

    def _run_cells(self) -> pl.DataFrame:
        share = self._share
        if share.cells >= 1:
            return self._table.outcomes
        vectors = self._embeddings()
        labels = np.zeros(len(vectors), np.int64)
        if share.needs_embeddings:
            labels = fit_clusters(vectors, self._baseline).assign(vectors).labels
        kept = cells_run(
            self._table, labels, sampler=share.sampler, share=share.cells, seed=share.seed
        )
        whole = len(vectors) * len(self._table.pairs)
        self._note(f"train: learning from {len(kept):,} of {whole:,} cells ({share.sampler})")
        return kept

    def _fit(self, settings: ProfileSettings) -> Profile:
        embedder = self._embedder
        return build_profile(
            queries=self._table.queries,
            outcomes=self.outcomes,
            embeddings=self._embeddings(),
            pairs=self._table.pairs,
            pool_fingerprint=self._pool.fingerprint,
            encoder_fingerprint=NO_ENCODER if embedder is None else embedder.fingerprint,
            created_at=datetime.now(UTC),
            settings=settings,
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
