"""A table is refused with a sentence, or it is used."""

from __future__ import annotations

import polars as pl
import pytest

from profiles.pool import Pair
from tasks.call.recorded import RecordedTableError
from tasks.evaluate.table import pool_name, read_table, recorded_pool


def _set(place, **values):
    def change(rows):
        rows[place].update(values)

    return change


def _keep(wanted):
    return lambda rows: [row for row in rows if wanted(row)]


def test_table_is_read_with_its_pairs_in_pair_order(table_folder):
    table = read_table(table_folder)

    assert (Pair("big", "none"), Pair("big", "python"), Pair("small", "none")) == table.pairs
    assert ("test", "ood") == table.held_out
    assert 16 == len(table.rows("train"))
    assert "tiny" == table.name


def test_backlog_keeps_ids_of_questions_whose_texts_repeat(make_table):
    folder = make_table(_set(9, text="add the numbers 8 and 64 and give their sum"))

    backlog = list(read_table(folder).backlog("test"))

    assert 8 == len(backlog)
    assert [query.query_id for query in backlog] == [query.custom_id for query in backlog]
    assert {"recorded"} == {query.reference.grader for query in backlog}


def test_a_table_without_ood_rows_has_one_split_to_route(make_table):
    folder = make_table(
        _keep(lambda row: row["split"] != "ood"),
        _keep(lambda row: int(row["query_id"].split("-")[1]) < 12),
    )

    assert ("test",) == read_table(folder).held_out


def test_recorded_pool_has_the_tables_pairs_and_no_price(table_folder):
    pool = recorded_pool(read_table(table_folder))

    assert ["big@@none", "big@@python", "small@@none"] == [pair.pair_id for pair in pool.pairs]
    assert {"recorded"} == {spec.provider for spec in pool.models.values()}
    assert {"none": "none", "python": "recorded"} == {k: t.kind for k, t in pool.tools.items()}
    assert not any(spec.prices.known for spec in pool.models.values())


@pytest.mark.parametrize(
    ("name", "expected"),
    [("route-llm", "route-llm"), ("my table!", "my-table-"), ("Ünï", "-n-"), ("…", "recorded")],
)
def test_pool_name_is_what_a_pool_file_accepts(name, expected):
    assert expected == pool_name(name)


