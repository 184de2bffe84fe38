"""An imported table routes: the published profile and its pool file replay what was recorded."""

from __future__ import annotations

import asyncio
import json

import polars as pl
import pytest

from profiles.pool_file import load_pool
from profiles.profile import check_compatible
from tasks.call.recorded import RecordedTableError
from tasks.evaluate.importing import import_profile, replay_rows
from tasks.evaluate.table import read_table
from tasks.profiling.store import find_profile
from tasks.query import content_hash
from tasks.route import RouteJob, prepare, route
from warehouse.query import answers


class _Silence:
    def start(self, total, already_done, max_cost): ...
    def advance(self, rows, cost_usd): ...
    def note(self, text): ...
    def finish(self): ...


def _import(folder, root, **settings):
    return import_profile(folder, root, encoder="hashing", clusters=2, **settings)


def test_an_imported_profile_is_the_latest_and_fits_its_pool_file(table_folder, tmp_path):
    imported = _import(table_folder, tmp_path / "root")

    profile = find_profile(tmp_path / "root")
    assert imported.profile.profile_id == profile.profile_id
    check_compatible(profile, load_pool(imported.pool_file), profile.encoder_fingerprint)
    assert 2 == profile.k
    assert {"birds", "sums"} == set(profile.datasets.names)


def test_importing_again_gives_the_same_files(table_folder, tmp_path):
    first, second = (_import(table_folder, tmp_path / "root") for _ in range(2))

    assert (first.profile.profile_id, first.pool_file) == (
        second.profile.profile_id,
        second.pool_file,
    )
    assert 2 == len(list(first.pool_file.parent.iterdir()))


def test_a_backlog_of_recorded_questions_is_answered_from_the_table(table_folder, tmp_path):
    imported = _import(table_folder, tmp_path / "root")
    backlog = tmp_path / "backlog.jsonl"
    rows = read_table(table_folder).rows("test").select("query_id", "text").iter_rows()
    backlog.write_text(
        "".join(json.dumps({"custom_id": one, "prompt": text}) + "\n" for one, text in rows)
    )
    job = RouteJob(
        backlog=str(backlog),
        pool=imported.pool_file,
        root=tmp_path / "root",
        router="cluster-plain",
        encoder="hashing",
        name="replay",
    )

    report = asyncio.run(route(prepare(job, env={}), env={}, progress=_Silence()))

    found = answers(tmp_path / "root", "replay").collect()
    assert ("complete", 8) == (report.state, report.counts.answered)
    birds = found.filter(pl.col("custom_id").str.starts_with("birds"))
    assert {"big@@none"} == set(birds.get_column("pair_id"))
    assert {"big says"} == set(birds.get_column("answer"))


def test_the_first_question_of_a_text_speaks_for_it(make_table):
    def repeat(rows):
        rows[8]["text"] = rows[9]["text"]

    table = read_table(make_table(repeat))
    replayed = replay_rows(table)

    text = table.queries.filter(pl.col("query_id") == "sums-9").item(0, "text")
    by_text = replayed.filter(pl.col("query_id") == content_hash(text))
    first = table.outcomes.filter(pl.col("query_id") == "sums-8")
    assert first.drop("query_id").rows() == by_text.drop("query_id").rows()
    assert replayed.height == replayed.select("query_id", "model", "tool").n_unique()
    assert {"sums-8", "sums-9"} <= set(replayed.get_column("query_id"))


def test_an_unusable_table_publishes_nothing(make_table, tmp_path):
    folder = make_table(lambda rows: [row | {"split": "test"} for row in rows])

    with pytest.raises(RecordedTableError):
        _import(folder, tmp_path / "root")

    assert not (tmp_path / "root").exists()
