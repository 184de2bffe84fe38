"""The OpenAI chat-completions JSON, as a client writes requests and reads answers.

    ChatRequest -> request_body -> HTTP -> parse_completion -> ChatResponse

The other end of the wire is `tasks.call.wire_server`; what both share is here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NoReturn

from tasks.call.base import ChatResponse, ToolCall, Usage
from tasks.call.classify import error_of, quote, refusal
from tasks.call.errors import Fate, RetryableError, RowError
from tasks.call.text import storable_document

if TYPE_CHECKING:
    from tasks.call.base import ChatRequest, Message
    from tasks.call.classify import Asked

MAX_TOKENS = "max_tokens"
"""What most servers call the limit; OpenAI's reasoning models call it `max_completion_tokens`."""
MOST_TOKENS = 10**9
"""A count beyond this is not believed: no model reads or writes so much in one call, and its price
would be more than the ledger's integers can hold."""


def request_body(
    request: ChatRequest,
    *,
    max_tokens_name: str = MAX_TOKENS,
    parameters: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The JSON body of one chat completion: no streaming, one choice.

    Args:
        request: what to ask.
        max_tokens_name: what this provider calls the limit of output tokens.
        parameters: the pool's own parameters of the model; they win over the request's, and a
            null leaves the field out (some models refuse `temperature`, say).
    """
    body: dict[str, Any] = {
        "model": request.model,
        "messages": [_message_body(message) for message in request.messages],
        max_tokens_name: request.max_output_tokens,
        "temperature": request.temperature,
        "stream": False,
    }
    if request.seed is not None:
        body["seed"] = request.seed
    if request.functions:
        body["tools"] = [
            {
                "type": "function",
                "function": {
                    "name": function.name,
                    "description": function.description,
                    "parameters": dict(function.parameters),
                },
            }
            for function in request.functions
        ]
    for name, value in (parameters or {}).items():
        if value is None:
            body.pop(name, None)
        else:
            body[name] = value
    return body


def _message_body(message: Message) -> dict[str, Any]:
    body: dict[str, Any] = {"role": message.role, "content": message.content}
    if message.tool_calls:
        body["tool_calls"] = [tool_call_body(call) for call in message.tool_calls]
    if message.tool_call_id is not None:
        body["tool_call_id"] = message.tool_call_id
    return body


def tool_call_body(call: ToolCall) -> dict[str, Any]:
    """One function call inside an assistant's message."""
    function = {"name": call.name, "arguments": call.arguments}
    return {"id": call.id, "type": "function", "function": function}


def parse_completion(
    body: bytes | Mapping[str, Any], asked: Asked, *, http_status: int = 200
) -> ChatResponse:
    """The response in a body that came with a 2xx status.

    Raises:
        RetryableError: `truncated_body` or `malformed_body`, fate UNKNOWN: it may be charged.
        RowError: `empty_choices`, `empty_answer` or `refused_by_provider`, fate ANSWERED, with
            the usage the provider charged.
        CallError: what an error object that came with a 2xx status stands for.
    """
    document = _document(body, asked, http_status)
    choices = document.get("choices")
    if "choices" not in document:
        _no_choices(document, asked, http_status)
    usage = _usage(document.get("usage"))
    if not choices:
        raise _useless(asked, "empty_choices", "an empty list of choices", usage, http_status)
    choice = choices[0] if isinstance(choices, list) else None
    if not isinstance(choice, dict):
        _malformed(asked, "choices are not a list of objects", http_status)
    message = choice.get("message")
    if not isinstance(message, dict):
        message = {}
    finish_reason = choice.get("finish_reason")
    finish_reason = finish_reason if isinstance(finish_reason, str) else "stop"
    text, tool_calls = (
        content_text(message.get("content")),
        read_tool_calls(message.get("tool_calls")),
    )
    if finish_reason == "content_filter" or (not text and message.get("refusal")):
        said = (
            f"a refusal ({quote(str(message.get('refusal') or 'content filter'), asked.secrets)})"
        )
        raise _useless(asked, "refused_by_provider", said, usage, http_status)
    if not text.strip() and not tool_calls:
        said = "an empty answer"
        if finish_reason == "length":
            said += ", having used all its output tokens: raise max_output_tokens in the pool file"
        raise _useless(asked, "empty_answer", said, usage, http_status)
    return ChatResponse(
        text=text,
        usage=usage,
        tool_calls=tool_calls,
        finish_reason=finish_reason,
        response_model=str(document.get("model") or ""),
        response_id=str(document.get("id") or ""),
        http_status=http_status,
    )


def _document(body: bytes | Mapping[str, Any], asked: Asked, status: int) -> Mapping[str, Any]:
    if not isinstance(body, bytes):
        return body
    try:
        document = storable_document(json.loads(body), body)
    except (ValueError, RecursionError) as error:
        if _is_cut(body, error):
            raise truncated(asked, status) from None
        _malformed(asked, f"the body is not JSON: {_quoted(body, asked)}", status)
    if not isinstance(document, dict):
        _malformed(asked, f"the body is not a JSON object: {_quoted(body, asked)}", status)
    return document


def _is_cut(body: bytes, error: Exception) -> bool:
    """Whether a body that is not JSON looks like the beginning of one."""
    text = body.strip()
    if not text:
        return True
    at_end = isinstance(error, json.JSONDecodeError) and error.pos >= len(error.doc.rstrip())
    return text.startswith(b"{") and (at_end or not text.endswith(b"}"))


def _no_choices(document: Mapping[str, Any], asked: Asked, status: int) -> NoReturn:
    """Some gateways send an error under a 200: its own code then tells what it is."""
    error = document.get("error")
    if error is None:
        _malformed(asked, f"the body has no choices, only {sorted(document)[:8]}", status)
    code = error.get("code") if isinstance(error, dict) else None
    body = json.dumps(document).encode()
    if isinstance(code, int) and 400 <= code < 600:
        raise refusal(code, body, asked)
    _, message = error_of(document)
    raise RetryableError(
        f"model {asked.model_key!r}: {asked.url} answered with an error under HTTP {status}. "
        f"It said: {quote(message or body.decode(), asked.secrets)}",
        error_type="server_error",
        fate=Fate.UNKNOWN,
        http_status=status,
    )


def truncated(asked: Asked, status: int | None) -> RetryableError:
    """The error for an answer that was cut off."""
    return RetryableError(
        f"model {asked.model_key!r}: the answer of {asked.url} was cut off; it may have been "
        "charged",
        error_type="truncated_body",
        fate=Fate.UNKNOWN,
        http_status=status,
    )


def _malformed(asked: Asked, what: str, status: int) -> NoReturn:
    raise RetryableError(
        f"model {asked.model_key!r}: {asked.url} sent an answer that cannot be read: {what}",
        error_type="malformed_body",
        fate=Fate.UNKNOWN,
        http_status=status,
    )


def _useless(asked: Asked, error_type: str, what: str, usage: Usage, status: int) -> RowError:
    return RowError(
        f"model {asked.model_key!r}: {asked.url} answered with {what}",
        error_type=error_type,
        fate=Fate.ANSWERED,
        http_status=status,
        usage=usage,
    )


def _quoted(body: bytes, asked: Asked) -> str:
    return quote(body.decode("utf-8", "replace"), asked.secrets)


def content_text(content: object) -> str:
    """The text of a message's content: plain, or the text parts of a list, or nothing."""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        parts = (part.get("text") for part in content if isinstance(part, dict))
        return "".join(part for part in parts if isinstance(part, str))
    return ""


def read_tool_calls(value: object) -> tuple[ToolCall, ...]:
    """The function calls in a message; entries that name no function are passed over."""
    if not isinstance(value, list):
        return ()
    calls = []
    for number, call in enumerate(value):
        function = call.get("function") if isinstance(call, dict) else None
        if not isinstance(function, dict) or not isinstance(function.get("name"), str):
            continue
        arguments = function.get("arguments")
        if not isinstance(arguments, str):
            # Some local servers send the arguments as an object instead of its text.
            arguments = json.dumps(arguments or {})
        calls.append(ToolCall(str(call.get("id") or f"call_{number}"), function["name"], arguments))
    return tuple(calls)


def _usage(value: object) -> Usage:
    if not isinstance(value, dict):
        return Usage(None, None)
    prompt = value.get("prompt_tokens_details")
    completion = value.get("completion_tokens_details")
    return Usage(
        input_tokens=_count(value, "prompt_tokens"),
        output_tokens=_count(value, "completion_tokens"),
        cached_input_tokens=_count(prompt, "cached_tokens"),
        reasoning_output_tokens=_count(completion, "reasoning_tokens"),
    )


def _count(holder: object, name: str) -> int | None:
    value = holder.get(name) if isinstance(holder, dict) else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    # The comparison also refuses NaN and infinity.
    return int(value) if 0 <= value <= MOST_TOKENS else None
