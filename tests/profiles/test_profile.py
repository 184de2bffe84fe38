"""A profile: fitted on train only, named by its contents, kept whole or refused."""

import json
import shutil
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from profiles.build_profile import build_profile, train_queries
from profiles.clusters import ClusterSettings
from profiles.deferred import part_digest
from profiles.errors import ProfileError
from profiles.fingerprint import build_pool
from profiles.outcomes import outcome_matrices
from profiles.pool import ModelSpec, Pair, Prices, ToolSpec
from profiles.profile import ProfileSettings, check_compatible
from profiles.profile_file import load_profile, save_profile
from profiles.profile_frames import cluster_stats_frame, clusters_frame
from tests.profiles.made_profiles import CREATED, long_outcomes, pairs_of, random_profile

NAN = float("nan")


def build(queries: pl.DataFrame, outcomes: pl.DataFrame, embeddings: np.ndarray, **kept):
    given = {
        "pairs": pairs_of(2),
        "pool_fingerprint": "pool",
        "encoder_fingerprint": "e@1",
        "created_at": CREATED,
        "settings": ProfileSettings(ClusterSettings(2), predictor=False, selection=False),
    }
    return build_profile(
        queries=queries, outcomes=outcomes, embeddings=embeddings, **{**given, **kept}
    )


def questions(splits: str, datasets: str | None = None) -> pl.DataFrame:
    names = {"t": "train", "x": "test", "o": "ood"}
    return pl.DataFrame(
        {
            "query_id": [f"q{row}" for row in range(len(splits))],
            "text": [f"text {row}" for row in range(len(splits))],
            "dataset": list(datasets or "d" * len(splits)),
            "split": [names[split] for split in splits],
        }
    )


def test_train_means_by_hand():
    queries = questions("tttx", "aabb")
    scores = np.array([[1, 0], [0, NAN], [1, 0.5], [0, 0]])
    points = np.array([[1, 0], [1, 0], [0, 1]], np.float32)

    profile = build(queries, long_outcomes(["q0", "q1", "q2", "q3"], scores, None), points)

    np.testing.assert_allclose([2 / 3, 0.25], profile.train_micro)
    np.testing.assert_allclose([0.75, 0.25], profile.train_macro)
    assert ("a", "b") == profile.datasets.names
    np.testing.assert_allclose([[0.5, 0], [1, 0.5]], profile.datasets.scores)


def test_rows_of_other_splits_change_nothing():
    rng = np.random.default_rng(0)
    scores = rng.random((6, 2))
    points = rng.random((6, 3)).astype(np.float32)
    ids = [f"q{row}" for row in range(6)]
    queries = questions("txtoxt")

    whole = build(queries, long_outcomes(ids, scores, None), points[[0, 2, 5]])
    scores[[1, 3, 4]] = 0.0
    other = build(queries, long_outcomes(ids, scores, None), points[[0, 2, 5]])

    assert whole.profile_id == other.profile_id


def test_the_id_is_that_of_the_contents_not_of_the_moment_or_the_row_order():
    queries, points = questions("tt"), np.eye(2, dtype=np.float32)
    outcomes = long_outcomes(["q0", "q1"], np.array([[1, 0], [0, 1]]), None)
    later = datetime(2030, 1, 1, tzinfo=UTC)

    first = build(queries, outcomes, points)

    assert first.profile_id == build(queries, outcomes.reverse(), points).profile_id
    assert first.profile_id == build(queries, outcomes, points, created_at=later).profile_id
    assert first.profile_id != build(queries, outcomes, points, pool_fingerprint="p").profile_id
    changed = outcomes.with_columns(score=1 - pl.col("score"))
    assert first.profile_id != build(queries, changed, points).profile_id


def test_a_question_without_dataset_joins_one_nameless_dataset():
    queries = questions("tt").with_columns(dataset=pl.lit(None, pl.String))
    outcomes = long_outcomes(["q0", "q1"], np.ones((2, 2)), None)

    assert ("(none)",) == build(queries, outcomes, np.eye(2, dtype=np.float32)).datasets.names


def test_decimal_costs_and_error_types_of_the_warehouse_are_read():
    outcomes = pl.DataFrame(
        {
            "query_id": ["q0", "q1"],
            "model": ["m00", "m00"],
            "tool": ["none", "none"],
            "score": [1.0, None],
            "cost_usd": [Decimal("0.000000001"), None],
            "error_type": [None, "timeout"],
        },
        schema_overrides={"cost_usd": pl.Decimal(18, 9)},
    )

    found = outcome_matrices(["q1", "q0"], outcomes, pairs_of(2))

    assert [[True, False], [False, False]] == found.failed.tolist()
    assert [[True, False], [True, False]] == found.observed.tolist()
    np.testing.assert_allclose([[NAN, NAN], [1e-9, NAN]], found.costs_usd)


GOOD_QUERIES = questions("tt")
GOOD_OUTCOMES = long_outcomes(["q0", "q1"], np.ones((2, 2)), None)
POINTS = np.eye(2, dtype=np.float32)


