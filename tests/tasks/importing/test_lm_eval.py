"""Sample logs of lm-evaluation-harness: question, model, metric and filter of every row."""

from __future__ import annotations

import json

import pytest

from tasks.importing import LogError, read_logs, read_options
from tests.tasks.importing.made_logs import lines, lm_eval, lm_sample


def rows(imported, *names):
    """The outcomes' columns as tuples, in order of text and pair."""
    texts = imported.queries.select("query_id", "text")
    joined = imported.outcomes.join(texts, on="query_id").sort("text", "model", "tool")
    return joined.select(names).rows()


def test_two_models_of_a_task_line_up_by_their_questions(tmp_path):
    for model, scores in {"org/a": (1.0, 0.0), "org/b": (0.0, 1.0)}.items():
        samples = [
            # Each model saw another prompt: chat template, few-shot examples.
            lm_sample(n, {"question": f"{n}+1?"}, sent=f"<{model}> {n}", exact_match=score)
            for n, score in enumerate(scores)
        ]
        lm_eval(tmp_path, "sums", model, samples)

    imported = read_logs([tmp_path])

    assert 2 == imported.queries.height
    assert [
        ("0+1?", "org/a", "none", 1.0),
        ("0+1?", "org/b", "none", 0.0),
        ("1+1?", "org/a", "none", 0.0),
        ("1+1?", "org/b", "none", 1.0),
    ] == rows(imported, "text", "model", "tool", "score")
    assert {"sums"} == set(imported.queries.get_column("dataset"))


@pytest.mark.parametrize(
    ("results", "model"),
    [
        pytest.param({"model_name": "org/a"}, "org/a", id="model_name"),
        pytest.param(
            {"model_name": "", "config": {"model": "hf", "model_args": "pretrained=org/b,dtype=f"}},
            "org/b",
            id="model_args as text",
        ),
        pytest.param(
            {"config": {"model": "hf", "model_args": {"pretrained": "org/c"}}},
            "org/c",
            id="model_args as an object",
        ),
        pytest.param({"config": {"model": "dummy"}}, "dummy", id="model"),
    ],
)
def test_the_model_is_named_by_the_results_beside_the_samples(tmp_path, results, model):
    path = lm_eval(tmp_path, "t", "x/y", [lm_sample(0, {"question": "q"}, acc=1)], results=False)
    path.with_name(path.name.replace("samples_t", "results").replace("jsonl", "json")).write_text(
        json.dumps(results)
    )

    assert [(model,)] == rows(read_logs([path]), "model")


def test_without_results_the_folder_names_the_model_and_a_sentence_says_so(tmp_path):
    path = lm_eval(tmp_path, "t", "org/a", [lm_sample(0, {"question": "q"}, acc=1)], results=False)

    imported = read_logs([path])

    assert [("org/a",)] == rows(imported, "model")
    assert any("taken from the folder" in said for said in imported.warnings)


def test_several_filters_are_asked_for_and_one_is_read(tmp_path):
    samples = [
        lm_sample(0, {"question": "q"}, filter_=name, exact_match=score)
        for name, score in (("strict-match", 0.0), ("flexible-extract", 1.0))
    ]
    path = lm_eval(tmp_path, "gsm8k", "m", samples)

    with pytest.raises(LogError, match="strict-match, flexible-extract; choose one with --filter"):
        read_logs([path])
    imported = read_logs([path], read_options(filter=["nothing,flexible-extract"]))

    assert [(1.0, 1)] == rows(imported, "score", "repeats")


def test_the_main_metric_is_taken_and_said_others_on_request(tmp_path):
    path = lm_eval(tmp_path, "arc", "m", [lm_sample(0, {"question": "q"}, acc=1.0, acc_norm=0.0)])

    usual, wished = read_logs([path]), read_logs([path], read_options(metric=["acc_norm"]))

    assert [(1.0,)] == rows(usual, "score")
    assert any("of the metrics acc, acc_norm acc is the score" in said for said in usual.warnings)
    assert [(0.0,)] == rows(wished, "score")


def test_metrics_of_equal_rank_are_asked_for(tmp_path):
    path = lm_eval(tmp_path, "sum", "m", [lm_sample(0, {"question": "q"}, rouge1=0.5, rouge2=0.1)])

    with pytest.raises(LogError, match="rouge1, rouge2; choose one with --metric"):
        read_logs([path])


def test_one_wish_serves_tasks_with_other_metrics(tmp_path):
    lm_eval(tmp_path, "a", "m", [lm_sample(0, {"question": "q"}, rouge1=0.5, rouge2=0.1)])
    lm_eval(tmp_path, "b", "m", [lm_sample(0, {"question": "r"}, exact_match=1.0)])

    imported = read_logs([tmp_path], read_options(metric=["rouge2"]))

    assert [("q", 0.1), ("r", 1.0)] == [
        (text, round(score, 3)) for text, score in rows(imported, "text", "score")
    ]


def test_options_are_written_under_the_question_and_the_target_becomes_a_letter(tmp_path):
    doc = {"question": "Which is a bird?", "choices": ["cat", "owl"], "answer": 1}
    path = lm_eval(tmp_path, "mmlu", "m", [lm_sample(0, doc, target="1", acc=0.0)])

    queries = read_logs([path]).queries

    assert ("Which is a bird?\nA. cat\nB. owl", "B", "choice") == queries.select(
        "text", "reference", "grader"
    ).row(0)


