"""Requests and answers of chat APIs as logs keep them: what was asked, said, and counted.

Read are the bodies of `/chat/completions`, `/completions`, `/responses` and Anthropic's
`/messages`. How a conversation becomes a prompt and a context is the rule of
`tasks.read.batch_form`: the same request as a backlog row is the same question.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from tasks.importing.record import as_object, unfolded
from tasks.read.batch_form import parse_batch
from tasks.read.rows import ReadLimits, RowProblem, describe


class Asked(NamedTuple):
    """One question of a conversation."""

    prompt: str
    context: str


class Usage(NamedTuple):
    """Tokens of a call, None where they were not counted; cached ones are input tokens too."""

    input_tokens: Any
    output_tokens: Any


def asked_in(body: Mapping[str, Any], limits: ReadLimits, field: str = "body") -> Asked:
    """Prompt and context of a request.

    Raises:
        RowProblem: it asks nothing that a router could be asked; `field` opens the place.
    """
    messages = unfolded(body.get("messages"))
    if messages is None:
        messages = _other_messages(body, field)
    system = _text(body.get("system")) or _text(body.get("instructions"))
    if system and isinstance(messages, list):
        messages = [{"role": "system", "content": system}, *messages]
    return fold(messages, limits, f"{field}.messages")


def fold(messages: Any, limits: ReadLimits, field: str) -> Asked:  # noqa: ANN401 - as logged
    """Prompt and context of a list of messages.

    Raises:
        RowProblem: it does not end with a message of the user, or holds more than text.
    """
    if isinstance(messages, list):
        messages = [_plain(message) for message in messages]
    try:
        draft = parse_batch({"custom_id": "-", "body": {"messages": messages}}, limits)
    except RowProblem as problem:
        where = (problem.field or "").replace("body.messages", field, 1)
        raise RowProblem(where, problem.reason) from None
    return Asked(draft.prompt, draft.context)


def _other_messages(body: Mapping[str, Any], field: str) -> Any:  # noqa: ANN401 - checked later
    """What `/responses` and `/completions` ask, as messages."""
    given = unfolded(body.get("input"))
    if given is None:
        given = body.get("prompt")
    if isinstance(given, str):
        return [{"role": "user", "content": given}]
    if isinstance(given, list):
        return given
    reason = "is missing" if given is None else f"must be text or a list, is {describe(given)}"
    raise RowProblem(f"{field}.messages", reason)


def _plain(message: Any) -> Any:  # noqa: ANN401 - checked by `parse_batch`
    """A message without parts that are no part of what was said: reasoning, cache marks."""
    if not isinstance(message, Mapping) or not isinstance(message.get("content"), list):
        return message
    kept = [
        _text_part(part)
        for part in message["content"]
        if not (isinstance(part, Mapping) and part.get("type") in ("reasoning", "thinking"))
    ]
    return {**message, "content": kept}


def _text_part(part: Any) -> Any:  # noqa: ANN401 - checked by `parse_batch`
    if isinstance(part, str):
        return {"type": "text", "text": part}
    if isinstance(part, Mapping) and part.get("type") == "output_text":
        return {**part, "type": "text"}
    return part


def answer_in(body: Mapping[str, Any]) -> str | None:
    """The text of a response, None where it has none."""
    choices = body.get("choices")
    if isinstance(choices, list) and choices:
        first = as_object(choices[0])
        found = _text(as_object(first.get("message")).get("content"))
        return found if found is not None else _text(first.get("text"))
    output = body.get("output")
    if isinstance(output, list):
        said = [_text(as_object(item).get("content")) for item in output]
        texts = [text for text in said if text is not None]
        return "\n".join(texts) if texts else None
    return _text(body.get("content"))


def usage_in(body: Mapping[str, Any]) -> Usage:
    """The tokens a response says were used."""
    usage = as_object(body.get("usage"))
    read = usage.get("prompt_tokens", usage.get("input_tokens"))
    written = usage.get("completion_tokens", usage.get("output_tokens"))
    return Usage(read, written)


def _text(content: Any) -> str | None:  # noqa: ANN401 - as logged
    """Content given as text or as a list of text parts."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return None
    texts = [part.get("text") for part in content if isinstance(part, Mapping)]
    kept = [text for text in texts if isinstance(text, str)]
    return "\n".join(kept) if kept else None
