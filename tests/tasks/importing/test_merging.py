"""Logs of several kinds together: questions line up, splits stay put, cells are averaged."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.importing import LogError, read_logs, read_options, save_table
from tasks.importing.observations import Observations, settle
from tasks.importing.questions import Questions, drawn_split
from tasks.importing.record import Call, Evidence, Question
from tasks.query import content_hash
from tests.tasks.importing.made_logs import (
    batch_request,
    batch_response,
    inspect_eval,
    inspect_header,
    inspect_sample,
    lines,
    lm_eval,
    lm_sample,
    spend,
)

TEXT = "What is 1+1?"


def question(text="q", **known):
    """A question of which only this is known."""
    empty = {"context": "", "dataset": None, "split": None, "reference": None, "custom_id": None}
    fields = {"query_id": content_hash(text), "text": text, "grader": "unknown"} | empty | known
    return Question(**fields)


def test_four_kinds_of_logs_line_up_on_one_question(tmp_path):
    lm_eval(tmp_path, "sums", "a", [lm_sample(0, {"question": TEXT}, target="2", acc=1.0)])
    inspect_eval(tmp_path / "b.eval", inspect_header("b"), [inspect_sample(1, TEXT, model="b")])
    lines(tmp_path / "in.jsonl", [batch_request("x", TEXT, model="c")])
    lines(tmp_path / "out.jsonl", [batch_response("x", "2", model="c")])
    lines(tmp_path / "spend.jsonl", [spend(1, f" {TEXT} ", model="d")])
    lines(tmp_path / "rows.jsonl", [{"prompt": TEXT, "model": "e", "score": 0}])

    imported = read_logs([tmp_path])

    assert 1 == imported.queries.height
    assert [
        ("a", 1.0, "lm-eval"),
        ("b", 1.0, "inspect"),
        ("c", None, "openai-batch"),
        ("d", None, "litellm"),
        ("e", 0.0, "columns"),
    ] == imported.outcomes.select("model", "score", "source").rows()


def test_a_spend_log_prices_the_pairs_of_a_graded_log(tmp_path):
    lm_eval(tmp_path, "sums", "small", [lm_sample(0, {"question": TEXT}, acc=1.0)])
    lines(tmp_path / "spend.jsonl", [spend(1, TEXT), spend(2, "Another?")])

    imported = read_logs([tmp_path])

    texts = imported.queries.select("query_id", "text")
    found = imported.outcomes.join(texts, on="query_id").sort("text")
    assert [
        ("Another?", None, 0.001, 1),
        (TEXT, 1.0, 0.001, 2),
    ] == found.select("text", "score", "cost_usd", "repeats").rows()


def test_pairs_of_which_no_cost_is_known_are_named(tmp_path):
    rows = [
        {"prompt": "q", "model": "a", "score": 1, "cost": 0},
        {"prompt": "q", "model": "b", "score": 1},
        {"prompt": "q", "model": "c", "cost": 1},
    ]
    said = read_logs([lines(tmp_path / "a.jsonl", rows)]).warnings

    assert [True] == ["1 (b@@none)" in one for one in said if "without any known cost" in one]


def test_a_table_comes_back_from_its_folder_as_it_went(tmp_path):
    rows = [
        {"prompt": f"q{n}", "model": model, "tool": "t", "score": n / 8, "cost": 0.5, "answer": "x",
         "duration_s": 2.0, "dataset": "d", "split": "train", "reference": "r", "grader": "exact",
         "context": "c" if n else ""}
        for n in range(8) for model in "ab"
    ]  # fmt: skip
    first = read_logs([lines(tmp_path / "a.jsonl", rows)])
    save_table(first, tmp_path / "table")

    again = read_logs([tmp_path / "table"])

    assert first.queries.sort("query_id").equals(again.queries.sort("query_id"))
    assert first.outcomes.drop("source").equals(again.outcomes.drop("source"))


def test_a_table_keeps_its_ids_only_where_a_text_has_several(tmp_path):
    queries = [("i", "same"), ("j", "same"), ("k", "own")]
    (tmp_path / "t").mkdir()
    pl.DataFrame(
        [(one, text, "d", "train") for one, text in queries],
        schema=["query_id", "text", "dataset", "split"],
        orient="row",
    ).write_parquet(tmp_path / "t" / "queries.parquet")
    pl.DataFrame(
        [(one, "m", "none", 1.0) for one, _ in queries] + [("z", "m", "none", 1.0)],
        schema=["query_id", "model", "tool", "score"],
        orient="row",
    ).write_parquet(tmp_path / "t" / "outcomes.parquet")

    imported = read_logs([tmp_path / "t"])

    assert {"i", "j", content_hash("own")} == set(imported.queries.get_column("query_id"))
    assert ["query_id"] == [bad.field for bad in imported.problems]
    assert any("stands under several ids: 2" in said for said in imported.warnings)


def test_what_logs_disagree_on_is_settled_and_said():
    known = Questions()
    for log in (
        question(dataset="a", split="test", reference="1"),
        question(dataset="b", split="train", reference="2"),
        question(reference="1"),
    ):
        known.add(log)

    (row,) = known.frame({content_hash("q")}, "x").rows(named=True)

    assert ("a", "train", None, "unknown") == tuple(
        row[name] for name in ("dataset", "split", "reference", "grader")
    )
    assert 3 == len(known.sentences())


def test_a_question_without_any_score_teaches_and_is_never_tested():
    held_out = next(f"q{n}" for n in range(99) if drawn_split(f"q{n}") == "test")
    known = Questions()
    known.add(question(held_out))

    assert ["train"] == known.frame(set(), "x").get_column("split").to_list()
    assert ["test"] == known.frame({content_hash(held_out)}, "x").get_column("split").to_list()


def test_a_split_follows_the_text_alone_and_seven_in_ten_train():
    drawn = [drawn_split(f"question {n}") for n in range(2000)]

    assert drawn_split("Why?") == drawn_split("  Why? ")
    assert drawn == [drawn_split(f"question {n}") for n in range(2000)]
    assert 0.66 < drawn.count("train") / len(drawn) < 0.74


def test_another_log_moves_no_question_to_the_other_side(tmp_path):
    rows = [{"prompt": f"q{n}", "model": "m", "score": 1} for n in range(40)]
    one = lines(tmp_path / "one.jsonl", rows[:20])
    two = lines(tmp_path / "two.jsonl", rows[10:])

    alone, both = (
        dict(read_logs(paths).queries.select("text", "split").iter_rows())
        for paths in ([one], [two, one])
    )

    assert alone.items() <= both.items()
    assert {"train", "test"} == set(alone.values())


@pytest.mark.parametrize(
    ("rule", "wanted"), [("auto", {"ood"}), ("test", {"test"}), ("hash", {"train", "test"})]
)
def test_the_rule_of_splits_can_be_chosen(tmp_path, rule, wanted):
    rows = [{"prompt": f"q{n}", "model": "m", "score": 1, "split": "ood"} for n in range(20)]
    path = lines(tmp_path / "a.jsonl", rows)

    found = read_logs([path], read_options(split=rule)).queries.get_column("split")

    assert wanted == set(found)


def test_held_out_questions_that_lack_a_pair_are_left_out_of_a_table(tmp_path):
    rows = [
        {"prompt": text, "model": model, "score": 1, "split": split}
        for text, split, models in (("a", "train", "m"), ("b", "test", "m"), ("c", "test", "mn"))
        for model in models
    ]
    saved = save_table(read_logs([lines(tmp_path / "a.jsonl", rows)]), tmp_path / "t")

    left = pl.read_parquet(tmp_path / "t" / "queries.parquet").get_column("text").to_list()
    assert (["a", "c"], 1, 3) == (left, saved.left_out, saved.outcomes)


def test_nothing_but_contradictions_is_refused(tmp_path):
    rows = [{"prompt": "q", "model": "m", "score": score} for score in (0, 1)]

    with pytest.raises(LogError, match="all 2 contradict another"):
        read_logs([lines(tmp_path / "a.jsonl", rows)])


OBSERVED = st.tuples(
    st.sampled_from("pq"),
    st.sampled_from("ab"),
    st.integers(0, 3),
    st.one_of(st.none(), st.sampled_from([0.0, 0.25, 0.5, 1.0])),
    st.booleans(),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(OBSERVED, min_size=1, max_size=30), st.randoms(use_true_random=False))
def test_cells_are_means_of_what_does_not_contradict_itself_in_any_order(rows, random):
    def cells(of):
        gathered = Observations()
        for text, model, number, score, failed in of:
            gathered.add(
                Evidence(
                    question(text),
                    Call(model, "none", None, None, None, None, "error" if failed else None),
                    str(number),
                    None if failed else score,
                    None,
                ),
                "columns",
                "file",
                1,
            )
        return settle(gathered.frame())

    found = cells(rows)

    said: dict[tuple, set] = {}
    for text, model, number, score, failed in rows:
        said.setdefault((text, model, number), set()).add((None if failed else score, failed))
    wanted: dict[tuple, list] = {}
    for (text, model, _), values in said.items():
        if len(values) == 1:
            wanted.setdefault((content_hash(text), model), []).extend(values)
    assert wanted.keys() == {row[:2] for row in found.outcomes.select("query_id", "model").rows()}
    for row in found.outcomes.rows(named=True):
        values = wanted[row["query_id"], row["model"]]
        scores = [score for score, _ in values if score is not None]
        assert (len(values), len(scores)) == (row["repeats"], row["scored"])
        assert sum(failed for _, failed in values) == row["failures"]
        assert all(failed for _, failed in values) == (row["error_type"] is not None)
        mean = sum(scores) / len(scores) if scores else None
        assert (pytest.approx(mean) if scores else None) == row["score"]
    shuffled = list(rows)
    random.shuffle(shuffled)
    assert found.outcomes.equals(cells(shuffled).outcomes)