@pytest.mark.parametrize(
    ("queries", "outcomes", "points", "message"),
    [
        pytest.param(
            questions("xo"), GOOD_OUTCOMES, POINTS, r"split 'train' \(found: ood, test",
            id="no-train",
        ),
        pytest.param(
            GOOD_QUERIES.drop("split"), GOOD_OUTCOMES, POINTS, r"lack the column\(s\) split",
            id="no-split",
        ),
        pytest.param(
            GOOD_QUERIES, GOOD_OUTCOMES.drop("score"), POINTS, r"lack the column\(s\) score",
            id="no-score-column",
        ),
        pytest.param(
            GOOD_QUERIES, GOOD_OUTCOMES, POINTS[:1], "1 embeddings for 2 training questions",
            id="embeddings-missing",
        ),
        pytest.param(
            GOOD_QUERIES,
            pl.concat([GOOD_OUTCOMES, GOOD_OUTCOMES[:1]]),
            POINTS,
            "query 'q0' has more than one outcome of 'm00@@none'",
            id="cell-twice",
        ),
        pytest.param(
            GOOD_QUERIES,
            GOOD_OUTCOMES.with_columns(score=pl.lit(1.5)),
            POINTS,
            r"query 'q0', 'm00@@none': score is 1.5, but must be a number in \[0, 1\]",
            id="score-out-of-range",
        ),
        pytest.param(
            GOOD_QUERIES,
            GOOD_OUTCOMES.with_columns(cost_usd=pl.lit(-0.1)),
            POINTS,
            "cost_usd is -0.1, but must be 0 or more",
            id="negative-cost",
        ),
        pytest.param(
            GOOD_QUERIES,
            GOOD_OUTCOMES.with_columns(score=pl.lit("good")),
            POINTS,
            "column 'score' must be numbers, not String",
            id="score-is-text",
        ),
        pytest.param(
            GOOD_QUERIES,
            GOOD_OUTCOMES.with_columns(query_id=pl.lit(7)),
            POINTS,
            "column 'query_id' must be text",
            id="id-is-a-number",
        ),
        pytest.param(
            GOOD_QUERIES,
            GOOD_OUTCOMES.with_columns(score=pl.lit(None, pl.Float64)),
            POINTS,
            "none of the 4 training outcomes has a score",
            id="nothing-scored",
        ),
        pytest.param(
            GOOD_QUERIES, GOOD_OUTCOMES[:0], POINTS, "no outcome belongs to a training question",
            id="no-outcomes",
        ),
        pytest.param(
            GOOD_QUERIES.with_columns(query_id=pl.lit("q0")),
            GOOD_OUTCOMES,
            POINTS,
            "query_id 'q0' names two questions",
            id="id-twice",
        ),
        pytest.param(
            GOOD_QUERIES, GOOD_OUTCOMES, POINTS * np.float32(NAN), "not finite", id="nan-embedding"
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_learnt_from_is_refused(queries, outcomes, points, message):
    with pytest.raises(ProfileError, match=message):
        build(queries, outcomes, points)


def test_a_profile_of_no_pairs_is_refused():
    with pytest.raises(ProfileError, match="there is no pair"):
        build(GOOD_QUERIES, GOOD_OUTCOMES, POINTS, pairs=())


def test_train_queries_keeps_the_order_of_the_file():
    assert ["q0", "q2", "q3"] == train_queries(questions("txttx")).get_column("query_id").to_list()


def test_clusters_say_what_they_are_about():
    profile = random_profile(k=4)

    assert {"aaaa", "bbbb", "cccc", "dddd"} == {terms[0] for terms in profile.top_terms}
    assert {("question",)} == {terms[1:] for terms in profile.top_terms}
    assert [3] * 4 == [len(ids) for ids in profile.example_query_ids]


def test_every_cluster_and_pair_is_a_row_of_the_table():
    profile = random_profile(pairs=3, k=4)

    frame = cluster_stats_frame(profile)

    assert 15 == len(frame)
    overall = frame.filter(pl.col("cluster_id") == -1)
    assert [p.pair_id for p in profile.pairs] == overall.get_column("pair_id").to_list()
    assert [200] * 3 == overall.get_column("n").to_list()
    assert pl.Decimal(18, 9) == frame.schema["cost_mean_usd"]
    assert overall.get_column("output_tokens_mean").null_count() == 3
    clusters = clusters_frame(profile)
    assert 200 == clusters.get_column("size").sum()
    assert {"corner"} == set(clusters.get_column("embedding_model"))
    assert {"1/float32"} == set(clusters.get_column("embedding_revision"))


def same(one: object, other: object) -> bool:
    if isinstance(one, np.ndarray) and isinstance(other, np.ndarray):
        return one.dtype == other.dtype and np.array_equal(
            one, other, equal_nan=one.dtype.kind == "f"
        )
    if isinstance(one, tuple) and hasattr(one, "_fields"):
        return all(same(mine, theirs) for mine, theirs in zip(one, other, strict=True))
    if hasattr(one, "to_parts") and hasattr(other, "to_parts"):
        return part_digest(*one.to_parts()) == part_digest(*other.to_parts())
    if hasattr(one, "__dataclass_fields__"):
        return all(same(getattr(one, f), getattr(other, f)) for f in one.__dataclass_fields__)
    return one == other


@pytest.mark.parametrize("keep_train", [True, False])
def test_a_saved_profile_comes_back_bit_for_bit(tmp_path, keep_train):
    profile = random_profile(keep_train=keep_train)

    folder = save_profile(profile, tmp_path / "profiles")

    assert profile.profile_id == folder.name
    assert same(profile, load_profile(folder))
    assert keep_train == (folder / "train.parquet").exists()
    assert [profile.profile_id] == [path.name for path in folder.parent.iterdir()]


def test_unknown_values_survive_the_file(tmp_path):
    outcomes = long_outcomes(["q0", "q1"], np.array([[1, NAN], [0, NAN]]), None)
    profile = build(GOOD_QUERIES, outcomes, POINTS)

    assert same(profile, load_profile(save_profile(profile, tmp_path)))


def test_saving_again_rewrites_nothing(tmp_path):
    profile = random_profile()
    folder = save_profile(profile, tmp_path)
    before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}

    again = save_profile(replace(profile, created_at=datetime(2031, 1, 1, tzinfo=UTC)), tmp_path)

    assert folder == again
    assert before == {path: path.stat().st_mtime_ns for path in folder.iterdir()}


def test_a_profile_published_meanwhile_by_another_process_is_kept(tmp_path, monkeypatch):
    profile = random_profile()
    ready = save_profile(profile, tmp_path / "other")
    rename = Path.rename

    def overtaken(self: Path, target: Path) -> Path:
        shutil.copytree(ready, target)
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", overtaken)
    folder = save_profile(profile, tmp_path / "here")

    assert same(profile, load_profile(folder))
    assert [folder] == list((tmp_path / "here").iterdir())


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")

    with pytest.raises(ProfileError, match="cannot write the profile to"):
        save_profile(random_profile(), tmp_path / "file")


def break_manifest(folder: Path, **changes: object) -> None:
    path = folder / "profile.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        pytest.param(shutil.rmtree, "there is no profile in", id="missing"),
        pytest.param(lambda f: (f / "profile.json").write_text("{"), "as JSON", id="torn-json"),
        pytest.param(lambda f: (f / "profile.json").write_text("[]"), "manifest", id="list-json"),
        pytest.param(lambda f: (f / "clusters.parquet").unlink(), "cannot be read", id="file-gone"),
        pytest.param(
            lambda f: (f / "cluster_stats.parquet").write_bytes(b""), "is damaged", id="file-empty"
        ),
        pytest.param(lambda f: break_manifest(f, format=99), "update atlas", id="newer-format"),
        pytest.param(lambda f: break_manifest(f, files={}), "does not name the files", id="files"),
        pytest.param(
            lambda f: break_manifest(f, files={"../x": "0"}), "does not name", id="path-outside"
        ),
        pytest.param(lambda f: break_manifest(f, pairs=[["a"]]), "not a whole profile", id="pairs"),
        pytest.param(
            lambda f: break_manifest(f, settings={"k": 1}), "not a whole profile", id="settings"
        ),
        pytest.param(
            lambda f: break_manifest(f, radius99=9.0), "contents are not those", id="tampered"
        ),
    ],
)
def test_a_damaged_profile_is_refused_with_what_to_do(tmp_path, damage, message):
    folder = save_profile(random_profile(), tmp_path)
    damage(folder)

    with pytest.raises(ProfileError, match=message):
        load_profile(folder)


