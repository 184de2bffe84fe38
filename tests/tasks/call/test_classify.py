from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from tasks.call.classify import Asked, error_of, quote, refusal, retry_after
from tasks.call.errors import Fate

ASKED = Asked("small", "small-7b", "http://host/v1/chat/completions", "SMALL_KEY", ("hunter2",))


def body(code: str = "", message: str = "") -> bytes:
    return json.dumps({"error": {"code": code or None, "message": message}}).encode()


@pytest.mark.parametrize(
    ("status", "content", "error_class", "error_type", "fate"),
    [
        (302, b"", "fatal", "bad_endpoint", Fate.REFUSED),
        (400, b"", "row", "bad_request", Fate.REFUSED),
        (400, body("context_length_exceeded"), "row", "context_too_long", Fate.REFUSED),
        (400, body("", "prompt is too long: 9 > 8"), "row", "context_too_long", Fate.REFUSED),
        (400, body("content_filter"), "row", "refused_by_provider", Fate.REFUSED),
        (400, body("", "Your credit balance is too low"), "fatal", "quota_exhausted", Fate.REFUSED),
        (400, body("API_KEY_INVALID"), "fatal", "auth", Fate.REFUSED),
        (401, body("invalid_api_key"), "fatal", "auth", Fate.REFUSED),
        (402, b"", "fatal", "quota_exhausted", Fate.REFUSED),
        (403, b"<html>forbidden</html>", "fatal", "auth", Fate.REFUSED),
        (404, body("model_not_found"), "fatal", "model_not_found", Fate.REFUSED),
        (404, body("", "model 'x' not found"), "fatal", "model_not_found", Fate.REFUSED),
        (404, b"404 page not found", "fatal", "bad_endpoint", Fate.REFUSED),
        (405, b"", "fatal", "bad_endpoint", Fate.REFUSED),
        (408, b"", "retryable", "timeout", Fate.UNKNOWN),
        (409, b"", "retryable", "conflict", Fate.REFUSED),
        (413, b"", "row", "bad_request", Fate.REFUSED),
        (418, b"", "row", "bad_request", Fate.REFUSED),
        (422, b'{"detail": [{"loc": ["x"]}]}', "row", "bad_request", Fate.REFUSED),
        (425, b"", "retryable", "too_early", Fate.REFUSED),
        (429, b"", "retryable", "rate_limited", Fate.REFUSED),
        (429, body("rate_limit_exceeded", "quota"), "retryable", "rate_limited", Fate.REFUSED),
        (429, body("insufficient_quota"), "fatal", "quota_exhausted", Fate.REFUSED),
        (429, b'{"error": {"type": "insufficient_quota", "code": 7}}', "fatal", "quota_exhausted",
         Fate.REFUSED),
        (500, b"", "retryable", "server_error", Fate.REFUSED),
        (502, b"", "retryable", "server_error", Fate.REFUSED),
        (503, b"", "retryable", "server_error", Fate.REFUSED),
        (504, b"", "retryable", "gateway_timeout", Fate.UNKNOWN),
        (507, b"", "retryable", "server_error", Fate.UNKNOWN),
        (520, b"", "retryable", "gateway_timeout", Fate.UNKNOWN),
        (524, b"", "retryable", "gateway_timeout", Fate.UNKNOWN),
        (529, b"", "retryable", "server_error", Fate.REFUSED),
    ],
)  # fmt: skip
def test_every_status_has_one_meaning(
    status: int, content: bytes, error_class: str, error_type: str, fate: Fate
) -> None:
    error = refusal(status, content, ASKED, retry_after_s=2.0)

    assert error_class == error.error_class
    assert error_type == error.error_type
    assert fate is error.fate
    assert (status, 2.0) == (error.http_status, error.retry_after_s)
    assert "'small'" in str(error)
    assert f"HTTP {status}" in str(error)


@pytest.mark.parametrize(
    ("status", "content", "advice"),
    [
        (401, b"", "environment variable SMALL_KEY"),
        (404, b"", "http://host/v1/chat/completions has no such address"),
        (404, body("model_not_found"), "'small-7b'"),
        (429, body("insufficient_quota"), "run the same command again"),
    ],
)
def test_what_a_person_can_mend_is_said(status: int, content: bytes, advice: str) -> None:
    assert advice in str(refusal(status, content, ASKED))


@pytest.mark.parametrize(
    "content",
    [b"", b"\xff\xfe", b"null", b"[]", b'"text"', b'{"error": 3}', b'{"error": {"code": []}}',
     b'{"error": {"message": {"a": 1}}}', b"[" * 100_000],
    ids=lambda content: repr(content[:30]),
)  # fmt: skip
def test_no_body_is_too_strange_to_be_classified(content: bytes) -> None:
    assert refusal(429, content, ASKED).error_type == "rate_limited"


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b'{"error": {"code": "C", "message": "m"}}', ("c", "m")),
        (b'{"error": {"code": null, "type": "T", "message": "m"}}', ("t", "m")),
        (b'{"error": "plain"}', ("", "plain")),
        (b'{"object": "error", "message": "m", "type": "T"}', ("t", "m")),
        (b'{"detail": "Not Found"}', ("", "Not Found")),
    ],
)
def test_the_usual_shapes_of_errors_are_read(content: bytes, expected: tuple[str, str]) -> None:
    assert expected == error_of(content)


@pytest.mark.parametrize(
    "secret",
    ["hunter2", "Bearer abcdef", "sk-proj-1234567890abcdef", "gsk_abcdefghijkl",
     "eyJhbGciOi.eyJzdWIi.c2lnbmF0", "d41d8cd98f00b204e9800998ecf8427e99", "sk-ab***xyz12"],
)  # fmt: skip
def test_nothing_that_looks_like_a_key_is_quoted(secret: str) -> None:
    quoted = quote(f"Incorrect key provided: {secret}, see docs", ("hunter2",))

    assert secret.removeprefix("Bearer ") not in quoted
    assert "[removed]" in quoted
    assert "Incorrect key provided" in quoted


def test_a_key_at_the_edge_of_the_quotation_is_not_left_in_half() -> None:
    key = "sk-" + "a1" * 40

    assert "a1a1" not in quote("x" * 190 + " " + key)


def test_quotations_are_short_and_on_one_line() -> None:
    quoted = quote("a word\n" * 1000)

    assert len(quoted) == 200
    assert "\n" not in quoted
    assert quote(" \n ") == "(nothing)"


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, None),
        ({"retry-after": "20"}, 20.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after": "-3"}, 0.0),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
        ({"retry-after-ms": "?", "retry-after": "9"}, 9.0),
        ({"retry-after": "Thu, 01 Jan 2026 00:01:30 GMT"}, 90.0),
        ({"retry-after": "Wed, 31 Dec 2025 00:00:00 GMT"}, 0.0),
        ({"retry-after": "Thu, 01 Jan 2026 00:01:30"}, 90.0),
    ],
    ids=str,
)
def test_retry_after_is_read_in_every_form(headers: dict[str, str], expected: float | None) -> None:
    assert expected == retry_after(headers, datetime(2026, 1, 1, tzinfo=UTC))
