"""`atlas profile import` on the real command line: data on standard output, sentences on error."""

from __future__ import annotations

import json

import polars as pl
import pytest

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

TOPICS = ("Which green birds sing at night in the forest", "Add up these long sums by hand")
TEXTS = [f"{topic}, {n}?" for topic in TOPICS for n in range(20)]


@pytest.fixture
def logs(atlas):
    """Two models on forty questions: `a` by lm-eval, `b` by Inspect; each knows one topic."""
    samples = [
        lm_sample(n, {"question": text}, exact_match=float("birds" in text))
        for n, text in enumerate(TEXTS)
    ]
    lm_eval(atlas.folder / "logs", "topics", "org/a", samples)
    other = [
        inspect_sample(n, text, model="b", score="I" if "birds" in text else "C")
        for n, text in enumerate(TEXTS)
    ]
    inspect_eval(atlas.folder / "logs" / "b.eval", inspect_header("b"), other, compression="zstd")
    return "logs"


def shown(atlas):
    """Overall statistics of the latest profile, by pair."""
    rows = atlas("profile", "show", "--json").json()["statistics"]
    return {row["pair_id"]: row for row in rows if row["cluster"] is None}


def test_logs_of_two_harnesses_become_one_profile_that_routes(atlas, logs):
    result = atlas("profile", "import", logs, "--clusters", 2, "--json")

    assert 0 == result.code, result.err
    summary = result.json()
    assert (80, 0, 40, 80) == tuple(
        summary[name] for name in ("rows", "bad_rows", "questions", "scored")
    )
    assert ["org/a", "b"] == [pair["model"] for pair in summary["pairs"]][::-1]
    assert {"b@@none", "org/a@@none"} == set(shown(atlas))
    assert "next: atlas route BACKLOG --pool" in result.err

    lines(atlas.folder / "backlog.jsonl", [{"prompt": text} for text in TEXTS[:20]])
    routed = atlas("route", "backlog.jsonl", "--pool", summary["pool"], "--router", "cluster",
                   "--name", "replay")  # fmt: skip
    assert 0 == routed.code, routed.err
    answers = pl.read_parquet(atlas.folder / "warehouse/data/answers/run_id=replay/*.parquet")
    assert {"org/a@@none"} == set(answers.get_column("pair_id"))


def test_the_same_import_gives_the_same_profile_and_files(atlas, logs):
    first, second = (atlas("profile", "import", logs, "--json").json() for _ in range(2))

    assert first == second


def test_other_labels_are_another_import(atlas):
    rows = [{"prompt": text, "model": "m", "answer": "1"} for text in TEXTS]
    lines(atlas.folder / "log.jsonl", rows)
    made = []
    for reference in ("1", "2"):
        gold = [{"prompt": t, "reference": reference, "grader": "numeric"} for t in TEXTS]
        lines(atlas.folder / "gold.jsonl", gold)
        result = atlas("profile", "import", "log.jsonl", "--labels", "gold.jsonl", "--json")
        assert 0 == result.code, result.err
        made.append(result.json())

    assert [1.0, 0.0] == [one["pairs"][0]["score"] for one in made]
    assert made[0]["directory"] != made[1]["directory"]
    assert made[0]["profile_id"] != made[1]["profile_id"]


def test_a_table_is_written_evaluated_and_imported_in_turn(atlas, logs):
    written = atlas("profile", "import", logs, "--out", "table", "--json")

    assert (0, None) == (written.code, written.json()["profile_id"])
    assert "next: atlas evaluate table" in written.err
    assert not (atlas.folder / "warehouse").exists()
    evaluated = atlas("evaluate", "table", "--routers", "best-single,oracle", "--json")
    assert 0 == evaluated.code, evaluated.err
    assert 1.0 == evaluated.json()["oracle"]["test"]["micro"]
    published = atlas("profile", "import", "table", "--json")
    assert 0 == published.code, published.err
    assert published.json()["profile_id"].startswith("profile-")


def test_an_unscored_log_alone_teaches_no_profile_and_is_no_error_as_a_table(atlas):
    lines(atlas.folder / "spend.jsonl", [spend(n, text) for n, text in enumerate(TEXTS)])

    refused = atlas("profile", "import", "spend.jsonl")
    written = atlas("profile", "import", "spend.jsonl", "--out", "table")

    assert (1, 0) == (refused.code, written.code)
    assert "they tell what calls cost, not how good they are" in refused.err
    assert "import them together with a graded log" in refused.err
    assert not (atlas.folder / "warehouse").exists()
    assert 40 == pl.read_parquet(atlas.folder / "table" / "outcomes.parquet").height


def test_a_spend_log_beside_a_graded_one_prices_its_pairs_and_no_pair_wins_unscored(atlas, logs):
    rows = [spend(n, text, model="org/a", dollars=0.25) for n, text in enumerate(TEXTS)]
    rows += [spend(99 + n, text, model="never-graded") for n, text in enumerate(TEXTS)]
    lines(atlas.folder / "logs" / "spend.jsonl", rows)

    result = atlas("profile", "import", logs, "--json")

    assert 0 == result.code, result.err
    pairs = shown(atlas)
    assert (0.25, 0.002) == (
        pytest.approx(pairs["org/a@@none"]["cost_mean_usd"]),
        pytest.approx(pairs["b@@none"]["cost_mean_usd"]),
    )
    unscored = pairs["never-graded@@none"]
    assert (0, None, 0.001) == (
        unscored["n_scored"],
        unscored["score_mean"],
        pytest.approx(unscored["cost_mean_usd"]),
    )
    lines(atlas.folder / "backlog.jsonl", [{"prompt": text} for text in TEXTS])
    for router in ("cluster", "auto", "best-single"):
        pool = result.json()["pool"]
        routed = atlas(
            "route", "backlog.jsonl", "--pool", pool, "--router", router, "--name", router
        )
        assert 0 == routed.code, routed.err
        answers = pl.read_parquet(
            atlas.folder / f"warehouse/data/answers/run_id={router}/*.parquet"
        )
        assert "never-graded@@none" not in set(answers.get_column("pair_id"))


