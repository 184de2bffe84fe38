"""The generated benchmark: same seed same bytes, distinct texts, right shape."""

import json
from collections import Counter
from itertools import islice

import polars as pl
import pytest

from tasks.generate import write_backlog_of, write_benchmark
from tasks.generate.benchmark import KINDS, questions
from tasks.grade.base import GRADERS
from tasks.query import content_hash


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("benchmark")
    return write_benchmark(folder, seed=3, labelled=180, backlog=220)


def _backlog(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_the_same_seed_writes_the_same_bytes(written, tmp_path):
    again = write_benchmark(tmp_path, seed=3, labelled=180, backlog=220)

    assert written.labelled.read_bytes() == again.labelled.read_bytes()
    assert written.backlog.read_bytes() == again.backlog.read_bytes()
    assert sorted(one.name for one in written.corpus.iterdir()) == sorted(
        one.name for one in again.corpus.iterdir()
    )
    assert all(
        one.read_bytes() == (again.corpus / one.name).read_bytes()
        for one in written.corpus.iterdir()
    )


def test_another_seed_asks_other_questions():
    first = {item.text for item in islice(questions(1), 200)}
    second = {item.text for item in islice(questions(2), 200)}

    assert set() == first & second


def test_the_labelled_set_has_the_declared_columns_and_split(written):
    rows = pl.read_parquet(written.labelled)

    assert ["query_id", "text", "dataset", "split", "reference", "grader"] == rows.columns
    assert 180 == rows.height
    assert 0 == sum(rows.null_count().row(0))
    assert {"train": 108, "test": 72} == dict(Counter(rows["split"]))


def test_every_kind_is_split_sixty_to_forty(written):
    rows = pl.read_parquet(written.labelled)
    shares = rows.group_by("dataset").agg((pl.col("split") == "train").mean())

    assert len(KINDS) == shares.height
    assert [0.6] * len(KINDS) == [round(share, 6) for share in shares["split"]]


def test_train_test_and_backlog_share_no_text(written):
    rows = pl.read_parquet(written.labelled)
    prompts = [row["prompt"] for row in _backlog(written.backlog)]

    assert rows.height + len(prompts) == len({*rows["text"], *prompts})


def test_query_ids_are_content_hashes(written):
    rows = pl.read_parquet(written.labelled)

    assert [content_hash(text) for text in rows["text"]] == rows["query_id"].to_list()


def test_the_backlog_is_plain_json_lines_with_unique_ids_and_labels(written):
    rows = _backlog(written.backlog)

    assert 220 == len({row["custom_id"] for row in rows})
    assert {"custom_id", "prompt", "dataset", "reference", "grader"} == {
        key for row in rows for key in row
    }


def test_only_known_graders_are_named(written):
    assert set() == {row["grader"] for row in _backlog(written.backlog)} - set(GRADERS)


def test_the_corpus_has_hundreds_of_texts_and_every_file_is_readable(written):
    from tasks.tools.corpus import load_index

    assert 300 <= written.passages <= 600
    assert 300 <= len(load_index(written.corpus).passages) <= 600


def test_the_pool_beside_it_loads_and_finds_the_corpus(written):
    from profiles.pool_file import load_pool

    pool = load_pool(written.pool)
    corpora = [tool.parameters["corpus"] for tool in pool.tools.values() if tool.kind == "search"]

    assert [written.corpus] == [written.pool.parent / corpus for corpus in corpora]


def test_the_environment_example_holds_no_secret(written):
    lines = written.environment.read_text(encoding="utf-8").splitlines()

    assert [] == [line for line in lines if line and not line.startswith("#")]


def test_a_backlog_of_any_length_is_the_same_stream(tmp_path):
    write_backlog_of(tmp_path / "short.jsonl", 40, seed=9)
    write_backlog_of(tmp_path / "long.jsonl", 90, seed=9)

    assert _backlog(tmp_path / "short.jsonl") == _backlog(tmp_path / "long.jsonl")[:40]


def test_negative_numbers_of_rows_are_refused(tmp_path):
    with pytest.raises(ValueError, match="cannot be negative"):
        write_benchmark(tmp_path, seed=0, labelled=-1)


def test_wording_varies_within_a_kind():
    opening = {kind: set() for kind in KINDS}
    for item in islice(questions(4), 900):
        opening[item.dataset].add(" ".join(item.text.split()[:7]))

    assert [] == [kind for kind, starts in opening.items() if len(starts) < 60]


def test_kinds_share_their_dressing():
    words = {kind: set() for kind in KINDS}
    for item in islice(questions(4), 900):
        words[item.dataset] |= set(item.text.split())
    shared = set.intersection(*words.values())

    assert len(shared) > 60
