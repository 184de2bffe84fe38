"""Rows of other splits never reach a fit: poisoning them changes no bit of what is learnt."""

import numpy as np
import polars as pl
import pytest

from profiles.build_profile import build_profile, train_queries
from profiles.clusters import ClusterSettings
from profiles.deferred import part_digest
from profiles.profile import ProfileSettings
from tests.profiles.made_profiles import CREATED, long_outcomes, pairs_of

N, PAIRS = 160, 3
SPLITS = (["train"] * 5 + ["test"] * 2 + ["ood"]) * 20
SETTINGS = ProfileSettings(ClusterSettings(2), choose_k=(2, 4))


def questions() -> pl.DataFrame:
    topics = ("sums of numbers", "blue birds", "french words", "old stars")
    return pl.DataFrame(
        {
            "query_id": [f"q{row}" for row in range(N)],
            "text": [f"{topics[row % 4]} {row % 31} and {row}" for row in range(N)],
            "dataset": [f"d{row % 3}" for row in range(N)],
            "split": SPLITS,
        }
    )


def outcomes() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    skill = np.array([[0.9, 0.2, 0.5], [0.1, 0.8, 0.5], [0.5, 0.5, 0.6], [0.3, 0.3, 0.9]])
    scores = (rng.random((N, PAIRS)) < skill[np.arange(N) % 4]).astype(float)
    return scores, rng.random((N, PAIRS)) / 100


def fitted(queries: pl.DataFrame, scores: np.ndarray, costs: np.ndarray):
    places = train_queries(queries).get_column("query_id").str.slice(1).cast(pl.Int64).to_numpy()
    points = np.eye(4, dtype=np.float32)[places % 4]
    points += np.random.default_rng(1).normal(0, 0.05, (N, 4)).astype(np.float32)[places]
    return build_profile(
        queries=queries,
        outcomes=long_outcomes([f"q{row}" for row in range(N)], scores, costs),
        embeddings=points,
        pairs=pairs_of(PAIRS),
        pool_fingerprint="pool",
        encoder_fingerprint="e@1",
        created_at=CREATED,
        settings=SETTINGS,
    )


@pytest.fixture(scope="module")
def clean():
    return fitted(questions(), *outcomes())


def poison_scores(queries, scores, costs, held_out):
    scores[held_out] = 1.0 - scores[held_out]
    return queries


def poison_blanks(queries, scores, costs, held_out):
    scores[held_out] = np.nan
    costs[held_out] = np.nan
    return queries


def poison_costs(queries, scores, costs, held_out):
    costs[held_out] = 1e6
    return queries


def poison_texts(queries, scores, costs, held_out):
    spoilt = pl.Series(np.where(held_out, "sums of numbers " * 9, "")).replace("", None)
    return queries.with_columns(text=pl.coalesce(spoilt, "text"))


def poison_datasets(queries, scores, costs, held_out):
    other = pl.Series(np.where(held_out, "d0", "")).replace("", None)
    return queries.with_columns(dataset=pl.coalesce(other, "dataset"))


def drop_rows(queries, scores, costs, held_out):
    return queries.filter(~pl.Series(held_out))


@pytest.mark.parametrize(
    "poison",
    [poison_scores, poison_blanks, poison_costs, poison_texts, poison_datasets, drop_rows],
)
def test_poison_outside_train_changes_no_bit(clean, poison):
    queries = questions()
    scores, costs = outcomes()
    held_out = np.array(SPLITS) != "train"

    other = fitted(poison(queries, scores, costs, held_out), scores, costs)

    assert clean.profile_id == other.profile_id
    assert clean.k == other.k == clean.selection.k
    for name in ("train", "predictor", "selection"):
        one, two = getattr(clean, name), getattr(other, name)
        assert part_digest(*one.to_parts()) == part_digest(*two.to_parts()), name


def test_poison_inside_train_is_seen(clean):
    scores, costs = outcomes()
    row = SPLITS.index("train")
    scores[row] = 1.0 - scores[row]

    other = fitted(questions(), scores, costs)

    assert clean.profile_id != other.profile_id
    assert part_digest(*clean.selection.to_parts()) != part_digest(*other.selection.to_parts())
    assert part_digest(*clean.predictor.to_parts()) != part_digest(*other.predictor.to_parts())
