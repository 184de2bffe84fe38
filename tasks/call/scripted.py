"""A client that gives the answers it was told to give. For tests: yours and ours."""

from __future__ import annotations

import inspect
from collections import deque
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeAlias

from tasks.call.base import ChatRequest, ChatResponse, Usage
from tasks.call.errors import CallError, FatalError, Fate

if TYPE_CHECKING:
    from collections.abc import Iterable

Scripted: TypeAlias = "str | ChatResponse | CallError"
Answer: TypeAlias = "Scripted | Callable[[ChatRequest], Scripted | Awaitable[Scripted]]"


class ScriptedClient:
    """Answers from a queue, and remembers what it was asked.

        client = ScriptedClient()
        client.enqueue("4", RetryableError(..., error_type="rate_limited", fate=Fate.REFUSED))
        client.enqueue("5", model="small-7b")
        response = await client.complete(request)     # text "4"

    An answer is a text, a whole `ChatResponse`, a `CallError` to raise, or a function of the
    request that gives one of these (an async function may wait before it does). A model's own
    queue is used up before the common one.

    Args:
        default: what to answer when the queues are empty; without it that is a `FatalError`.
        usage: the tokens charged for answers given as texts.
        remember: whether to keep the requests; a long run had better not.

    Attributes:
        requests: every request received, in order, the ones answered by an error included.
        closed: whether `close` was called.
    """

    provider = "scripted"

    def __init__(
        self,
        *,
        default: Answer | None = None,
        usage: Usage | None = None,
        remember: bool = True,
    ) -> None:
        self.requests: list[ChatRequest] = []
        self.closed = False
        self._remember = remember
        self._default = default
        self._usage = usage or Usage(None, None)
        self._common: deque[Answer] = deque()
        self._by_model: dict[str, deque[Answer]] = {}

    def enqueue(self, *answers: Answer, model: str | None = None) -> None:
        """Put answers at the end of the common queue, or of one model's (by its pool key)."""
        queue = self._common if model is None else self._by_model.setdefault(model, deque())
        queue.extend(answers)

    @property
    def pending(self) -> int:
        """How many answers are still queued."""
        return len(self._common) + sum(len(queue) for queue in self._by_model.values())

    async def complete(self, request: ChatRequest) -> ChatResponse:
        """Give the next answer.

        Raises:
            CallError: the next answer is one, or there is none (`script_exhausted`, fatal).
        """
        if self._remember:
            self.requests.append(request)
        answer = self._next(request)
        if callable(answer):
            produced = answer(request)
            answer = await produced if inspect.isawaitable(produced) else produced
        if isinstance(answer, CallError):
            raise answer
        if isinstance(answer, str):
            return ChatResponse(text=answer, usage=self._usage, response_model=request.model)
        return answer

    async def close(self) -> None:
        """Note that the client was closed."""
        self.closed = True

    def _next(self, request: ChatRequest) -> Answer:
        queues: Iterable[deque[Answer] | None] = (
            self._by_model.get(request.origin.model),
            self._common,
        )
        for queue in queues:
            if queue:
                return queue.popleft()
        if self._default is not None:
            return self._default
        raise FatalError(
            f"the script has no answer left for model {request.origin.model!r} (request number "
            f"{len(self.requests)}); enqueue more or give a default",
            error_type="script_exhausted",
            fate=Fate.REFUSED,
        )
