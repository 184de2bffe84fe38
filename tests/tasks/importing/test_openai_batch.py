"""OpenAI batches: answers joined with what was asked, failures kept, answers graded."""

from __future__ import annotations

import pytest

from tasks.importing import LogError, read_logs, read_options
from tests.tasks.importing.made_logs import batch_error, batch_request, batch_response, lines


def found(imported, *names):
    """The outcomes' columns with their questions, in order of text and model."""
    texts = imported.queries.select("query_id", "text", "context")
    joined = imported.outcomes.join(texts, on="query_id").sort("text", "model")
    return joined.select(names).rows()


@pytest.fixture
def batch(tmp_path):
    """An input of three requests, two of them answered, one failed."""
    labels = {"reference": "2", "grader": "numeric", "dataset": "sums", "split": "train"}
    lines(
        tmp_path / "input.jsonl",
        [
            batch_request("a", "What is 1+1?", system="Be brief.", **labels),
            batch_request("b", "What is 1+2?", **labels | {"reference": "3"}),
            batch_request("c", "What is 1+3?", **labels | {"reference": "4"}),
        ],
    )
    lines(tmp_path / "output.jsonl", [batch_response("b", "4"), batch_response("a", "It is 2")])
    lines(tmp_path / "errors.jsonl", [batch_error("c")])
    return tmp_path


def test_outputs_and_errors_are_joined_with_the_input_by_custom_id(batch):
    imported = read_logs([batch])

    names = ("text", "context", "model", "score", "input_tokens", "output_tokens", "error_type")
    assert [
        ("What is 1+1?", "Be brief.", "gpt-small", 1.0, 11, 3, None),
        ("What is 1+2?", "", "gpt-small", 0.0, 11, 3, None),
        ("What is 1+3?", "", "gpt-small", None, None, None, "batch_expired"),
    ] == found(imported, *names)
    assert {("sums", "train")} == set(imported.queries.select("dataset", "split").iter_rows())


def test_answers_without_references_stay_unscored_and_have_no_cost(tmp_path):
    lines(tmp_path / "in.jsonl", [batch_request("a", "Why?")])
    lines(tmp_path / "out.jsonl", [batch_response("a", "Because.")])

    assert [(None, None, "Because.")] == found(read_logs([tmp_path]), "score", "cost_usd", "answer")


@pytest.mark.parametrize(
    "label",
    [
        pytest.param({"text": "Why is that?", "custom_id": "other"}, id="by text"),
        pytest.param({"text": "Another wording", "custom_id": "a"}, id="by custom_id"),
    ],
)
def test_a_labelled_set_grades_the_answers(tmp_path, label):
    lines(tmp_path / "in.jsonl", [batch_request("a", "Why is that?")])
    lines(tmp_path / "out.jsonl", [batch_response("a", "Answer: 42")])
    labels = lines(
        tmp_path / "labels" / "gold.jsonl",
        [label | {"reference": "42", "grader": "numeric", "split": "test", "dataset": "d"}],
    )

    imported = read_logs(
        [tmp_path / "in.jsonl", tmp_path / "out.jsonl"], read_options(labels=labels)
    )

    assert [(1.0,)] == found(imported, "score")
    assert ("d", "test", "42") == imported.queries.select("dataset", "split", "reference").row(0)


def test_the_same_ids_sent_to_two_models_are_two_pairs(tmp_path):
    for model in ("small", "large"):
        lines(tmp_path / f"in-{model}.jsonl", [batch_request("a", "Why?", model=model)])
        lines(tmp_path / f"out-{model}.jsonl", [batch_response("a", model, model=f"{model}-2026")])

    assert [("large", "large"), ("small", "small")] == found(
        read_logs([tmp_path]), "model", "answer"
    )


def test_an_id_on_different_questions_to_one_model_is_not_guessed(tmp_path):
    for number, text in enumerate(("Why?", "How?")):
        lines(tmp_path / f"in{number}.jsonl", [batch_request("a", text), batch_request("b", "b")])
    lines(tmp_path / "out.jsonl", [batch_response("a", "x"), batch_response("b", "y")])

    imported = read_logs([tmp_path])

    assert [("b",)] == found(imported, "text")
    assert ["custom_id"] == [bad.field for bad in imported.problems]
    assert "stands on different requests" in imported.problems[0].reason


def test_unanswered_requests_are_counted(batch):
    (batch / "errors.jsonl").unlink()

    said = read_logs([batch]).warnings

    assert any("without a line in any output or error file: 1" in one for one in said)


def test_refused_requests_carry_their_status(batch):
    refused = batch_response("c", "")
    refused["response"] |= {"status_code": 400, "body": {"error": {"code": None, "message": "no"}}}
    lines(batch / "errors.jsonl", [refused])

    assert "http_400" == read_logs([batch]).outcomes.drop_nulls("error_type").item(0, "error_type")


def test_a_request_that_failed_and_then_succeeded_is_one_success(batch):
    lines(batch / "second.jsonl", [batch_response("c", "4", number=2)])

    (row,) = (one for one in found(read_logs([batch]), "text", "score", "error_type", "failures",
                                   "repeats") if one[0] == "What is 1+3?")  # fmt: skip

    assert ("What is 1+3?", 1.0, None, 1, 2) == row


def test_the_responses_api_is_read_too(tmp_path):
    asked = {"model": "m", "instructions": "Be brief.", "input": "Why?"}
    said = {
        "model": "m",
        "output": [
            {"type": "reasoning", "summary": []},
            {"type": "message", "content": [{"type": "output_text", "text": "Because."}]},
        ],
        "usage": {"input_tokens": 5, "output_tokens": 2},
    }
    lines(tmp_path / "in.jsonl", [{"custom_id": "a", "url": "/v1/responses", "body": asked}])
    output = batch_response("a", "")
    output["response"]["body"] = said
    lines(tmp_path / "out.jsonl", [output])

    assert [("Why?", "Be brief.", "Because.", 5, 2)] == found(
        read_logs([tmp_path]), "text", "context", "answer", "input_tokens", "output_tokens"
    )


@pytest.mark.parametrize(
    ("name", "sentence"),
    [("input.jsonl", "give the batch's output file"), ("output.jsonl", "no input file")],
)
def test_one_file_alone_is_refused_in_words(batch, name, sentence):
    with pytest.raises(LogError, match=sentence):
        read_logs([batch / name])


def test_texts_of_errors_stand_nowhere(batch):
    imported = read_logs([batch])

    assert "SECRET" not in imported.outcomes.write_json() + str(imported.problems)
