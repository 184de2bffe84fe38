"""What every chat client speaks: one request in, one response or one classified error out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal, Protocol

Role = Literal["system", "user", "assistant", "tool"]


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A function call a model asked for; `arguments` is the JSON text exactly as it came."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a conversation."""

    role: Role
    content: str
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None


@dataclass(frozen=True, slots=True)
class FunctionSchema:
    """A function offered to a model: its name, what it does, JSON schema of its arguments."""

    name: str
    description: str
    parameters: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class CallOrigin:
    """Which query and pair a request serves. Never sent to a provider."""

    query_id: str
    model: str
    """Key of the model in the pool."""
    tool: str
    """Key of the tool in the pool."""
    step: int = 0


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """One chat completion to ask for.

    `model` (the provider's name of it), `messages`, `max_output_tokens`, `temperature`, `seed`
    and `functions` are the request's identity; `origin`, `idempotency_key` and `timeout_s` are
    runtime and change nothing about the answer.
    """

    model: str
    messages: tuple[Message, ...]
    max_output_tokens: int
    origin: CallOrigin
    temperature: float = 0.0
    seed: int | None = None
    functions: tuple[FunctionSchema, ...] = ()
    idempotency_key: str = ""
    timeout_s: float = 120.0


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens a provider says it charged; `None` is unknown. Input includes cached input."""

    input_tokens: int | None
    output_tokens: int | None
    cached_input_tokens: int | None = None
    reasoning_output_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class RecordedOutcome:
    """What a recorded table says beside the answer; `score` None means unscored there."""

    score: float | None
    cost_usd: Decimal | None


@dataclass(frozen=True, slots=True)
class ChatResponse:
    """One completed chat completion."""

    text: str
    usage: Usage
    tool_calls: tuple[ToolCall, ...] = ()
    finish_reason: str = "stop"
    response_model: str = ""
    response_id: str = ""
    http_status: int | None = None
    recorded: RecordedOutcome | None = None


class ChatClient(Protocol):
    """One provider. Sends each request exactly once: retries are `tasks.call.paid`'s."""

    provider: str

    async def complete(self, request: ChatRequest) -> ChatResponse:
        """Ask for one completion.

        Raises:
            CallError: one of the three classes of `tasks.call.errors`, never anything else.
        """
        ...

    async def close(self) -> None:
        """Release sockets; the client cannot be used afterwards."""
        ...
