"""The reference figures of the recorded tables come out, to the digit where data alone decides."""

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from profiles.build_profile import build_profile, train_queries
from profiles.clusters import ClusterSettings
from profiles.outcomes import outcome_matrices
from profiles.pool import Pair
from profiles.profile import Profile, ProfileSettings
from profiles.routers.base import RoutingContext
from profiles.routers.registry import build_router

TABLES = Path(__file__).parents[3] / "shared" / "data" / "outcomes"

pytestmark = [
    pytest.mark.shared,
    pytest.mark.skipif(not TABLES.is_dir(), reason=f"the recorded tables are not at {TABLES}"),
]


@dataclass(frozen=True)
class Table:
    """One recorded table, with the split `test` ready to be routed."""

    queries: pl.DataFrame
    outcomes: pl.DataFrame
    pairs: tuple[Pair, ...]
    scores: np.ndarray
    context: RoutingContext

    def profile(self, embeddings: np.ndarray, clusters: ClusterSettings) -> Profile:
        return build_profile(
            queries=self.queries,
            outcomes=self.outcomes,
            embeddings=embeddings,
            pairs=self.pairs,
            pool_fingerprint="recorded",
            encoder_fingerprint="test",
            created_at=datetime(2026, 1, 1, tzinfo=UTC),
            settings=ProfileSettings(clusters, predictor=False, selection=False),
        )

    def figures(self, scores: np.ndarray) -> tuple[float, float]:
        """Macro and micro, in points, of one score per test query; unscored counts 0."""
        points = 100 * np.nan_to_num(scores)
        names = np.array(self.context.datasets)
        macro = np.mean([points[names == name].mean() for name in sorted(set(names))])
        return float(macro), float(points.mean())

    def route(self, profile: Profile, name: str, embeddings: np.ndarray | None = None):
        decisions = build_router(name, profile).decide(embeddings, self.context)
        return self.figures(self.scores[np.arange(len(self.scores)), decisions.pair])


@cache
def table(name: str) -> Table:
    queries = pl.read_parquet(TABLES / name / "queries.parquet")
    outcomes = pl.read_parquet(TABLES / name / "outcomes.parquet")
    cells = outcomes.select("model", "tool").unique().iter_rows()
    pairs = tuple(sorted(Pair(model, tool) for model, tool in cells))
    test = queries.filter(pl.col("split") == "test")
    ids = test.get_column("query_id").to_list()
    scores = outcome_matrices(ids, outcomes, pairs).scores
    context = RoutingContext(
        tuple(ids), tuple(test.get_column("text")), datasets=tuple(test.get_column("dataset")),
        scores=scores,
    )  # fmt: skip
    return Table(queries, outcomes, pairs, scores, context)


@cache
def without_embeddings(name: str) -> Profile:
    found = table(name)
    nothing = np.ones((len(train_queries(found.queries)), 2), np.float32)
    return found.profile(nothing, ClusterSettings(1))


@pytest.mark.parametrize(
    ("name", "router", "macro", "micro"),
    [
        ("mathvista", "best-single", 32.88, 30.79),
        ("mathvista", "fixed:gpt-4@@ocr", 33.84, 32.01),
        ("mathvista", "dataset-best", 33.13, 31.10),
        ("mathvista", "oracle", 76.59, 75.30),
        ("tatqa", "best-single", 76.16, 72.60),
        ("tatqa", "dataset-best", 77.47, 74.80),
        ("tatqa", "oracle", 91.20, 86.00),
        ("routerbench", "best-single", 82.89, 87.41),
        ("routerbench", "dataset-best", 82.89, 87.41),
        ("routerbench", "oracle", 94.96, 97.38),
        ("routerbench", "cheapest", 53.91, 58.87),
    ],
)
def test_baselines_equal_the_reference(name, router, macro, micro):
    found = table(name).route(without_embeddings(name), router)

    np.testing.assert_allclose((macro, micro), found, atol=0.006)


@pytest.mark.parametrize(
    ("name", "macro", "micro"),
    [("mathvista", 25.92, 24.85), ("tatqa", 59.07, 55.96), ("routerbench", 64.33, 68.22)],
)
def test_the_expectation_of_the_random_draw_equals_the_reference(name, macro, micro):
    found = table(name)
    draw = build_router("random", without_embeddings(name)).decide(None, found.context)

    every_pair = np.nan_to_num(found.scores).sum(axis=1) * draw.propensity

    np.testing.assert_allclose((macro, micro), found.figures(every_pair), atol=0.06)


@cache
def mathvista_embeddings() -> tuple[np.ndarray, np.ndarray]:
    from tasks.embed import embed, load_encoder

    found, encoder = table("mathvista"), load_encoder("minilm")
    train = train_queries(found.queries).get_column("text").to_list()
    return embed(train, encoder), embed(found.context.texts, encoder)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("router", "k", "macro", "micro"),
    [
        ("cluster-plain", 8, 33.93, 32.32),
        ("cluster-plain", 16, 33.95, 31.71),
        ("knn:5", 16, 32.63, 30.79),
        ("knn", 16, 34.55, 32.32),
        ("knn:100", 16, 33.53, 31.40),
    ],
)
def test_routers_on_embeddings_lie_within_half_a_point_of_the_reference(router, k, macro, micro):
    train, test = mathvista_embeddings()
    settings = ClusterSettings(k, seed=42, algorithm="lloyd", n_init=10, max_iter=300)
    profile = table("mathvista").profile(train, settings)

    found = table("mathvista").route(profile, router, test)

    np.testing.assert_allclose((macro, micro), found, atol=0.5)
