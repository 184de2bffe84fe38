from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tasks.call.base import ChatRequest, ChatResponse, Usage
from tasks.simulate.faults import Faults
from tasks.simulate.reply import SimulatedReply
from tasks.simulate.served import Account, ServedFileError
from tasks.simulate.server import ServerStartError, SimulatedServer

QUESTION = {"model": "echo", "messages": [{"role": "user", "content": "hello"}]}


class Echo:
    """Repeats the last message; charges a token a character."""

    def __init__(self, latency_s: float = 0.0) -> None:
        self.latency_s = latency_s
        self.asked: list[ChatRequest] = []

    def complete(self, request: ChatRequest) -> SimulatedReply:
        self.asked.append(request)
        text = request.messages[-1].content
        usage = Usage(len(text), len(text))
        return SimulatedReply(ChatResponse(text, usage, response_id="r1"), self.latency_s)


async def until(condition: Callable[[], bool]) -> None:
    for _ in range(6000):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it did not happen within a minute")


@asynccontextmanager
async def running(
    faults: str = "", *, echo: Echo | None = None, **settings: Any
) -> AsyncIterator[tuple[SimulatedServer, aiohttp.ClientSession]]:
    server = SimulatedServer({"echo": echo or Echo()}, faults=Faults.parse(faults), **settings)
    await server.start()
    try:
        async with aiohttp.ClientSession(f"http://127.0.0.1:{server.port}") as session:
            yield server, session
    finally:
        await server.stop()


async def ask(
    session: aiohttp.ClientSession, key: str = "k", body: object = QUESTION, **headers: str
) -> tuple[int, Any]:
    data = body if isinstance(body, bytes) else json.dumps(body)
    async with session.post(
        "/v1/chat/completions", data=data, headers={"Idempotency-Key": key, **headers}
    ) as response:
        content = await response.read()
        try:
            return response.status, json.loads(content)
        except ValueError:
            return response.status, content.decode()


async def get(session: aiohttp.ClientSession, path: str) -> Any:
    async with session.get(path) as response:
        assert response.status == 200
        return await response.json()


async def test_a_question_is_answered_in_the_usual_form() -> None:
    echo = Echo()
    async with running(echo=echo) as (_, session):
        status, body = await ask(session)

    assert (status, body["choices"][0]["message"]["content"]) == (200, "hello")
    assert body["usage"] == {"prompt_tokens": 5, "completion_tokens": 5, "total_tokens": 10}
    assert (echo.asked[0].idempotency_key, echo.asked[0].model) == ("k", "echo")


async def test_models_and_health_are_told() -> None:
    async with running() as (_, session):
        assert await get(session, "/health") == {"status": "ok"}
        assert [m["id"] for m in (await get(session, "/v1/models"))["data"]] == ["echo"]


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"{", 400, "invalid_request_error"),
        (b"\xff", 400, "invalid_request_error"),
        (b"[" * 100_000, 400, "invalid_request_error"),
        ({"model": "echo"}, 400, "invalid_request_error"),
        (QUESTION | {"stream": True}, 400, "invalid_request_error"),
        (QUESTION | {"model": "gpt-9"}, 404, "model_not_found"),
    ],
    ids=lambda value: str(value)[:30],
)
async def test_a_request_that_cannot_be_served_is_refused_and_counted(
    body: object, status: int, code: str
) -> None:
    async with running() as (_, session):
        answered = await ask(session, body=body)

        expected = {"received": 1, "answered": 0, "refused": 1, "statuses": [status]}
        assert (status, code) == (answered[0], answered[1]["error"]["code"])
        assert {"k": expected} == await get(session, "/requests")


async def test_a_key_can_be_required() -> None:
    async with running(api_key="s3cret") as (_, session):
        assert (await ask(session))[0] == 401
        assert (await ask(session, Authorization="Bearer other"))[0] == 401
        assert (await ask(session, Authorization="Bearer s3cret"))[0] == 200


async def test_the_same_key_sent_twice_is_answered_and_counted_twice() -> None:
    async with running() as (_, session):
        for key in ("a", "b", "a"):
            await ask(session, key)

        twice = {"received": 2, "answered": 2, "refused": 0, "statuses": [200, 200]}
        assert twice == (await get(session, "/requests"))["a"]
        assert await get(session, "/requests/summary") == {
            "keys": 2,
            "received": 3,
            "answered": 3,
            "refused": 0,
            "keys_answered": 2,
            "keys_answered_twice_or_more": 1,
        }


@pytest.mark.parametrize(
    ("faults", "answered", "refused", "statuses"),
    [
        ("rate_limit=1", 0, 1, [429]),
        ("server_error=1", 0, 1, [500]),
        ("html=1", 0, 1, [200]),
        ("truncate=1", 1, 0, [200]),
        ("malformed=1", 1, 0, [200]),
        ("empty=1", 1, 0, [200]),
    ],
)
async def test_every_fault_is_counted_by_what_it_costs(
    faults: str, answered: int, refused: int, statuses: list[int]
) -> None:
    async with running(faults) as (_, session):
        for i in range(10):
            try:
                await ask(session, f"{i}")
            except aiohttp.ClientError:
                assert faults == "truncate=1"

        expected = {"received": 1, "answered": answered, "refused": refused, "statuses": statuses}
        assert [expected] * 10 == list((await get(session, "/requests")).values())


