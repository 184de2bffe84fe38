"""LiteLLM spend logs as evidence: exported rows of `LiteLLM_SpendLogs` (JSON lines, CSV, Parquet).

Read: `request_id`, `call_type`, `model_group`, `model`, `spend`, `prompt_tokens`,
`completion_tokens`, `request_duration_ms`, `startTime`, `endTime`, `cache_hit`, `status`,
`metadata.error_information`, and, where the proxy stores them (`store_prompts_in_spend_logs`),
the request (`proxy_server_request`, else `messages`) and the `response`. A call whose request is
not stored belongs to no question: it prices its pair as a whole (`tasks.importing.pair_calls`).

The proxy writes a spend of 0 for a model whose price it does not know. That is an unknown cost
here, unless the model is named with `--free`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from tasks.importing.conversation import Asked, answer_in, asked_in
from tasks.importing.files import LogFile
from tasks.importing.options import ImportOptions
from tasks.importing.record import MISSING, Raw, Unasked, as_object, unfolded, with_map
from tasks.importing.records import find_file, iter_records
from tasks.read.lines import Record
from tasks.read.rows import BadRow, RowProblem

CHAT_CALLS = frozenset(
    (
        "",
        "completion",
        "acompletion",
        "text_completion",
        "atext_completion",
        "responses",
        "aresponses",
        "anthropic_messages",
    )
)
"""Calls that answer a question; others (embeddings, images, speech) are left aside."""


def read_litellm(
    files: Sequence[LogFile], options: ImportOptions, notes: list[str]
) -> Iterator[Raw | Unasked | BadRow]:
    """Every call that answers a question, known or not.

    Raises:
        LogError: a file cannot be read.
    """
    for file in files:
        aside: Counter[str] = Counter()
        for item in iter_records(find_file(file.path), options.limits):
            if isinstance(item, BadRow):
                yield item
                continue
            found = _row(file, item, options, aside)
            if found is not None:
                yield found
        notes += [f"{file.label}: {reason}: {number:,}" for reason, number in aside.items()]


def _row(
    file: LogFile, item: Record, options: ImportOptions, aside: Counter[str]
) -> Raw | Unasked | BadRow | None:
    record = item.values
    if str(record.get("call_type") or "") not in CHAT_CALLS:
        aside["calls that answer no question, left aside"] += 1
        return None
    if str(record.get("cache_hit")).lower() == "true":
        aside["answers from the proxy's cache, left aside (no call was made)"] += 1
        return None
    asked: Asked | None = None
    if "prompt" not in options.columns:
        try:
            asked = _asked(record, options)
        except RowProblem as problem:
            return BadRow(file.label, item.row, problem.field, problem.reason)
    error_type = _error_type(record)
    model = record.get("model_group") or record.get("model")
    values = {
        "prompt": asked.prompt if asked else None,
        "context": asked.context if asked else "",
        "model": model,
        "cost_usd": None if error_type else _spend(record, model, options, aside),
        "input_tokens": record.get("prompt_tokens"),
        "output_tokens": record.get("completion_tokens"),
        "duration_ms": record.get("request_duration_ms"),
        "answer": answer_in(as_object(record.get("response"))),
        "error_type": error_type,
    }
    if values["duration_ms"] in MISSING:
        values["duration_s"] = _seconds(record)
    if error_type:
        # The proxy writes zeros where nothing was counted.
        values["input_tokens"] = values["input_tokens"] or None
        values["output_tokens"] = values["output_tokens"] or None
    mapped = with_map(values, record, options.columns)
    observation = f"litellm:{record.get('request_id')}"
    if asked is None and "prompt" not in options.columns:
        return Unasked(file.label, item.row, mapped, observation)
    return Raw(file.label, item.row, mapped, observation)


def _asked(record: Mapping[str, Any], options: ImportOptions) -> Asked | None:
    """What was asked, None where the log does not hold it.

    Raises:
        RowProblem: it is there and asks nothing that a router could be asked.
    """
    request = as_object(record.get("proxy_server_request"))
    body = as_object(request.get("body")) or request
    if body.get("messages") or body.get("input") or body.get("prompt"):
        return asked_in(body, options.limits, "proxy_server_request")
    messages = unfolded(record.get("messages"))
    if isinstance(messages, list) and messages:
        return asked_in({"messages": messages}, options.limits, "row")
    return None


def _spend(
    record: Mapping[str, Any],
    model: Any,  # noqa: ANN401 - as logged
    options: ImportOptions,
    aside: Counter[str],
) -> Any:  # noqa: ANN401 - checked later
    spend = record.get("spend")
    is_zero = spend in (0, "0", "0.0") or (isinstance(spend, str) and not spend.strip("0. "))
    if is_zero and spend not in MISSING and model not in options.free:
        aside[f"calls of {model} with a spend of 0, read as unknown (--free {model} means it)"] += 1
        return None
    return spend


def _error_type(record: Mapping[str, Any]) -> str | None:
    if str(record.get("status") or "success").lower() != "failure":
        return None
    error = as_object(as_object(record.get("metadata")).get("error_information"))
    name = error.get("error_class") or error.get("error_code")
    return str(name) if name else "failure"


def _seconds(record: Mapping[str, Any]) -> float | None:
    """From start to end, None where one of them cannot be read."""
    try:
        start, end = (_time(record.get(name)) for name in ("startTime", "endTime"))
        seconds = (end - start).total_seconds()
    except (ValueError, TypeError):
        return None
    return seconds if seconds >= 0 else None


def _time(value: Any) -> datetime:  # noqa: ANN401 - checked here
    return value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
