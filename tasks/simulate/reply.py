"""What a simulated model gives back: the response, and how long it took to think of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from tasks.call.base import ChatRequest, ChatResponse


@dataclass(frozen=True, slots=True)
class SimulatedReply:
    """One simulated completion.

    Attributes:
        response: what the model answers, with the tokens it charges.
        latency_s: how long a provider would take, in seconds, before any scaling.
    """

    response: ChatResponse
    latency_s: float


class Completer(Protocol):
    """One simulated model: a pure function of its seed and the request."""

    def complete(self, request: ChatRequest) -> SimulatedReply:
        """Answer one request. The same request gets the same reply, every time.

        Must not depend on `request.origin`, which does not travel over the wire.
        """
        ...
