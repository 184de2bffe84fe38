"""Small profiles for tests, made from a score matrix or from random outcomes."""

from datetime import UTC, datetime

import numpy as np
import polars as pl

from profiles.build_profile import build_profile
from profiles.clusters import ClusterSettings
from profiles.pool import Pair
from profiles.profile import Profile, ProfileSettings

CREATED = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def pairs_of(count: int) -> tuple[Pair, ...]:
    return tuple(Pair(f"m{number:02d}", "none") for number in range(count))


def long_outcomes(ids: list[str], scores: np.ndarray, costs: np.ndarray | None) -> pl.DataFrame:
    """One row per cell; NaN scores stay rows with a null score."""
    rows = [
        {
            "query_id": ids[row],
            "model": pair.model,
            "tool": pair.tool,
            "score": None if np.isnan(scores[row, column]) else float(scores[row, column]),
            "cost_usd": None
            if costs is None or np.isnan(costs[row, column])
            else float(costs[row, column]),
            "input_tokens": 10 + row,
            "output_tokens": None,
        }
        for row in range(len(ids))
        for column, pair in enumerate(pairs_of(scores.shape[1]))
    ]
    schema = {"score": pl.Float64, "cost_usd": pl.Float64, "output_tokens": pl.Int64}
    return pl.DataFrame(rows, schema_overrides=schema)


def corners(labels: np.ndarray, width: int) -> np.ndarray:
    """Embeddings that put every label in a corner of its own, a little apart."""
    points = np.eye(width, dtype=np.float32)[labels]
    points[:, -1] += 1e-3 * (np.arange(len(labels)) % 7)
    return points


def make_profile(
    scores: np.ndarray,
    labels: np.ndarray,
    costs: np.ndarray | None = None,
    *,
    datasets: list[str] | None = None,
    prior_strength: float | None = None,
    keep_train: bool = True,
    fit_all: bool = False,
) -> Profile:
    """A profile whose clusters are exactly the labels (numbered as KMeans likes).

    `fit_all` adds predictor and selection, which take longer to fit than most tests have.
    """
    ids = [f"q{row}" for row in range(len(scores))]
    k = len(set(labels.tolist()))
    queries = pl.DataFrame(
        {
            "query_id": ids,
            "text": [f"{'abcdefgh'[label] * 4} question {row}" for row, label in enumerate(labels)],
            "dataset": datasets or ["d"] * len(ids),
            "split": ["train"] * len(ids),
        }
    )
    return build_profile(
        queries=queries,
        outcomes=long_outcomes(ids, scores, costs),
        embeddings=corners(labels, int(labels.max()) + 2),
        pairs=pairs_of(scores.shape[1]),
        pool_fingerprint="pool",
        encoder_fingerprint="corner@1/float32",
        created_at=CREATED,
        settings=ProfileSettings(
            ClusterSettings(k, n_init=5),
            prior_strength,
            keep_train,
            predictor=fit_all,
            selection=fit_all,
        ),
    )


def random_profile(
    n: int = 200, pairs: int = 5, k: int = 4, seed: int = 0, **settings: object
) -> Profile:
    """A profile of random scores and costs, pairs better in some clusters than in others."""
    rng = np.random.default_rng(seed)
    labels = np.sort(rng.permutation(np.arange(n) % k))
    skill = rng.random((k, pairs))
    scores = (rng.random((n, pairs)) < skill[labels]).astype(float)
    costs = rng.random((n, pairs)) * np.linspace(0.001, 0.01, pairs)
    return make_profile(scores, labels, costs, **settings)  # type: ignore[arg-type]
