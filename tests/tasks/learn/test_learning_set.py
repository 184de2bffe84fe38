"""What policies learn from: recorded answers as keys, held-out questions with every cell."""

from __future__ import annotations

import asyncio
import json
import math
import shutil

import numpy as np
import polars as pl
import pytest

from profiles.errors import ProfileError
from tasks.embedder import cached_embedder
from tasks.evaluate.importing import import_profile
from tasks.learn.learning_set import data_hash, held_out, training_keys
from tasks.profiling.cells_kept import keep_cells, kept_cells
from tasks.profiling.planning import ProfileJob, plan_profile
from tasks.profiling.profile import run_profile
from tasks.profiling.store import find_profile

POOL = """
name: three
models:
  maybe: {provider: scripted, parameters: {answer: "I do not know"}}
  no: {provider: scripted, parameters: {answer: "no"}, prices: {input_usd: 1, output_usd: 1}}
  yes: {provider: scripted, parameters: {answer: "yes"}, prices: {input_usd: 1, output_usd: 2}}
"""
TRAIN, TEST = 12, 8


class _Silence:
    def start(self, total, already_done, max_cost): ...
    def advance(self, rows, cost_usd): ...
    def note(self, text): ...
    def finish(self): ...


def _questions(path):
    rows = [
        {
            "prompt": f"is {number} {'even' if number % 2 else 'odd'} or what",
            "dataset": "odd" if number % 2 else "even",
            "split": "train" if number < TRAIN else "test",
            "reference": "yes" if number % 2 else "no",
            "grader": "exact",
        }
        for number in range(TRAIN + TEST)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


@pytest.fixture(scope="module")
def profiled(tmp_path_factory):
    """A root with a profile of three scripted pairs, of which one declines."""
    folder = tmp_path_factory.mktemp("profiled")
    _questions(folder / "questions.jsonl")
    (folder / "pool.yaml").write_text(POOL)
    root = folder / "root"
    job = ProfileJob(
        questions=str(folder / "questions.jsonl"),
        pool=folder / "pool.yaml",
        root=root,
        clusters=2,
        encoder="hashing",
        allow_unpriced=True,
    )
    planned = plan_profile(job, env={})
    embedder = cached_embedder(root, "hashing")
    report = asyncio.run(
        run_profile(planned, env={}, embedder=lambda: embedder, progress=_Silence())
    )
    embedder.close()
    assert report.profile is not None
    (folder / "questions.jsonl").unlink()  # what was asked is kept
    return root, report.profile


def test_answers_of_a_profiling_run_become_keys_of_its_training_rows(profiled):
    root, profile = profiled
    keys = training_keys(root, profile)

    assert keys.shape == (TRAIN, 3)
    column = {pair.model: number for number, pair in enumerate(profile.pairs)}
    assert (keys[:, column["maybe"]] == -1).all()
    assert (keys[:, column["no"]] != keys[:, column["yes"]]).all()
    assert (keys[:, [column["no"], column["yes"]]] >= 0).all()


def test_held_out_questions_come_with_every_cell(profiled):
    root, profile = profiled
    held = held_out(root, profile)

    assert len(held.query_ids) == len(set(held.query_ids)) == TEST
    assert held.texts[0] == f"is {TRAIN} odd or what"
    assert held.datasets[:2] == ("even", "odd")
    column = {pair.model: number for number, pair in enumerate(profile.pairs)}
    odd = np.array([name == "odd" for name in held.datasets])
    assert held.scores[:, column["yes"]].tolist() == odd.astype(float).tolist()
    assert held.scores[:, column["no"]].tolist() == (~odd).astype(float).tolist()
    assert (held.costs_usd[:, column["yes"]] > 0).all()
    assert np.isnan(held.costs_usd[:, column["maybe"]]).all()
    assert held.embeddings.shape == (TEST, profile.clusters.centroids.shape[1])
    nearest = np.linalg.norm(
        held.embeddings[:, None] - profile.clusters.centroids[None], axis=2
    ).min(axis=1)
    assert held.distances == pytest.approx(nearest, abs=1e-5)
    assert not set(held.query_ids) & set(profile.train.query_ids)


def test_a_cell_that_was_never_run_is_missing_and_not_wrong(profiled, tmp_path):
    root, profile = profiled
    copied = tmp_path / "root"
    shutil.copytree(root, copied)
    held = held_out(root, profile)
    gone = held.query_ids[0], profile.pairs[1].pair_id
    cells = kept_cells(root, profile.profile_id)
    keep_cells(
        copied,
        profile.profile_id,
        cells.filter(~((pl.col("query_id") == gone[0]) & (pl.col("pair_id") == gone[1]))),
    )
    again = held_out(copied, profile)

    assert again.query_ids == held.query_ids
    assert math.isnan(again.scores[0, 1])
    assert math.isnan(again.costs_usd[0, 1])
    assert again.keys[0, 1] == -1
    again.scores[0, 1] = held.scores[0, 1]
    np.testing.assert_equal(again.scores, held.scores)


def _table(folder, answers=True):
    queries = pl.DataFrame(
        {
            "query_id": [f"q{n}" for n in range(40)],
            "text": [f"what is {n} and {n % 5}" for n in range(40)],
            "dataset": ["sums"] * 40,
            "split": ["train" if n < 32 else "test" for n in range(40)],
            "grader": ["numeric"] * 40,
        }
    )
    rows = [
        {
            "query_id": f"q{n}",
            "model": model,
            "tool": "none",
            "score": None if (n, model) == (3, "b") else float(right),
            "cost_usd": 0.5 if model == "b" else None,
            "input_tokens": 5,
            "output_tokens": 5,
            "answer": said,
            "source": "recorded",
        }
        for n in range(40)
        for model, right, said in (
            ("a", n % 3 > 0, f"Answer: {n}" if answers and n != 5 else None),
            ("b", n % 2 > 0, f"it is {n}.0" if answers else None),
        )
    ]
    folder.mkdir()
    queries.write_parquet(folder / "queries.parquet")
    pl.DataFrame(rows, schema_overrides={"input_tokens": pl.Int32, "output_tokens": pl.Int32,
                                         "score": pl.Float32}).write_parquet(
        folder / "outcomes.parquet"
    )  # fmt: skip
    return folder


def test_an_imported_table_is_learnt_from_by_its_graders(tmp_path):
    root = tmp_path / "root"
    import_profile(_table(tmp_path / "table"), root, clusters=2, encoder="hashing")
    profile = find_profile(root)
    keys = training_keys(root, profile)

    agree = keys[:, 0] == keys[:, 1]
    # Question 5 of pair a was scored, and nobody knows what it said: it agrees with nobody.
    assert np.flatnonzero(~agree).tolist() == [5]
    assert keys[5, 0] >= 0
    assert held_out(root, profile).query_ids == tuple(f"q{n}" for n in range(32, 40))


def test_a_table_without_answers_teaches_no_policy(tmp_path):
    root = tmp_path / "root"
    import_profile(_table(tmp_path / "table", answers=False), root, clusters=2, encoder="hashing")
    profile = find_profile(root)

    with pytest.raises(ProfileError, match=r"none of the answers .* can be compared"):
        training_keys(root, profile)


def test_a_profile_whose_cells_were_not_kept_says_what_to_do(profiled, tmp_path):
    root, profile = profiled
    with pytest.raises(ProfileError, match=r"were not kept.*atlas profile run QUESTIONS"):
        training_keys(tmp_path, profile)
    copied = tmp_path / "root"
    shutil.copytree(root / "profiles" / "cells", copied / "profiles" / "cells")
    path = copied / "profiles" / "cells" / f"{profile.profile_id}.parquet"
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(ProfileError, match=r"cannot be read .*remove it and run"):
        held_out(copied, profile)


def test_a_data_hash_depends_on_questions_and_values():
    one = data_hash(("a", "b"), np.array([1.0, 2.0]))

    assert one == data_hash(("a", "b"), np.array([1.0, 2.0]))
    assert len({one, data_hash(("b", "a"), np.array([1.0, 2.0])),
                data_hash(("a", "b"), np.array([1.0, 3.0])),
                data_hash(("a", "b"), np.array([[1.0], [2.0]]))}) == 4  # fmt: skip
