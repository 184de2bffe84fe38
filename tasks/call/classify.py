"""What a refusal means: HTTP status and error body to one of the three classes of errors.

The fate follows from who spoke. A provider that says no has charged nothing (REFUSED). A gateway
that lost patience with the provider behind it cannot know whether that one answered (UNKNOWN).
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from tasks.call.errors import CallError, FatalError, Fate, RetryableError, RowError
from tasks.call.text import storable

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

MAX_QUOTED = 200
"""Characters of a provider's own words that an error message may carry."""

_QUOTA_CODES = frozenset(
    {
        "insufficient_quota",
        "billing_hard_limit_reached",
        "billing_not_active",
        "insufficient_balance",
    }
)
_KEY_CODES = frozenset({"invalid_api_key", "api_key_invalid", "authentication_error"})
_MODEL_CODES = frozenset({"model_not_found", "deploymentnotfound"})
_TOO_LONG_CODES = frozenset({"context_length_exceeded", "string_above_max_length"})
_FILTER_CODES = frozenset({"content_filter", "content_policy_violation"})
_TOO_LONG_TEXT = re.compile(
    r"maximum context length|context (?:length|window|size)|prompt is too long|too many tokens",
    re.I,
)
_QUOTA_TEXT = re.compile(r"credit balance|insufficient balance|insufficient credit", re.I)
_MODEL_TEXT = re.compile(r"\bmodel\b", re.I)

_SECRETS = re.compile(
    r"""(?ix)
    \b(?:bearer|basic)\s+[^\s"',}]+            # an Authorization header, echoed
    | \b(?:sk|pk|rk|gsk|xai|hf|key|api)[-_][a-z0-9_\-*.]{6,}
    | \beyj[a-z0-9_\-]+\.[a-z0-9_\-.]+         # a JSON web token
    | (?<=[?&])(?:api[-_]?key|key|token)=[^&\s"']+
    | \b(?=[a-z0-9_\-]*\d)(?=[a-z0-9_\-]*[a-z])[a-z0-9_\-]{32,}   # anything long and random
    """
)


@dataclass(frozen=True, slots=True)
class Asked:
    """Who was asked, for the sentence of an error; `secrets` are cut out of every quotation."""

    model_key: str
    model_name: str
    url: str
    api_key_env: str | None = None
    secrets: tuple[str, ...] = ()


class _Refusal(NamedTuple):
    error: type[CallError]
    error_type: str
    fate: Fate
    sentence: str


_REFUSED, _UNKNOWN = Fate.REFUSED, Fate.UNKNOWN
_BY_STATUS: dict[int, _Refusal] = {
    400: _Refusal(RowError, "bad_request", _REFUSED, "refused the request"),
    401: _Refusal(FatalError, "auth", _REFUSED, "does not accept the key"),
    402: _Refusal(FatalError, "quota_exhausted", _REFUSED, "says the account has no money left"),
    403: _Refusal(FatalError, "auth", _REFUSED, "does not allow this key to use the model"),
    404: _Refusal(FatalError, "bad_endpoint", _REFUSED, "has no such address"),
    405: _Refusal(FatalError, "bad_endpoint", _REFUSED, "does not take chat completions here"),
    408: _Refusal(RetryableError, "timeout", _UNKNOWN, "gave up on the request"),
    409: _Refusal(RetryableError, "conflict", _REFUSED, "is still busy with an earlier request"),
    413: _Refusal(RowError, "bad_request", _REFUSED, "says the request is too large"),
    422: _Refusal(RowError, "bad_request", _REFUSED, "cannot process the request"),
    425: _Refusal(RetryableError, "too_early", _REFUSED, "is not ready yet"),
    429: _Refusal(RetryableError, "rate_limited", _REFUSED, "limits the rate of requests"),
    500: _Refusal(RetryableError, "server_error", _REFUSED, "failed"),
    502: _Refusal(RetryableError, "server_error", _REFUSED, "is behind a gateway that failed"),
    503: _Refusal(RetryableError, "server_error", _REFUSED, "is overloaded or down"),
    504: _Refusal(
        RetryableError, "gateway_timeout", _UNKNOWN, "did not answer its gateway in time"
    ),
    529: _Refusal(RetryableError, "server_error", _REFUSED, "is overloaded"),
}
_GATEWAY = _Refusal(
    RetryableError, "gateway_timeout", _UNKNOWN, "lost the connection to the gateway before it"
)
_BY_STATUS |= dict.fromkeys(range(520, 525), _GATEWAY)


def refusal(
    status: int, body: bytes, asked: Asked, *, retry_after_s: float | None = None
) -> CallError:
    """The error that an HTTP answer other than 2xx stands for; never raises.

    Args:
        status: HTTP status code.
        body: as much of the body as was read; JSON in any of the usual shapes, HTML, anything.
        asked: who was asked.
        retry_after_s: from `retry_after`, when the headers had one.
    """
    code, message = error_of(body)
    kind = _by_code(status, code, message) or _by_status(status)
    sentence = (
        f"{kind.sentence} (HTTP {status}). {_advice(kind, asked)}"
        f"It said: {quote(message or body.decode('utf-8', 'replace'), asked.secrets)}"
    )
    return kind.error(
        f"model {asked.model_key!r}: {asked.url} {sentence}",
        error_type=kind.error_type,
        fate=kind.fate,
        http_status=status,
        retry_after_s=retry_after_s,
    )


