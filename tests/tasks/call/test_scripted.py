from __future__ import annotations

import asyncio

import pytest

from tasks.call.base import CallOrigin, ChatRequest, ChatResponse, Message, Usage
from tasks.call.errors import FatalError, Fate, RetryableError
from tasks.call.scripted import ScriptedClient


def request(model: str = "m", text: str = "2+2?") -> ChatRequest:
    return ChatRequest("name", (Message("user", text),), 9, CallOrigin("q", model, "none"))


async def test_answers_come_in_the_order_they_were_queued() -> None:
    refusal = RetryableError("no", error_type="rate_limited", fate=Fate.REFUSED)
    whole = ChatResponse("whole", Usage(1, 2))
    client = ScriptedClient(usage=Usage(3, 4))
    client.enqueue("text", refusal, whole)

    assert ChatResponse("text", Usage(3, 4), response_model="name") == await client.complete(
        request()
    )
    with pytest.raises(RetryableError) as caught:
        await client.complete(request())
    assert refusal is caught.value
    assert whole is await client.complete(request())
    assert client.pending == 0


async def test_a_models_own_queue_goes_before_the_common_one() -> None:
    client = ScriptedClient()
    client.enqueue("common")
    client.enqueue("own", model="m")

    texts = [(await client.complete(request(model))).text for model in ("m", "m")]

    assert texts == ["own", "common"]


async def test_functions_see_the_request_and_may_wait() -> None:
    async def slow(asked: ChatRequest) -> str:
        await asyncio.sleep(0)
        return asked.messages[0].content.upper()

    client = ScriptedClient(default=lambda asked: asked.origin.model)
    client.enqueue(slow)

    texts = [(await client.complete(request(text="abc"))).text for _ in range(3)]

    assert texts == ["ABC", "m", "m"]


async def test_an_empty_script_is_an_error_that_says_what_to_do() -> None:
    client = ScriptedClient()

    with pytest.raises(FatalError, match=r"model 'm' \(request number 1\); enqueue more") as caught:
        await client.complete(request())

    assert caught.value.error_type == "script_exhausted"


async def test_every_request_is_remembered() -> None:
    client = ScriptedClient(default="x")
    asked = [request(text=text) for text in "abc"]

    for one in asked:
        await client.complete(one)
    await client.close()

    assert asked == client.requests
    assert client.closed
