from __future__ import annotations

import asyncio
import dataclasses
import gzip
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web

from profiles.pool import Limits, ModelSpec, Prices
from tasks.call import openai_compatible
from tasks.call.base import CallOrigin, ChatRequest, ChatResponse, Message, ToolCall, Usage
from tasks.call.errors import CallError, FatalError, Fate
from tasks.call.openai_compatible import OpenAICompatibleClient
from tasks.simulate.faults import Faults
from tasks.simulate.reply import SimulatedReply
from tasks.simulate.server import SimulatedServer

REQUEST = ChatRequest(
    "echo-1",
    (Message("user", "hello"),),
    64,
    CallOrigin("q1", "echo", "none"),
    idempotency_key="atlas-1",
    timeout_s=5.0,
)


class Echo:
    """Repeats what it was asked, with a function call beside it."""

    def complete(self, request: ChatRequest) -> SimulatedReply:
        text = request.messages[-1].content
        calls = (ToolCall("c1", "add", '{"a": 1}'),) if request.functions else ()
        response = ChatResponse(text, Usage(7, 2), calls, response_id="r1")
        return SimulatedReply(response, 0.0)


def spec(endpoint: str | None, **changes: Any) -> ModelSpec:
    free = Prices(None, None)
    return dataclasses.replace(ModelSpec("echo", "openai", "echo-1", free, endpoint), **changes)


async def until(condition: Callable[[], bool]) -> None:
    for _ in range(6000):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it did not happen within a minute")


@asynccontextmanager
async def client_of(
    endpoint: str | None, env: dict[str, str] | None = None, **changes: Any
) -> AsyncIterator[OpenAICompatibleClient]:
    client = OpenAICompatibleClient({"echo": spec(endpoint, **changes)}, env or {})
    try:
        yield client
    finally:
        await client.close()


@asynccontextmanager
async def simulated(faults: str = "", api_key: str | None = None) -> AsyncIterator[SimulatedServer]:
    server = SimulatedServer({"echo-1": Echo()}, faults=Faults.parse(faults), api_key=api_key)
    await server.start()
    try:
        yield server
    finally:
        await server.stop()