@pytest.mark.parametrize(
    ("queries", "answers", "drop", "words"),
    [
        pytest.param(None, None, ("queries.split",), ["queries.parquet", "'split' is missing"],
                     id="missing query column"),
        pytest.param(None, None, ("outcomes.score",), ["outcomes.parquet", "'score' is missing"],
                     id="missing outcome column"),
        pytest.param(_set(3, query_id="sums-0"), None, (), ["'sums-0'", "more than one row"],
                     id="duplicate query_id"),
        pytest.param(_set(5, split="dev"), None, (), ["'dev'", "train, test, ood"],
                     id="unknown split"),
        pytest.param(_set(4, text=None), None, (), ["'text'", "1 empty cells", "row 5"],
                     id="empty text"),
        pytest.param(_set(2, dataset=None), None, (), ["'dataset'", "row 3"], id="empty dataset"),
        pytest.param(_keep(lambda row: row["split"] != "train"),
                     _keep(lambda row: int(row["query_id"].split("-")[1]) >= 8), (),
                     ["no row has split 'train'"], id="no train rows"),
        pytest.param(_keep(lambda row: row["split"] != "test"),
                     _keep(lambda row: int(row["query_id"].split("-")[1]) not in range(8, 12)), (),
                     ["no row has split 'test'"], id="no test rows"),
        pytest.param(None, _set(0, query_id="nobody"), (), ["'nobody'", "not among the labelled"],
                     id="outcome of an unknown question"),
        pytest.param(None, _set(1, tool="none"), (), ["more than once", "'sums-0'"],
                     id="cell given twice"),
        pytest.param(None, _set(0, score=1.5), (), ["'score'", "outside [0, 1]", "row 1"],
                     id="score out of range"),
        pytest.param(None, _set(7, cost_usd=-1.0), (), ["'cost_usd'", "negative", "row 8"],
                     id="negative cost"),
        pytest.param(None, _set(7, cost_usd=2e10), (), ["'cost_usd'", "1,000,000 dollars", "row 8"],
                     id="cost beyond any price"),
        pytest.param(None, _set(4, model="a@@b"), (), ["'model'", "'a@@b' in row 5", "'@@'"],
                     id="model whose name would be another pair's"),
        pytest.param(None, _set(5, tool=""), (), ["'tool'", "'' in row 6"], id="empty tool name"),
        pytest.param(None, _set(6, tool=None), (), ["'tool'", "1 empty cells", "row 7"],
                     id="outcome of no tool"),
        pytest.param(None, lambda rows: [row | {"score": None} for row in rows], (),
                     ["none of the 48 outcomes of split 'train' has a score"], id="no score"),
        pytest.param(None, _keep(lambda row: int(row["query_id"].split("-")[1]) >= 8), (),
                     ["no outcome belongs to a question of split 'train'"], id="no train outcome"),
        pytest.param(lambda rows: rows[:0], None, (), ["queries.parquet", "no rows"],
                     id="no questions"),
        pytest.param(None, lambda rows: rows[:0], (), ["outcomes.parquet", "no rows"],
                     id="no outcomes"),
    ],
)  # fmt: skip
def test_unusable_tables_are_refused_naming_file_and_row(make_table, queries, answers, drop, words):
    unchanged = lambda _rows: None  # noqa: E731
    folder = make_table(queries or unchanged, answers or unchanged, drop=drop)

    with pytest.raises(RecordedTableError) as refused:
        read_table(folder)

    assert all(word in str(refused.value) for word in words), str(refused.value)
    assert str(folder) in str(refused.value)


def test_a_column_of_the_wrong_type_is_named(table_folder):
    path = table_folder / "queries.parquet"
    pl.read_parquet(path).with_columns(text=pl.lit(3)).write_parquet(path)

    with pytest.raises(RecordedTableError, match="'text' holds Int32, not text"):
        read_table(table_folder)


def test_categorical_columns_are_text(table_folder):
    path = table_folder / "queries.parquet"
    kinds = pl.col("dataset", "split").cast(pl.Categorical)
    pl.read_parquet(path).with_columns(kinds).write_parquet(path)

    assert 16 == len(read_table(table_folder).rows("train"))


@pytest.mark.parametrize("name", ["queries.parquet", "outcomes.parquet"])
def test_a_missing_file_is_named(table_folder, name):
    (table_folder / name).unlink()

    with pytest.raises(RecordedTableError, match=f"{name} is missing"):
        read_table(table_folder)


@pytest.mark.parametrize("content", [b"", b"not parquet at all", b"PAR1" + bytes(40)])
def test_a_file_that_is_no_parquet_is_named(table_folder, content):
    (table_folder / "queries.parquet").write_bytes(content)

    with pytest.raises(RecordedTableError, match=r"queries\.parquet cannot be read as Parquet"):
        read_table(table_folder)


def test_a_folder_in_a_files_place_is_named(table_folder):
    (table_folder / "queries.parquet").unlink()
    (table_folder / "queries.parquet").mkdir()

    with pytest.raises(RecordedTableError, match=r"queries\.parquet is a folder; it must be one"):
        read_table(table_folder)


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(RecordedTableError, match=r"there is no folder .*nowhere"):
        read_table(tmp_path / "nowhere")


def test_every_problem_of_a_file_is_listed_at_once(make_table):
    def spoil(rows):
        rows[0]["text"] = None
        rows[1]["query_id"] = rows[2]["query_id"]
        rows[3]["split"] = "dev"

    with pytest.raises(RecordedTableError) as refused:
        read_table(make_table(spoil))

    assert 3 == str(refused.value).count("\n  - ")