def test_a_damaged_profile_is_never_silently_taken_for_the_one_to_save(tmp_path):
    profile = random_profile()
    (save_profile(profile, tmp_path) / "clusters.parquet").write_bytes(b"x")

    with pytest.raises(ProfileError, match="is damaged"):
        save_profile(profile, tmp_path)


def pool_of(*models: str):
    specs = {m: ModelSpec(m, "simulated", m, Prices(None, None)) for m in models}
    pairs = [Pair(m, "none") for m in models]
    return build_pool("shop", specs, {"none": ToolSpec("none", "none")}, pairs)


@pytest.mark.parametrize(
    ("models", "encoder", "message"),
    [
        pytest.param(
            ("m00", "m01", "x"), "corner@1/float32", r"has new pairs \(x@@none\)", id="new"
        ),
        pytest.param(("m00",), "corner@1/float32", r"lacks pairs \(m01@@none\)", id="gone"),
        pytest.param(("m00", "m01"), "corner@1/float32", "has the same pairs, but", id="price"),
        pytest.param(("m00", "m01"), "other@2", "encoder is 'other@2', but", id="encoder"),
    ],
)
def test_a_profile_of_another_pool_or_encoder_says_which(models, encoder, message):
    with pytest.raises(ProfileError, match=message):
        check_compatible(random_profile(pairs=2), pool_of(*models), encoder)


def test_a_profile_of_this_pool_and_encoder_is_accepted():
    pool = pool_of("m00", "m01")
    profile = replace(random_profile(pairs=2), pool_fingerprint=pool.fingerprint)

    assert check_compatible(profile, pool, "corner@1/float32") is None