def test_answers_of_a_batch_are_graded_by_labels(atlas):
    lines(atlas.folder / "in.jsonl", [batch_request(str(n), t) for n, t in enumerate(TEXTS)])
    lines(
        atlas.folder / "out.jsonl",
        [batch_response(str(n), f"Answer: {n % 3}") for n, _ in enumerate(TEXTS)],
    )
    lines(
        atlas.folder / "gold.jsonl",
        [{"prompt": text, "reference": "1", "grader": "numeric"} for text in TEXTS],
    )

    result = atlas("profile", "import", "in.jsonl", "out.jsonl", "--labels", "gold.jsonl", "--json")

    assert 0 == result.code, result.err
    assert "answers graded here: 40" in result.err
    (pair,) = result.json()["pairs"]
    assert (40, pytest.approx(13 / 40)) == (pair["scored"], pair["score"])


def test_too_many_bad_rows_import_nothing_and_list_themselves_without_their_text(atlas):
    good = {"prompt": "SECRET fine", "model": "m", "score": 1}
    lines(atlas.folder / "log.jsonl", [good, good | {"prompt": "SECRET bad", "score": 7}])

    result = atlas("profile", "import", "log.jsonl", "--out", "table")

    assert 4 == result.code
    assert "bad row: log.jsonl, row 2, field score: is 7, outside 0 to 1" in result.err
    assert "more bad rows than --fail-on-error 0.1 allows" in result.err
    assert "SECRET" not in result.err + result.out
    (letter,) = map(json.loads, atlas.lines("table/dead_letters.jsonl"))
    assert {"file", "row", "field", "reason", "custom_id"} == letter.keys()
    assert ["dead_letters.jsonl"] == [path.name for path in (atlas.folder / "table").iterdir()]

    allowed = atlas("profile", "import", "log.jsonl", "--out", "table", "--fail-on-error", "0.5")
    assert 0 == allowed.code
    assert "bad rows: 1 of 2, listed in table/dead_letters.jsonl" in allowed.err


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (["missing.jsonl"], 1, "missing.jsonl does not exist"),
        (["empty.jsonl"], 1, "no readable row"),
        (["cut.eval"], 1, "no whole zip archive"),
        (["torn.jsonl"], 4, "is cut off: the last line"),
        (["nan.jsonl"], 1, "none of the 1 outcomes has a score"),
        (["twice.jsonl"], 1, "all 2 contradict another one"),
        (["test.jsonl"], 1, "belongs to a question of split 'train'"),
        (["torn.jsonl", "--format", "excel"], 2, "--format 'excel' is unknown"),
        (["torn.jsonl", "--map", "score"], 2, "is no assignment"),
        (["torn.jsonl", "--fail-on-error", "2"], 2, "fail-on-error"),
        ([], 2, "PATH"),
        (["folder", "--format", "table"], 1, "is no folder with queries.parquet"),
    ],
)
def test_every_refusal_is_a_sentence_with_its_exit_code(atlas, words, code, sentence):
    row = {"prompt": "q", "model": "m", "score": 1, "split": "train"}
    text = json.dumps(row) + "\n"
    atlas.write("empty.jsonl", "")
    atlas.write("torn.jsonl", text + text[:9])
    atlas.write("nan.jsonl", json.dumps(row | {"score": float("nan")}) + "\n")
    atlas.write("twice.jsonl", text + json.dumps(row | {"score": 0}) + "\n")
    atlas.write("test.jsonl", json.dumps(row | {"split": "test"}) + "\n")
    path = inspect_eval(atlas.folder / "cut.eval", inspect_header(), [inspect_sample(1)])
    path.write_bytes(path.read_bytes()[:-30])
    (atlas.folder / "folder").mkdir()

    result = atlas("profile", "import", *words)

    assert (code, True) == (result.code, sentence in " ".join(result.err.split())), result.err
    assert "Traceback" not in result.err


def test_a_log_that_can_be_read_in_two_ways_leads_to_the_options(atlas):
    lm_eval(atlas.folder, "t", "m", [lm_sample(0, {"question": "q"}, rouge1=0.5, rouge2=0.1)])

    result = atlas("profile", "import", "m")

    assert 1 == result.code
    assert "rouge1, rouge2; choose one with --metric" in result.err
    assert "next: atlas profile import --help" in result.err


def test_suggested_questions_come_back_labelled_and_only_they_are_asked(atlas, backlog):
    known = [{"prompt": f"What is {n}?", "reference": "42", "grader": "exact"} for n in range(4)]
    lines(atlas.folder / "questions" / "known.jsonl", known)
    first = atlas("profile", "run", "questions", "--json")
    routed = atlas("route", backlog(5))
    written = atlas("profile", "suggest", "--out", "suggested.jsonl", "--n", 3,
                    "--encoder", "hashing")  # fmt: skip
    assert [0, 0, 0] == [one.code for one in (first, routed, written)], written.err
    rows = [json.loads(line) for line in atlas.lines("suggested.jsonl")]
    filled = [row | {"reference": "42", "grader": "exact"} for row in rows[:2]]
    lines(atlas.folder / "questions" / "labelled-in-may.jsonl", filled)

    second = atlas("profile", "run", "questions", "--json")

    assert 0 == second.code, second.err
    assert (8, 4) == (first.json()["new_cells"], second.json()["new_cells"])
