"""Items of a routed backlog: staged queries, embedded and decided, chunk by chunk."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from profiles.routers.base import Decisions, Router, RoutingContext
from tasks.batch.item import Item
from tasks.read import load_chunk

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from profiles.pool import Pool
    from tasks.query import Query

ALTERNATIVES = 3
"""How many of the best pairs a decision row lists."""


@dataclass(slots=True)
class BacklogSource:
    """Reads staged chunks, embeds them and lets the router decide.

    Deciding again after a crash decides the same: routers are deterministic in the query.

    Attributes:
        folder: staged backlog.
        chunks: number of staged chunks.
        embed: texts to (n, D) float32; never called for routers that need no embeddings.
        told: further fields of the routing context, for baselines that are told more than a
            router is (datasets, scores).
        deciding_s: seconds spent deciding so far, embedding left out; `decided` decisions.
    """

    folder: Path
    chunks: int
    pool: Pool
    router: Router
    embed: Callable[[Sequence[str]], NDArray[np.float32]]
    profile_id: str | None = None
    alpha: float = 0.0
    seed: int = 0
    told: Callable[[Sequence[Query]], dict[str, Any]] = lambda _queries: {}
    timer: Callable[[], float] = lambda: 0.0
    deciding_s: float = field(default=0.0, init=False)
    decided: int = field(default=0, init=False)

    def chunk_ids(self) -> list[str]:
        """Ids of all planned chunks, in order."""
        return [f"{number:06d}" for number in range(self.chunks)]

    def load(self, chunk_id: str) -> list[Item]:
        """Items of one chunk, decided."""
        queries = load_chunk(self.folder, int(chunk_id))
        texts = [query.prompt for query in queries]
        embeddings = self.embed(texts) if self.router.needs_embeddings else None
        context = RoutingContext(
            query_ids=tuple(query.query_id for query in queries),
            texts=tuple(texts),
            alpha=self.alpha,
            seed=self.seed,
            **self.told(queries),
        )
        began = self.timer()
        decisions = self.router.decide(embeddings, context)
        self.deciding_s += self.timer() - began
        self.decided += len(queries)
        return [
            Item(
                key=query.query_id,
                query=query,
                candidates=tuple(int(pair) for pair in decisions.ranking[row] if pair >= 0),
                decision=self._columns(decisions, row),
            )
            for row, query in enumerate(queries)
        ]

    def _columns(self, decisions: Decisions, row: int) -> dict[str, Any]:
        cluster = int(decisions.cluster[row])
        return {
            "router": self.router.name,
            "profile_id": self.profile_id,
            "alpha": self.alpha,
            "cluster_id": cluster if cluster >= 0 else None,
            "cluster_distance": _known(decisions.distance[row]),
            "is_out_of_distribution": bool(decisions.out_of_distribution[row]),
            "expected_score": _known(decisions.expected_score[row]),
            "expected_cost_usd": _dollars(decisions.expected_cost_usd[row]),
            "propensity": _known(decisions.propensity[row]),
            "chances": self._chances(decisions, row),
            "alternatives": self._alternatives(decisions, row),
            "reason": decisions.reason[row],
        }

    def _chances(self, decisions: Decisions, row: int) -> list[dict[str, Any]] | None:
        """What could have been drawn; None where the choice was certain."""
        if decisions.chances is None or decisions.chances[row].max() == 1.0:
            return None
        return [
            {"pair_id": self.pool.pairs[pair].pair_id, "chance": float(chance)}
            for pair, chance in enumerate(decisions.chances[row])
            if chance > 0
        ]

    def _alternatives(self, decisions: Decisions, row: int) -> list[dict[str, Any]]:
        best = [int(pair) for pair in decisions.ranking[row][:ALTERNATIVES] if pair >= 0]
        return [
            {
                "pair_id": self.pool.pairs[pair].pair_id,
                "score": _known(decisions.utility[row, pair]),
                "cost_usd": None,
            }
            for pair in best
        ]


def _known(value: float) -> float | None:
    number = float(value)
    return None if math.isnan(number) else number


def _dollars(value: float) -> Decimal | None:
    number = _known(value)
    return None if number is None else Decimal(f"{number:.9f}")
