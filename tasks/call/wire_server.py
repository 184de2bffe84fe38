"""The OpenAI chat-completions JSON, as a server reads requests and writes answers.

HTTP -> parse_request -> ChatRequest;  ChatResponse -> completion_body -> HTTP
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast, get_args

from tasks.call.base import CallOrigin, ChatRequest, FunctionSchema, Message, Role
from tasks.call.wire import MAX_TOKENS, content_text, read_tool_calls, tool_call_body

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tasks.call.base import ChatResponse, Usage

_ROLES = frozenset(get_args(Role))


class BadBody(ValueError):  # noqa: N818 - it is the body that is bad
    """A request body that the server side cannot read; the message says which field and why."""


def parse_request(
    body: object, *, origin: CallOrigin | None = None, idempotency_key: str = ""
) -> ChatRequest:
    """The request in a decoded JSON body, as a server sees it.

    Args:
        body: the decoded body.
        origin: which query and pair it serves; a server that cannot know gets an empty query id,
            the model's name and the tool `none`.
        idempotency_key: from the header.

    Raises:
        BadBody: a field is missing or of the wrong type, or streaming or n > 1 is asked for.
    """
    if not isinstance(body, dict):
        raise BadBody("the body must be a JSON object")
    model = _string(body, "model")
    if body.get("stream"):
        raise BadBody("stream: this server does not stream; leave it out or send false")
    if body.get("n") not in (None, 1):
        raise BadBody("n: this server gives one choice; leave it out or send 1")
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise BadBody("messages: must be a list with at least one message")
    limit = body.get("max_completion_tokens", body.get(MAX_TOKENS))
    seed = body.get("seed")
    return ChatRequest(
        model=model,
        messages=tuple(_parse_message(message, i) for i, message in enumerate(messages)),
        max_output_tokens=1024 if limit is None else _whole(limit, "max_tokens", at_least=1),
        origin=origin or CallOrigin(query_id="", model=model, tool="none"),
        temperature=_number(body.get("temperature"), "temperature"),
        seed=None if seed is None else _whole(seed, "seed"),
        functions=_parse_functions(body.get("tools")),
        idempotency_key=idempotency_key,
    )


def _parse_message(message: object, number: int) -> Message:
    where = f"messages[{number}]"
    if not isinstance(message, dict):
        raise BadBody(f"{where}: must be an object")
    role = message.get("role")
    if role not in _ROLES:
        raise BadBody(f"{where}.role: must be one of {sorted(_ROLES)}, not {role!r}")
    content = message.get("content")
    if content is not None and not isinstance(content, str | list):
        raise BadBody(f"{where}.content: must be text or a list of parts")
    tool_call_id = message.get("tool_call_id")
    if tool_call_id is not None and not isinstance(tool_call_id, str):
        raise BadBody(f"{where}.tool_call_id: must be text")
    return Message(
        role=cast("Role", role),
        content=content_text(content),
        tool_calls=read_tool_calls(message.get("tool_calls")),
        tool_call_id=tool_call_id,
    )


def _parse_functions(tools: object) -> tuple[FunctionSchema, ...]:
    if tools is None:
        return ()
    if not isinstance(tools, list):
        raise BadBody("tools: must be a list")
    functions = []
    for number, tool in enumerate(tools):
        function = tool.get("function") if isinstance(tool, dict) else None
        if not isinstance(function, dict):
            raise BadBody(f"tools[{number}].function: must be an object")
        parameters = function.get("parameters")
        functions.append(
            FunctionSchema(
                name=_string(function, "name", f"tools[{number}].function."),
                description=str(function.get("description") or ""),
                parameters=parameters if isinstance(parameters, dict) else {},
            )
        )
    return tuple(functions)


def _string(holder: Mapping[str, Any], name: str, where: str = "") -> str:
    value = holder.get(name)
    if not isinstance(value, str) or not value:
        raise BadBody(f"{where}{name}: must be text that is not empty")
    return value


def _whole(value: object, name: str, at_least: int | None = None) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise BadBody(f"{name}: must be a whole number, not {value!r}")
    if at_least is not None and value < at_least:
        raise BadBody(f"{name}: must be at least {at_least}, not {value}")
    return value


def _number(value: object, name: str) -> float:
    if value is None:
        return 1.0
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise BadBody(f"{name}: must be a number, not {value!r}")
    return float(value)


def completion_body(response: ChatResponse, model: str, *, created: int = 0) -> dict[str, Any]:
    """The JSON body a server sends for a response.

    Args:
        response: what the model answered.
        model: the name under which the model was asked for.
        created: unix time in whole seconds.
    """
    message: dict[str, Any] = {"role": "assistant", "content": response.text or None}
    if response.tool_calls:
        message["tool_calls"] = [tool_call_body(call) for call in response.tool_calls]
    choice = {"index": 0, "message": message, "finish_reason": response.finish_reason}
    return {
        "id": response.response_id,
        "object": "chat.completion",
        "created": created,
        "model": response.response_model or model,
        "choices": [choice],
        "usage": _usage_body(response.usage),
    }


def _usage_body(usage: Usage) -> dict[str, Any] | None:
    if usage.input_tokens is None and usage.output_tokens is None:
        return None
    body: dict[str, Any] = {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": (usage.input_tokens or 0) + (usage.output_tokens or 0),
    }
    if usage.cached_input_tokens is not None:
        body["prompt_tokens_details"] = {"cached_tokens": usage.cached_input_tokens}
    if usage.reasoning_output_tokens is not None:
        body["completion_tokens_details"] = {"reasoning_tokens": usage.reasoning_output_tokens}
    return body
