"""Items of a multi-step backlog: staged queries, each with the plan of its trajectory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.batch.item import Item
from tasks.read import load_chunk
from tasks.trajectory.walk import TrajectoryPlan

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from profiles.policies.guide import Whereabouts
    from profiles.pool import Pool
    from tasks.query import Query
    from tasks.trajectory.navigator import Navigator


def own_grader(query: Query) -> str | None:
    """The grader that a labelled question names."""
    return None if query.reference is None else query.reference.grader


@dataclass(slots=True)
class TrajectorySource:
    """Reads staged chunks and says what each row follows; only the first look is decided here.

    Attributes:
        folder: staged backlog.
        chunks: number of staged chunks.
        navigator: decides the steps; its guide's pairs are pairs of the pool.
        embed: texts to (n, D) float32; called only where the guide looks at embeddings.
        router: what the rows say decided.
        policy_name: under which its policy is registered, such as `atlas-policy/3`; None without.
        grader: of a question, which says what kind of answer it wants, see
            `tasks.grade.answer_key`.
    """

    folder: Path
    chunks: int
    pool: Pool
    navigator: Navigator
    embed: Callable[[Sequence[str]], NDArray[np.float32]]
    router: str
    profile_id: str | None = None
    alpha: float = 0.0
    grader: Callable[[Query], str | None] = own_grader
    policy_name: str | None = None

    def chunk_ids(self) -> list[str]:
        """Ids of all planned chunks, in order."""
        return [f"{number:06d}" for number in range(self.chunks)]

    def load(self, chunk_id: str) -> list[Item]:
        """Items of one chunk, each with its plan."""
        guide = self.navigator.guide
        queries = load_chunk(self.folder, int(chunk_id))
        texts = [query.prompt for query in queries]
        embeddings = self.embed(texts) if guide.needs_embeddings else None
        prospect = guide.foresee(texts, embeddings)
        number = {pair.pair_id: index for index, pair in enumerate(self.pool.pairs)}
        pairs = tuple(number[pair_id] for pair_id in guide.pairs)
        decision = {
            "router": self.router,
            "policy_name": self.policy_name,
            "policy_version": guide.policy_id,
            "profile_id": self.profile_id,
            "alpha": self.alpha,
            "propensity": 1.0,
        }
        return [
            Item(
                key=query.query_id,
                query=query,
                candidates=pairs,
                decision=decision | _place(prospect.where, row),
                plan=TrajectoryPlan(
                    self.navigator,
                    pairs,
                    prospect.priors[row],
                    prospect.components[row],
                    self.grader(query),
                    prospect.where is not None and bool(prospect.where.away[row]),
                ),
            )
            for row, query in enumerate(queries)
        ]


def _place(where: Whereabouts | None, row: int) -> dict[str, Any]:
    """Columns on where a question lies; none where nobody looked."""
    if where is None:
        return {}
    return {
        "cluster_id": int(where.cluster[row]),
        "cluster_distance": float(where.distance[row]),
        "is_out_of_distribution": bool(where.away[row]),
    }
