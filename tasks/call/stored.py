"""Answers and attempts as JSON, so that the ledger can replay a paid call without paying again."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple

import orjson

from tasks.call.base import ChatResponse, RecordedOutcome, ToolCall, Usage
from tasks.call.errors import CallError, FatalError, Fate, RetryableError, RowError

_ERRORS: dict[str, type[CallError]] = {
    "retryable": RetryableError,
    "row": RowError,
    "fatal": FatalError,
}


class Stored(NamedTuple):
    """What a payload holds: how the call ended, and a row for every time it was tried."""

    response: ChatResponse | None
    error: CallError | None
    attempts: list[dict[str, Any]]


def pack(
    attempts: Sequence[Mapping[str, Any]],
    *,
    response: ChatResponse | None = None,
    error: CallError | None = None,
) -> str:
    """JSON of a call's end and its attempts."""
    return pack_value(
        {
            "response": None if response is None else _pack_response(response),
            "error": None if error is None else _pack_error(error),
            "attempts": attempts,
        }
    )


def pack_value(value: object) -> str:
    """JSON in which Decimals and moments survive."""
    try:
        return orjson.dumps(value, default=_plain, option=orjson.OPT_PASSTHROUGH_DATETIME).decode()
    except orjson.JSONEncodeError:
        # Half surrogate pairs and whole numbers beyond 64 bits, which only the slow one knows.
        return _encoder.encode(value)


def unpack_value(payload: str) -> Any:  # noqa: ANN401
    """The reverse of `pack_value`."""
    return json.loads(payload, object_hook=_revive)


def unpack(payload: str | None) -> Stored:
    """The reverse of `pack`; None gives an empty record."""
    if payload is None:
        return Stored(None, None, [])
    data = unpack_value(payload)
    response = data["response"]
    error = data["error"]
    return Stored(
        None if response is None else _response(response),
        None if error is None else _error(error),
        data["attempts"],
    )


def _plain(value: object) -> Any:  # noqa: ANN401
    if isinstance(value, Decimal):
        return {"$decimal": str(value)}
    if isinstance(value, datetime):
        return {"$time": value.isoformat()}
    raise TypeError(f"{type(value).__name__} cannot be stored in the ledger")


def _revive(value: dict[str, Any]) -> Any:  # noqa: ANN401
    if len(value) == 1:
        if "$decimal" in value:
            return Decimal(value["$decimal"])
        if "$time" in value:
            return datetime.fromisoformat(value["$time"])
    return value


def _response(data: dict[str, Any]) -> ChatResponse:
    recorded = data.pop("recorded")
    return ChatResponse(
        usage=Usage(**data.pop("usage")),
        tool_calls=tuple(ToolCall(**call) for call in data.pop("tool_calls")),
        recorded=None if recorded is None else RecordedOutcome(**recorded),
        **data,
    )


def _pack_response(response: ChatResponse) -> dict[str, Any]:
    # Spelled out: dataclasses.asdict copies deeply, which shows at a thousand answers a second.
    usage, recorded = response.usage, response.recorded
    return {
        "text": response.text,
        "usage": _pack_usage(usage),
        "tool_calls": [
            {"id": call.id, "name": call.name, "arguments": call.arguments}
            for call in response.tool_calls
        ],
        "finish_reason": response.finish_reason,
        "response_model": response.response_model,
        "response_id": response.response_id,
        "http_status": response.http_status,
        "recorded": None
        if recorded is None
        else {"score": recorded.score, "cost_usd": recorded.cost_usd},
    }


def _pack_usage(usage: Usage) -> dict[str, Any]:
    return {
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "cached_input_tokens": usage.cached_input_tokens,
        "reasoning_output_tokens": usage.reasoning_output_tokens,
    }


def _pack_error(error: CallError) -> dict[str, Any]:
    return {
        "class": error.error_class,
        "message": str(error),
        "error_type": error.error_type,
        "fate": error.fate.value,
        "http_status": error.http_status,
        "retry_after_s": error.retry_after_s,
        "usage": None if error.usage is None else _pack_usage(error.usage),
    }


def _error(data: dict[str, Any]) -> CallError:
    usage = data["usage"]
    return _ERRORS[data["class"]](
        data["message"],
        error_type=data["error_type"],
        fate=Fate(data["fate"]),
        http_status=data["http_status"],
        retry_after_s=data["retry_after_s"],
        usage=None if usage is None else Usage(**usage),
    )


_encoder = json.JSONEncoder(default=_plain, ensure_ascii=False, separators=(",", ":"))
