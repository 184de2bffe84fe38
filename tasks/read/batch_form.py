"""The OpenAI batch form: `{custom_id, method, url, body: {model?, messages: [...]}}` on one line.

How a conversation becomes one query:

* texts of `system` and `developer` messages, in order, joined by a blank line, open the context;
* the last message must be the user's (system messages may still follow); its text is the prompt;
* turns before it follow in the context as a transcript headed `Conversation so far:`, one
  paragraph a turn, `User: …`, `Assistant: …`, `Tool: …`; a call to a function is written out as
  `[called name with arguments]`;
* content given as a list of parts is the texts of its parts joined by line breaks; an image, a
  sound or a file in it makes the row bad.

Everything else in the body (model, temperature, tools …) is ATLAS's to choose and is not used.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tasks.read.rows import (
    LABEL_NAMES,
    Draft,
    ReadLimits,
    RowProblem,
    checked_prompt,
    checked_text,
    describe,
    read_id,
    read_labels,
)

BATCH_NAMES = frozenset(("custom_id", "method", "url", "body", *LABEL_NAMES))
USED_BODY_NAMES = frozenset(("messages", "model"))
CHAT_URL = "/chat/completions"
TURNS = {"user": "User", "assistant": "Assistant", "tool": "Tool", "function": "Tool"}


def is_batch_form(record: Mapping[str, Any]) -> bool:
    """Whether a JSON object is a line of a batch file rather than a plain row."""
    return "body" in record or ("method" in record and "url" in record)


def parse_batch(record: Mapping[str, Any], limits: ReadLimits) -> Draft:
    """Check one line of batch form and fold its conversation into prompt and context.

    Raises:
        RowProblem: the first field at fault, with the id where that could be read.
    """
    custom_id = read_id(record, ("custom_id",))
    if custom_id is None:
        raise RowProblem("custom_id", "is missing; every line of a batch file needs one")
    try:
        messages = _messages(record)
        prompt, context = _fold(messages, limits.max_prompt_bytes)
        labels = read_labels(record, limits)
    except RowProblem as problem:
        problem.custom_id = custom_id
        raise
    return Draft(custom_id, None, prompt, context, *labels)


def _messages(record: Mapping[str, Any]) -> list[Any]:
    """The messages of a request that ATLAS can answer."""
    method, url = record.get("method", "POST"), record.get("url", CHAT_URL)
    if method != "POST":
        raise RowProblem("method", "must be POST")
    if not isinstance(url, str) or not url.endswith(CHAT_URL):
        raise RowProblem("url", f"must end in {CHAT_URL}; ATLAS answers chat completions only")
    body = record.get("body")
    if not isinstance(body, dict):
        raise RowProblem("body", f"must be an object, is {describe(body)}")
    messages = body.get("messages")
    if not isinstance(messages, list):
        raise RowProblem("body.messages", f"must be a list, is {describe(messages)}")
    if not messages:
        raise RowProblem("body.messages", "is empty")
    return messages


def _fold(messages: list[Any], max_bytes: int) -> tuple[str, str]:
    """Prompt and context of a conversation, by the rules of this module's docstring."""
    prompt: str | None = None
    prompt_field = ""
    systems: list[str] = []
    turns: list[str] = []
    for place, message in enumerate(messages):
        field = f"body.messages[{place}]"
        if not isinstance(message, dict):
            raise RowProblem(field, f"must be an object, is {describe(message)}")
        role = message.get("role")
        if role in ("system", "developer"):
            systems.append(_content(message, f"{field}.content", max_bytes))
        elif isinstance(role, str) and role in TURNS:
            if prompt is not None:
                turns.append(f"User: {prompt}")
                prompt = None
            text = _content(message, f"{field}.content", max_bytes)
            if role == "user":
                prompt, prompt_field = text, f"{field}.content"
            else:
                turns.append(f"{TURNS[role]}: {text}")
        else:
            shown = repr(role[:40]) if isinstance(role, str) else describe(role)
            raise RowProblem(f"{field}.role", f"must be system, user or assistant, is {shown}")
    if prompt is None:
        reason = "must end with a message of the user, which is the prompt"
        raise RowProblem("body.messages", reason)
    if turns:
        systems.append("\n\n".join(("Conversation so far:", *turns)))
    context = checked_text("\n\n".join(systems), "body.messages", max_bytes)
    return checked_prompt(prompt, prompt_field, max_bytes), context


def _content(message: Mapping[str, Any], field: str, max_bytes: int) -> str:
    """The text of one message."""
    content = message.get("content")
    if isinstance(content, list):
        parts = [_part(part, f"{field}[{place}]") for place, part in enumerate(content)]
        content = "\n".join(parts)
    calls = message.get("tool_calls")
    if isinstance(calls, list) and calls:
        written = [_call(call) for call in calls]
        content = "\n".join((content, *written)) if content else "\n".join(written)
    return checked_text(content, field, max_bytes)


def _part(part: object, field: str) -> str:
    """The text of one content part."""
    if not isinstance(part, dict):
        raise RowProblem(field, f"must be an object, is {describe(part)}")
    kind, text = part.get("type"), part.get("text")
    if kind not in ("text", "input_text"):
        shown = repr(kind[:40]) if isinstance(kind, str) else describe(kind)
        raise RowProblem(field, f"is a part of type {shown}; only text can be answered, no images")
    if not isinstance(text, str):
        raise RowProblem(f"{field}.text", f"must be text, is {describe(text)}")
    return text


def _call(call: object) -> str:
    """A function call of an earlier turn, written out for the transcript."""
    function = call.get("function") if isinstance(call, dict) else None
    if not isinstance(function, dict):
        return "[called a function]"
    return f"[called {function.get('name')} with {function.get('arguments')}]"
