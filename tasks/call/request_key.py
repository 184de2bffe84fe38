"""Names of requests: what was asked (`request_key`) and which asking it was (`request_id`)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tasks.call.base import ChatRequest, Message

IDENTITY_FIELDS = frozenset(
    {"model", "messages", "max_output_tokens", "temperature", "seed", "functions"}
)
"""Fields of `ChatRequest` that can change the answer: all of them are in the key."""

RUNTIME_FIELDS = frozenset({"origin", "idempotency_key", "timeout_s"})
"""Fields that say why, under which name and for how long it is asked: none is in the key."""

_VERSION = 1
"""Raise it when the canonical form changes, so that old keys can never match new requests."""


def request_key(request: ChatRequest) -> str:
    """Identity of what is asked: 64 hexadecimal digits, sha256 over the identity fields.

    Two requests share a key exactly when a provider would see the same body. The order of
    messages and functions counts; the order of keys inside a JSON schema does not.
    """
    canonical = [
        _VERSION,
        request.model,
        [_message(message) for message in request.messages],
        request.max_output_tokens,
        # 0 and 0.0 are one temperature, and so are 0.0 and -0.0.
        float(request.temperature) + 0.0,
        request.seed,
        [
            [function.name, function.description, function.parameters]
            for function in request.functions
        ],
    ]
    return hashlib.sha256(_canonical_json(canonical)).hexdigest()


def request_id(
    run_id: str,
    query_id: str,
    pair_id: str,
    call_index: int,
    round: int,  # noqa: A002 - the ledger's own word for it
) -> str:
    """The idempotency key of one paid request: deterministic, 46 characters, safe in a header.

    A run that is started again after a crash finds the same id for the same piece of work.

    Args:
        run_id: the batch run.
        query_id: the query it serves.
        pair_id: the pair it serves, `model@@tool`.
        call_index: 0-based position among the calls this pair makes for this query.
        round: 0 at first; one more for every deliberate repetition of the whole work.
    """
    parts = _canonical_json([run_id, query_id, pair_id, call_index, round])
    return f"atlas-{hashlib.sha256(parts).hexdigest()[:40]}"


def _message(message: Message) -> list[Any]:
    calls = [[call.id, call.name, call.arguments] for call in message.tool_calls]
    return [message.role, message.content, calls, message.tool_call_id]


def _canonical_json(value: object) -> bytes:
    # ASCII output: a lone surrogate, which UTF-8 cannot carry, stays a plain escape.
    return _encoder.encode(value).encode("ascii")


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"a JSON schema cannot hold a {type(value).__name__}: {value!r}")


_encoder = json.JSONEncoder(sort_keys=True, separators=(",", ":"), default=_plain)