async def test_half_of_the_resets_were_answered_and_the_client_cannot_tell_which() -> None:
    async with running("reset=1") as (_, session):
        for i in range(40):
            with pytest.raises((aiohttp.ClientOSError, aiohttp.ServerDisconnectedError)):
                await ask(session, f"{i}")

        served = list((await get(session, "/requests")).values())
        assert {0, 1} == {one["answered"] for one in served}
        assert {1} == {one["received"] for one in served}
        assert all(one["statuses"] == [200] * one["answered"] for one in served)


async def test_a_rate_limit_says_how_long_to_wait() -> None:
    async with (
        running("rate_limit=1,retry_after=2.5") as (_, session),
        session.post("/v1/chat/completions", json=QUESTION) as response,
    ):
        assert (response.status, response.headers["Retry-After"]) == (429, "2.5")


async def test_the_quota_is_used_up_after_so_many_answers() -> None:
    async with running("quota_after=3") as (_, session):
        statuses = [(await ask(session, f"{i}"))[0] for i in range(5)]
        _, body = await ask(session)

    assert statuses == [200, 200, 200, 429, 429]
    assert body["error"]["code"] == "insufficient_quota"


async def test_hanging_requests_do_not_keep_the_server_from_stopping() -> None:
    async with running("hang=1") as (server, session):
        hanging = asyncio.create_task(ask(session))
        await until(lambda: bool(server.account.by_key))
        await asyncio.wait_for(server.stop(), 60)

        with pytest.raises(aiohttp.ClientError):
            await hanging
        assert (
            server.account.by_key["k"].received,
            server.account.answered,
            server.account.by_key["k"].refused,
        ) == (1, 0, 0)


async def test_an_answer_is_counted_even_when_its_client_has_gone() -> None:
    async with running("latency=0.3") as (server, session):
        asking = asyncio.create_task(ask(session))
        await until(lambda: bool(server.account.by_key))
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        await until(lambda: server.account.answered > 0)

        assert server.account.by_key["k"].answered == 1


async def test_latencies_are_those_of_the_model_scaled_and_the_faults_on_top() -> None:
    async with running("latency=0.05", echo=Echo(latency_s=10.0), latency_scale=0.01) as (_, s):
        began_s = asyncio.get_running_loop().time()
        await ask(s)

        # Unscaled it would be ten seconds.
        assert 0.15 <= asyncio.get_running_loop().time() - began_s < 5.0


async def test_faults_change_while_the_server_runs() -> None:
    async with running("server_error=1") as (_, session):
        assert (await ask(session))[0] == 500
        async with session.post("/faults", json={"server_error": 0, "latency": 0.01}) as response:
            assert await response.json() == {"faults": "latency=0.01"}
        assert (await ask(session))[0] == 200
        async with session.post("/faults", data="rate_limit=1") as response:
            assert response.status == 200
        assert await get(session, "/faults") == {"faults": "rate_limit=1"}
        for bad in ('{"reset": 2}', "nonsense=1", "{", '{"reset": []}'):
            async with session.post("/faults", data=bad) as response:
                assert response.status == 400
        assert await get(session, "/faults") == {"faults": "rate_limit=1"}


async def test_the_count_survives_the_server(tmp_path: Path) -> None:
    log = tmp_path / "sub" / "served.jsonl"
    async with running("quota_after=2", log=log) as (_, session):
        for i in range(3):
            await ask(session, f"{i}")
        before = await get(session, "/requests")
    with log.open("ab") as file:
        file.write(b'{"key": "torn')

    async with running("quota_after=2", log=log) as (_, session):
        assert before == await get(session, "/requests")
        assert (await ask(session, "3"))[0] == 429

    kept = Account(log)
    kept.close()
    assert [served.answered for served in kept.by_key.values()] == [1, 1, 0, 0]


@pytest.mark.parametrize("line", [b"hello\n", b'{"key": 1}\n', b"[]\n", b"\xff\n"])
def test_a_file_that_is_none_of_ours_is_not_counted_from(tmp_path: Path, line: bytes) -> None:
    log = tmp_path / "notes.txt"
    log.write_bytes(line)

    with pytest.raises(ServedFileError, match=r"notes\.txt, line 1: not an event"):
        Account(log)


async def test_a_port_that_is_taken_is_a_sentence() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        server = SimulatedServer({}, port=taken.getsockname()[1])

        with pytest.raises(ServerStartError, match=r"cannot listen on 127\.0\.0\.1:\d+.*port"):
            await server.start()
        await server.stop()


async def test_run_forever_ends_at_a_signal() -> None:
    urls: list[str] = []
    server = SimulatedServer({"echo": Echo()})
    task = asyncio.create_task(server.run_forever(urls.append))
    await until(lambda: bool(urls))
    async with aiohttp.ClientSession() as session, session.get(f"{urls[0]}/models") as response:
        assert response.status == 200

    os.kill(os.getpid(), signal.SIGTERM)

    await asyncio.wait_for(task, 60)
    assert urls == [server.url]