@asynccontextmanager
async def serving(
    handler: Callable[[web.Request], Awaitable[web.StreamResponse]],
) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_route("*", "/v1/chat/completions", handler)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def saying(raw: bytes) -> AsyncIterator[str]:
    """A server that says these bytes to everybody and closes."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(raw)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    finally:
        server.close()
        await server.wait_closed()


async def failure(client: OpenAICompatibleClient, request: ChatRequest = REQUEST) -> CallError:
    with pytest.raises(CallError) as caught:
        await client.complete(request)
    return caught.value


async def test_a_request_is_answered() -> None:
    async with simulated() as server, client_of(server.url) as client:
        response = await client.complete(REQUEST)

    expected = ChatResponse(
        "hello", Usage(7, 2), response_model="echo-1", response_id="r1", http_status=200
    )
    assert expected == response
    assert server.account.by_key["atlas-1"].answered == 1


@pytest.mark.parametrize(
    ("faults", "error_class", "error_type", "fate", "answered"),
    [
        ("rate_limit=1", "retryable", "rate_limited", Fate.REFUSED, 0),
        ("server_error=1", "retryable", "server_error", Fate.REFUSED, 0),
        ("reset=1,seed=0", "retryable", "connection_reset", Fate.UNKNOWN, None),
        ("reset=1,seed=1", "retryable", "connection_reset", Fate.UNKNOWN, None),
        ("reset=1,seed=2", "retryable", "connection_reset", Fate.UNKNOWN, None),
        ("truncate=1,seed=0", "retryable", "truncated_body", Fate.UNKNOWN, 1),
        ("truncate=1,seed=1", "retryable", "truncated_body", Fate.UNKNOWN, 1),
        ("truncate=1,seed=2", "retryable", "truncated_body", Fate.UNKNOWN, 1),
        ("malformed=1", "retryable", "malformed_body", Fate.UNKNOWN, 1),
        ("html=1", "fatal", "not_an_api", Fate.REFUSED, 0),
        ("empty=1", "row", "empty_choices", Fate.ANSWERED, 1),
    ],
)
async def test_every_fault_is_classified_and_its_fate_agrees_with_the_servers_count(
    faults: str, error_class: str, error_type: str, fate: Fate, answered: int | None
) -> None:
    async with simulated(faults) as server, client_of(server.url) as client:
        error = await failure(client)

        assert (error_class, error_type) == (error.error_class, error.error_type)
        assert fate is error.fate
        served = server.account.by_key["atlas-1"]
        assert served.received == 1
        if answered is not None:
            assert answered == served.answered
        if fate is Fate.ANSWERED:
            assert Usage(7, 2) == error.usage


async def test_the_client_sends_once_and_leaves_trying_again_to_others() -> None:
    async with simulated("server_error=0.5,reset=0.3,seed=5") as server:
        async with client_of(server.url) as client:
            for i in range(30):
                try:
                    await client.complete(dataclasses.replace(REQUEST, idempotency_key=f"{i}"))
                except CallError:
                    continue

        assert [served.received for served in server.account.by_key.values()] == [1] * 30


async def test_retry_after_comes_with_the_error() -> None:
    async with simulated("rate_limit=1,retry_after=2.5") as server, client_of(server.url) as client:
        error = await failure(client)

    assert (error.retry_after_s, error.http_status) == (2.5, 429)


async def test_a_quota_that_is_used_up_is_fatal() -> None:
    async with simulated("quota_after=1") as server, client_of(server.url) as client:
        await client.complete(REQUEST)
        error = await failure(client)

    assert (
        error.error_type,
        error.error_class,
        error.fate,
    ) == ("quota_exhausted", "fatal", Fate.REFUSED)


async def test_a_server_that_hangs_is_a_timeout_of_unknown_fate() -> None:
    async with simulated("hang=1") as server, client_of(server.url) as client:
        error = await failure(client, dataclasses.replace(REQUEST, timeout_s=0.5))

    assert (error.error_type, error.fate) == ("timeout", Fate.UNKNOWN)
    assert "within 0.5 s" in str(error)


async def test_a_body_that_stops_half_way_is_a_timeout_too() -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 900\r\n\r\n{"

    async def stall(http: web.Request) -> web.StreamResponse:
        assert http.transport is not None
        http.transport.write(head)  # type: ignore[attr-defined]
        await asyncio.sleep(60)
        return web.Response()

    async with serving(stall) as endpoint, client_of(endpoint) as client:
        error = await failure(client, dataclasses.replace(REQUEST, timeout_s=0.5))

    assert (error.error_type, error.fate, error.http_status) == ("timeout", Fate.UNKNOWN, 200)


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
@pytest.mark.parametrize("announced", [False, True], ids=["endless", "announced"])
async def test_an_answer_without_end_is_not_read_on_and_counts_as_charged(
    monkeypatch: pytest.MonkeyPatch, *, packed: bool, announced: bool
) -> None:
    monkeypatch.setattr(openai_compatible, "MAX_ANSWER_BYTES", 100_000)
    page = b" " * 1_000_000
    body = gzip.compress(page) if packed else page
    head = (
        f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n".encode()
        if announced
        else (b"HTTP/1.1 200 OK\r\n")
    )
    if packed:
        head += b"Content-Encoding: gzip\r\n"
    async with saying(head + b"\r\n" + body) as url, client_of(url) as client:
        error = await failure(client)

    assert ("row", "answer_too_large") == (error.error_class, error.error_type)
    assert Fate.ANSWERED is error.fate
    assert error.usage is None


async def test_a_refused_connection_and_an_unknown_host_have_sent_nothing() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    for endpoint in (f"http://127.0.0.1:{port}/v1", "http://no-such-host.invalid/v1"):
        async with client_of(endpoint) as client:
            error = await failure(client)

        assert (error.error_type, error.fate) == ("connection", Fate.REFUSED)
        assert f"{endpoint}/chat/completions could not be reached; nothing was sent" in str(error)


async def test_https_to_a_server_without_it_has_sent_nothing() -> None:
    async with simulated() as server:
        endpoint = server.url.replace("http:", "https:")
        async with client_of(endpoint) as client:
            error = await failure(client)

        assert (error.error_type, error.fate) == ("connection", Fate.REFUSED)
        assert server.account.by_key == {}


@pytest.mark.parametrize(
    ("raw", "error_type", "fate"),
    [
        (b"", "connection_reset", Fate.UNKNOWN),
        (b"SSH-2.0-OpenSSH_9.7\r\n", "connection_reset", Fate.UNKNOWN),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{", "truncated_body", Fate.UNKNOWN),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{", "truncated_body",
         Fate.UNKNOWN),
        (b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\nhi",
         "truncated_body", Fate.UNKNOWN),
        (b"HTTP/1.1 503 No\r\nContent-Length: 90\r\n\r\nhalf", "server_error", Fate.REFUSED),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 15\r\n\r\n<!DOCTYPE html>", "not_an_api",
         Fate.REFUSED),
        (b"HTTP/1.1 307 Go\r\nLocation: http://127.0.0.1:9/\r\nContent-Length: 0\r\n\r\n",
         "bad_endpoint", Fate.REFUSED),
    ],
    ids=lambda value: str(value)[:45],
)  # fmt: skip
async def test_whatever_a_server_says_becomes_a_classified_error(
    raw: bytes, error_type: str, fate: Fate
) -> None:
    async with saying(raw) as endpoint, client_of(endpoint) as client:
        error = await failure(client)

    assert (error_type, fate) == (error.error_type, error.fate)


async def test_json_that_is_called_html_is_read_all_the_same() -> None:
    async def mislabelled(_: web.Request) -> web.StreamResponse:
        body = '{"choices": [{"message": {"content": "4"}}]}'
        return web.Response(text=body, content_type="text/html")

    async with serving(mislabelled) as endpoint, client_of(endpoint) as client:
        assert (await client.complete(REQUEST)).text == "4"


async def test_the_key_comes_from_the_environment_and_never_into_a_message() -> None:
    async with simulated(api_key="s3cr3t-Key") as server:
        right, wrong = {"MY_KEY": " s3cr3t-Key\n"}, {"MY_KEY": "sesame-open"}
        async with client_of(server.url, right, api_key_env="MY_KEY") as client:
            assert (await client.complete(REQUEST)).text == "hello"
        async with client_of(server.url, wrong, api_key_env="MY_KEY") as client:
            error = await failure(client)

    assert (error.error_type, error.error_class, error.http_status) == ("auth", "fatal", 401)
    assert "MY_KEY" in str(error)
    assert "sesame" not in str(error)


async def test_a_key_echoed_by_the_provider_is_cut_out() -> None:
    async def echoing(http: web.Request) -> web.StreamResponse:
        return web.Response(status=400, text=f"bad header {http.headers['Authorization']}")

    async with (
        serving(echoing) as endpoint,
        client_of(endpoint, {"K": "plainkey"}, api_key_env="K") as client,
    ):
        error = await failure(client)

    assert "plainkey" not in str(error)
    assert "bad header" in str(error)


@pytest.mark.parametrize(
    ("env", "error_type"),
    [({}, "missing_key"), ({"MY_KEY": "  "}, "missing_key"), ({"MY_KEY": "a\nb"}, "bad_key"),
     ({"MY_KEY": "schlüssel"}, "bad_key")],
)  # fmt: skip
async def test_a_missing_or_broken_key_is_known_before_anything_is_sent(
    env: dict[str, str], error_type: str
) -> None:
    async with simulated() as server:
        async with client_of(server.url, env, api_key_env="MY_KEY") as client:
            error = await failure(client)

        assert (error_type, "fatal") == (error.error_type, error.error_class)
        assert "the environment variable MY_KEY" in str(error)
        assert not any(value.strip() and value in str(error) for value in env.values())
        assert server.account.by_key == {}


@pytest.mark.parametrize("endpoint", [None, "", "host/v1", "ftp://host", "http://", "http://[x"])
async def test_an_endpoint_that_is_no_address_is_a_fatal_error(endpoint: str | None) -> None:
    async with client_of(endpoint) as client:
        error = await failure(client)

    assert (error.error_type, error.fate) == ("bad_endpoint", Fate.REFUSED)


async def test_a_wrong_path_names_the_url_and_a_wrong_model_its_name() -> None:
    async with simulated() as server:
        async with client_of(server.url.removesuffix("/v1")) as client:
            path = await failure(client)
        async with client_of(server.url) as client:
            model = await failure(client, dataclasses.replace(REQUEST, model="gpt-9"))

    assert path.error_type == "bad_endpoint"
    assert f"127.0.0.1:{server.port}/chat/completions has no such address" in str(path)
    assert model.error_type == "model_not_found"
    assert "gpt-9" in str(model)


@pytest.mark.parametrize(
    ("parameters", "sentence"),
    [
        ({"stream": True, "n": 2}, "may not set n, stream"),
        ({"x": {1, 2}}, "cannot be sent as JSON"),
    ],
)
def test_parameters_that_cannot_be_sent_are_refused_when_the_client_is_made(
    parameters: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(ValueError, match=sentence):
        OpenAICompatibleClient({"echo": spec("http://host/v1", parameters=parameters)}, {})


async def test_the_body_carries_the_pools_parameters_and_the_providers_name_of_the_limit() -> None:
    bodies: list[dict[str, Any]] = []

    async def remember(http: web.Request) -> web.StreamResponse:
        bodies.append(await http.json() | {"key": http.headers.get("Idempotency-Key")})
        return web.json_response({"choices": [{"message": {"content": "4"}}]})

    parameters = {"max_tokens_name": "max_completion_tokens", "top_p": 0.5, "temperature": None}
    async with serving(remember) as endpoint, client_of(endpoint, parameters=parameters) as client:
        response = await client.complete(REQUEST)

    assert Usage(None, None) == response.usage
    assert bodies == [
        {
            "model": "echo-1",
            "messages": [{"role": "user", "content": "hello"}],
            "max_completion_tokens": 64,
            "stream": False,
            "top_p": 0.5,
            "key": "atlas-1",
        }
    ]


async def test_a_client_is_closed_for_good_and_knows_only_its_own_models() -> None:
    async with simulated() as server:
        client = OpenAICompatibleClient({"echo": spec(server.url)}, {})
        await client.complete(REQUEST)
        other = dataclasses.replace(REQUEST, origin=CallOrigin("q", "other", "none"))
        assert (await failure(client, other)).error_type == "unknown_model"
        await client.close()
        await client.close()

        assert (await failure(client)).error_type == "client_closed"


def test_a_client_in_another_event_loop_says_so_instead_of_hanging() -> None:
    client = OpenAICompatibleClient({"echo": spec("http://127.0.0.1:9/v1")}, {})

    assert asyncio.run(failure(client)).error_type == "connection"
    error = asyncio.run(failure(client))
    assert isinstance(error, FatalError)
    assert error.error_type == "wrong_event_loop"


async def test_cancelling_is_not_an_error_of_the_call() -> None:
    async with simulated("hang=1") as server, client_of(server.url) as client:
        task = asyncio.create_task(client.complete(REQUEST))
        await until(lambda: bool(server.account.by_key))
        task.cancel()

        with pytest.raises(asyncio.CancelledError):
            await task


async def test_connections_are_kept_and_never_more_than_the_limits_allow() -> None:
    async with simulated("latency=0.01") as server:
        limits = Limits(concurrency=3)
        async with client_of(server.url, limits=limits) as client:
            requests = [dataclasses.replace(REQUEST, idempotency_key=f"{i}") for i in range(30)]
            await asyncio.gather(*(client.complete(request) for request in requests))
            connector = client._session.connector if client._session else None

            assert connector is not None
            assert connector.limit == 3
        assert server.account.answered == 30