@pytest.mark.parametrize(
    ("doc", "text"),
    [
        ({"problem": "x?", "solution": "y"}, "x?"),
        ({"passage": "P.", "question": "x?"}, "P.\n\nx?"),
        ({"goal": "open", "sol1": "pull", "sol2": "push"}, "open\nA. pull\nB. push"),
        ({"Question": "x?"}, "x?"),
        ({"question": "x?", "choices": {"text": ["a b", "c d"], "label": ["A", "B"]}},
         "x?\nA. a b\nB. c d"),
    ],
    ids=["problem", "passage", "numbered options", "capitals", "arc"],
)  # fmt: skip
def test_the_question_is_found_in_the_document(tmp_path, doc, text):
    path = lm_eval(tmp_path, "t", "m", [lm_sample(0, doc, acc=1.0)])

    assert [text] == read_logs([path]).queries.get_column("text").to_list()


def test_an_unknown_document_gives_the_prompt_that_was_sent_unless_mapped(tmp_path):
    sample = lm_sample(0, {"clue": "c"}, sent="few shots, then c", acc=1.0)
    path = lm_eval(tmp_path, "t", "m", [sample])

    sent, mapped = read_logs([path]), read_logs([path], read_options(columns=["prompt=doc.clue"]))

    assert "few shots, then c" == sent.queries.item(0, "text")
    assert any("--map prompt=doc.FIELD" in said for said in sent.warnings)
    assert "c" == mapped.queries.item(0, "text")


def test_a_chat_that_was_sent_is_folded_into_prompt_and_context(tmp_path):
    chat = json.dumps([{"role": "system", "content": "S"}, {"role": "user", "content": "U"}])
    path = lm_eval(tmp_path, "t", "m", [lm_sample(0, {"clue": "c"}, sent=[chat], acc=1.0)])

    assert ("U", "S") == read_logs([path]).queries.select("text", "context").row(0)


def test_predictions_without_a_metric_are_unscored(tmp_path):
    path = lm_eval(tmp_path, "t", "m", [lm_sample(0, {"question": "q"}, answer="2", bypass=999)])

    imported = read_logs([path])

    assert [(None, "2")] == rows(imported, "score", "answer")
    assert any("no metric" in said for said in imported.warnings)


def test_answers_are_kept_as_they_were_said_and_log_likelihoods_are_none(tmp_path):
    said = lm_sample(0, {"question": "a"}, answer="It is #### 42", acc=1.0)
    said["filtered_resps"] = ["42"]
    measured = lm_sample(1, {"question": "b"}, acc=1.0)
    measured["resps"] = [[["-3.2", "False"]], [["-1.0", "True"]]]
    path = lm_eval(tmp_path, "t", "m", [said, measured])

    assert [("It is #### 42",), (None,)] == rows(read_logs([path]), "answer")


def test_answers_that_a_filter_could_not_read_are_counted(tmp_path):
    sample = lm_sample(0, {"question": "a"}, answer="42", exact_match=0.0)
    sample["filtered_resps"] = ["[invalid]"]
    path = lm_eval(tmp_path, "t", "m", [sample])

    imported = read_logs([path])

    assert [(0.0,)] == rows(imported, "score")
    assert any("found nothing, scored by lm-eval" in said for said in imported.warnings)


def test_logs_without_a_list_of_metrics_are_read_by_their_numbers(tmp_path):
    sample = lm_sample(0, {"question": "q"}, acc=True)
    del sample["metrics"], sample["filter"]
    path = lm_eval(tmp_path, "t", "m", [sample])

    assert [(1.0,)] == rows(read_logs([path]), "score")


def test_runs_of_two_days_are_repeats_and_the_same_run_twice_is_one(tmp_path):
    for date, score in (("2026-05-01T10-00-00.1", 1.0), ("2026-05-02T10-00-00.1", 0.0)):
        lm_eval(
            tmp_path / "runs", "t", "m", [lm_sample(0, {"question": "q"}, acc=score)], date=date
        )
    lm_eval(
        tmp_path / "copy", "t", "m", [lm_sample(0, {"question": "q"}, acc=1.0)],
        date="2026-05-01T10-00-00.1",
    )  # fmt: skip

    imported = read_logs([tmp_path])

    assert [(0.5, 2, 2)] == rows(imported, "score", "repeats", "scored")
    assert "rows written twice, read once: 1" in imported.warnings


def test_scores_in_percent_need_their_range(tmp_path):
    path = lm_eval(tmp_path, "t", "m", [lm_sample(0, {"question": "q"}, bleu=25.0)])

    with pytest.raises(LogError, match="--score-range"):
        read_logs([path])
    imported = read_logs([path], read_options(score_range="0,100"))

    assert [(0.25,)] == rows(imported, "score")


def test_gzipped_samples_are_read(tmp_path):
    import gzip

    plain = lm_eval(tmp_path, "t", "m", [lm_sample(0, {"question": "q"}, acc=1.0)])
    packed = plain.with_name(plain.name + ".gz")
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    plain.unlink()

    assert [("q", "t", 1.0)] == [
        (text, dataset, score)
        for (text, score), dataset in zip(
            rows(read_logs([tmp_path]), "text", "score"), ["t"], strict=True
        )
    ]


def test_results_alone_are_refused_in_words(tmp_path):
    lm_eval(tmp_path, "t", "m", [lm_sample(0, {"question": "q"}, acc=1.0)])
    folder = tmp_path / "only"
    lines(folder / "results_2026.json", [{"results": {}}])

    with pytest.raises(LogError, match="holds no log that can be read"):
        read_logs([folder])
