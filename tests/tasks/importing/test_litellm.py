"""LiteLLM spend logs: what calls cost and took, of whom the question is known."""

from __future__ import annotations

import pytest

from tasks.importing import LogError, read_logs, read_options
from tests.tasks.importing.made_logs import lines, spend, spend_csv


def only(imported, *names):
    """The columns of the one outcome there is."""
    (row,) = imported.outcomes.select(names).rows()
    return row


@pytest.mark.parametrize("form", ["jsonl", "csv"])
def test_a_call_teaches_money_tokens_and_time_but_no_score(tmp_path, form):
    path = tmp_path / f"spend.{form}"
    lines(path, [spend(1)]) if form == "jsonl" else spend_csv(path, [spend(1)])

    imported = read_logs([path])

    names = ("model", "score", "cost_usd", "input_tokens", "output_tokens", "duration_s", "answer")
    assert ("small", None, 0.001, 11, 3, 2.5, "It is 2") == only(imported, *names)
    assert ("What is 1+1?", "train") == imported.queries.select("text", "split").row(0)


def test_the_same_question_asked_often_is_averaged(tmp_path):
    rows = [
        spend(n, dollars=cost, request_duration_ms=1000 * n) for n, cost in ((1, 1.0), (3, 3.0))
    ]
    path = lines(tmp_path / "a.jsonl", rows)

    assert (2.0, 2.0, 2) == only(read_logs([path]), "cost_usd", "duration_s", "repeats")


def test_the_same_request_in_two_exports_is_one(tmp_path):
    for name in "ab":
        lines(tmp_path / f"{name}.jsonl", [spend(1)])

    assert (1,) == only(read_logs([tmp_path]), "repeats")


def test_a_spend_of_0_is_unknown_unless_the_model_is_free(tmp_path):
    path = lines(tmp_path / "a.jsonl", [spend(1, dollars=0.0)])

    unknown, free = read_logs([path]), read_logs([path], read_options(free=["small"]))

    assert (None,) == only(unknown, "cost_usd")
    assert any("--free small" in said for said in unknown.warnings)
    assert (0.0,) == only(free, "cost_usd")


def test_failures_are_outcomes_with_their_class_and_no_zeros(tmp_path):
    failed = spend(
        1,
        dollars=0.0,
        status="failure",
        prompt_tokens=0,
        completion_tokens=0,
        response={},
        metadata={"error_information": {"error_class": "RateLimitError", "error_message": "S"}},
    )
    path = lines(tmp_path / "a.jsonl", [failed])

    names = ("error_type", "cost_usd", "input_tokens", "answer", "failures")
    assert ("RateLimitError", None, None, None, 1) == only(read_logs([path]), *names)


def test_cached_answers_and_other_calls_are_counted_aside(tmp_path):
    rows = [spend(1), spend(2, cache_hit="True"), spend(3, call_type="aembedding")]
    imported = read_logs([lines(tmp_path / "a.jsonl", rows)])

    said = " ".join(imported.warnings)
    assert (1, 0) == (imported.outcomes.height, imported.bad)
    assert "cache, left aside (no call was made): 1" in said
    assert "answer no question, left aside: 1" in said


def test_calls_without_their_question_price_the_pairs_of_other_logs(tmp_path):
    known = [
        {"prompt": "a", "model": "small", "score": 1},
        {"prompt": "b", "model": "small", "score": 0, "cost": 9.0, "output_tokens": 70},
        {"prompt": "c", "model": "small", "error": "timeout"},
        {"prompt": "a", "model": "large", "score": 1},
    ]
    calls = [
        spend(1, None, dollars=0.5, completion_tokens=4),
        spend(2, None, dollars=1.5, completion_tokens=7),
        spend(2, None, dollars=1.5, completion_tokens=7),
        spend(3, None, dollars=99.0, status="failure"),
    ]
    lines(tmp_path / "known.jsonl", known)
    lines(tmp_path / "spend.jsonl", calls)

    imported = read_logs([tmp_path])

    names = ("text", "model", "score", "cost_usd", "output_tokens", "source")
    texts = imported.queries.select("query_id", "text")
    found = imported.outcomes.join(texts, on="query_id").sort("text", "model").select(names)
    assert [
        ("a", "large", 1.0, None, None, "columns"),
        ("a", "small", 1.0, 1.0, 6, "columns+litellm"),
        ("b", "small", 0.0, 9.0, 70, "columns+litellm"),
        ("c", "small", None, None, None, "columns"),
    ] == found.rows()
    assert any("the cost of 1 of 4" in said for said in imported.warnings)


def test_a_log_without_any_question_is_refused_in_words(tmp_path):
    path = lines(tmp_path / "a.jsonl", [spend(1, None)])

    with pytest.raises(LogError, match=r"not in the log: 1 .*store_prompts.*whose pairs they then"):
        read_logs([path])


@pytest.mark.parametrize(
    "request_of",
    [
        lambda chat: {"proxy_server_request": {"messages": chat}},
        lambda chat: {"proxy_server_request": {"body": {"messages": chat}}},
        lambda chat: {"proxy_server_request": {}, "messages": chat},
    ],
    ids=["body", "wrapped", "messages"],
)
def test_the_request_is_found_where_versions_of_the_proxy_keep_it(tmp_path, request_of):
    chat = [{"role": "user", "content": "Why?"}]
    path = lines(tmp_path / "a.jsonl", [spend(1, None, **request_of(chat))])

    assert "Why?" == read_logs([path]).queries.item(0, "text")


def test_a_conversation_that_ends_with_a_tool_is_a_bad_row(tmp_path):
    chat = [{"role": "user", "content": "SECRET"}, {"role": "tool", "content": "x"}]
    looped = spend(2, None, proxy_server_request={"messages": chat})
    imported = read_logs([lines(tmp_path / "a.jsonl", [spend(1), looped])])

    (bad,) = imported.problems
    assert (2, "proxy_server_request.messages") == (bad.row, bad.field)
    assert "SECRET" not in f"{bad.reason}{bad.raw}"