def _by_status(status: int) -> _Refusal:
    known = _BY_STATUS.get(status)
    if known is not None:
        return known
    if 300 <= status < 400:
        # A redirect may carry the request, and the key, to another house: never followed.
        return _Refusal(FatalError, "bad_endpoint", _REFUSED, "redirects elsewhere")
    if status < 500:
        return _Refusal(RowError, "bad_request", _REFUSED, "refused the request")
    return _Refusal(RetryableError, "server_error", _UNKNOWN, "failed in an unusual way")


def _by_code(status: int, code: str, message: str) -> _Refusal | None:
    """Meaning of a body where it is more exact than the status alone."""
    if code in _QUOTA_CODES or (status in (400, 403) and _QUOTA_TEXT.search(message)):
        return _Refusal(FatalError, "quota_exhausted", _REFUSED, "says the quota is used up")
    if status in (400, 401, 403) and code in _KEY_CODES:
        return _BY_STATUS[401]
    if code in _MODEL_CODES or (status == 404 and _MODEL_TEXT.search(message)):
        return _Refusal(FatalError, "model_not_found", _REFUSED, "does not know the model")
    if status in (400, 413, 422):
        if code in _TOO_LONG_CODES or _TOO_LONG_TEXT.search(message):
            return _Refusal(RowError, "context_too_long", _REFUSED, "says the request is too long")
        if code in _FILTER_CODES:
            return _Refusal(RowError, "refused_by_provider", _REFUSED, "filtered the request")
    return None


def _advice(kind: _Refusal, asked: Asked) -> str:
    if kind.error_type == "auth":
        return f"Check the key in the environment variable {asked.api_key_env or '(none named)'}. "
    if kind.error_type == "bad_endpoint":
        return "Check the endpoint in the pool file: it must end before /chat/completions. "
    if kind.error_type == "model_not_found":
        return f"Check the model's name in the pool file, {asked.model_name!r}. "
    if kind.error_type == "quota_exhausted":
        return "Add credit or raise the limit there, then run the same command again. "
    return ""


def error_of(body: bytes | Mapping[str, Any]) -> tuple[str, str]:
    """Code (lower case) and message of an error body; empty strings where it has none.

    Understands `{"error": {"code", "type", "message"}}`, `{"error": "text"}`,
    `{"object": "error", "message": …}` and `{"detail": …}`.
    """
    if isinstance(body, bytes):
        try:
            document = json.loads(body)
        except (ValueError, RecursionError):
            return "", ""
    else:
        document = body
    if not isinstance(document, dict):
        return "", ""
    error = document.get("error", document)
    if isinstance(error, str):
        return "", error
    if not isinstance(error, dict):
        return "", ""
    names = [str(error[name]).lower() for name in ("code", "type") if error.get(name) is not None]
    telling = _QUOTA_CODES | _KEY_CODES | _MODEL_CODES | _TOO_LONG_CODES | _FILTER_CODES
    code = next((name for name in names if name in telling), names[0] if names else "")
    message = error.get("message") or error.get("detail") or ""
    return code, message if isinstance(message, str) else json.dumps(message)


def quote(text: str, secrets: tuple[str, ...] = ()) -> str:
    """A provider's words, fit for an error message: one line, short, without anything secret."""
    for secret in secrets:
        if secret:
            text = text.replace(secret, "[removed]")
    # Cut generously before the costly search, exactly after it: a key must not survive in halves.
    cleaned = _SECRETS.sub("[removed]", text[: MAX_QUOTED * 8])
    line = " ".join(storable(cleaned).split())
    if not line:
        return "(nothing)"
    return line if len(line) <= MAX_QUOTED else line[: MAX_QUOTED - 1] + "…"


def retry_after(headers: Mapping[str, str], now: datetime) -> float | None:
    """Seconds the provider asks to wait; None when it does not say, or says it unreadably.

    Reads `retry-after-ms`, then `Retry-After` in seconds or as an HTTP date. A moment in the past
    is 0. Absurdly long waits are passed on: `RetryPolicy` and `ModelLimiter` cap them.
    """
    for name, unit_s in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        value = headers.get(name)
        if value is None:
            continue
        try:
            seconds = float(value) * unit_s
        except ValueError:
            continue
        return max(0.0, seconds) if math.isfinite(seconds) else None
    date = headers.get("retry-after")
    if date is None:
        return None
    try:
        until = parsedate_to_datetime(date)
        if until.tzinfo is None:
            # HTTP dates are in GMT; some servers forget to write it.
            until = until.replace(tzinfo=UTC)
        return max(0.0, (until - now).total_seconds())
    except (ValueError, TypeError, OverflowError):
        return None
