"""The embedded OpenAI-compatible server: simulated models over real HTTP, with real faults.

    POST /v1/chat/completions   answer, or suffer a fault
    GET  /v1/models             the models
    GET  /health                {"status": "ok"}
    GET  /requests              what was served, by idempotency key
    GET  /requests/summary      the totals of that
    GET  /faults, POST /faults  the faults in force; change them while it runs

It keeps no promise about idempotency keys, as most providers keep none: the same key sent twice is
answered, counted and charged twice.
"""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import struct
import time
from typing import TYPE_CHECKING, Any, cast

from aiohttp import web

from tasks.call.wire_server import BadBody, completion_body, parse_request
from tasks.simulate.faults import Fault, Faults, FaultsError
from tasks.simulate.served import Account

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from tasks.call.base import ChatRequest
    from tasks.simulate.reply import Completer

TICK_S = 0.001
"""An event loop's timers ring at whole milliseconds: half of one late on average, which is taken
off every wait, so that a latency of 50 ms is 50 ms in the mean."""
MAX_BODY_BYTES = 64 * 1024 * 1024
_PAGE = "<!DOCTYPE html><html><title>Sign in</title><body>Please sign in to continue.</body></html>"
_RESET_NOT_CLOSE = struct.pack("ii", 1, 0)
"""SO_LINGER on, 0 s: closing sends a reset instead of a farewell."""


class ServerStartError(RuntimeError):
    """The server could not start; the message says why and what to do."""


class SimulatedServer:
    """Serves simulated models on a local port.

    Args:
        models: completers by the name under which clients ask for them.
        faults: what goes wrong; can be changed at run time.
        latency_scale: factor on the models' own latencies; 0 answers at once.
        port: 0 takes a free one; see `port` after `start`.
        host: where to listen.
        log: file in which the account of served requests is continued.
        api_key: the key clients must send; None accepts everybody.
    """

    def __init__(
        self,
        models: Mapping[str, Completer],
        *,
        faults: Faults | None = None,
        latency_scale: float = 1.0,
        port: int = 0,
        host: str = "127.0.0.1",
        log: Path | None = None,
        api_key: str | None = None,
    ) -> None:
        self.faults = faults or Faults()
        self.account = Account(log)
        self.port = port
        self.host = host
        self._models = dict(models)
        self._latency_scale = latency_scale
        self._api_key = api_key
        self._runner: web.AppRunner | None = None
        self._stopping = asyncio.Event()
        self._created = int(time.time())

    @property
    def url(self) -> str:
        """The endpoint to write into a pool file."""
        return f"http://{self.host}:{self.port}/v1"

    async def start(self) -> None:
        """Listen. Returns when requests are taken.

        Raises:
            ServerStartError: the port is taken or may not be used.
        """
        self._stopping.clear()
        app = web.Application(client_max_size=MAX_BODY_BYTES)
        app.add_routes(
            [
                web.post("/v1/chat/completions", self._complete),
                web.get("/v1/models", self._list_models),
                web.get("/health", self._health),
                web.get("/requests", self._requests),
                web.get("/requests/summary", self._summary),
                web.get("/faults", self._show_faults),
                web.post("/faults", self._change_faults),
            ]
        )
        # A provider goes on, and charges, when its client has gone: so do the handlers here.
        self._runner = web.AppRunner(
            app, access_log=None, handler_cancellation=False, shutdown_timeout=1.0
        )
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, self.host, self.port, backlog=1024).start()
        except OSError as error:
            await self._runner.cleanup()
            self._runner = None
            raise ServerStartError(
                f"cannot listen on {self.host}:{self.port}: {error.strerror or error}; "
                "choose another port, or 0 for any free one"
            ) from None
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """Close every connection, hanging ones too. Stopping twice is no error."""
        self._stopping.set()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None
        self.account.close()

    async def run_forever(self, on_started: Callable[[str], None] | None = None) -> None:
        """Serve until SIGINT or SIGTERM; `on_started` is told the endpoint.

        Raises:
            ServerStartError: as `start`.
        """
        await self.start()
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop.set)
        try:
            if on_started is not None:
                on_started(self.url)
            await stop.wait()
        finally:
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.remove_signal_handler(number)
            await self.stop()

    async def _complete(self, http: web.Request) -> web.StreamResponse:
        began_s = time.perf_counter()
        key = http.headers.get("Idempotency-Key", "")
        received = self.account.received(key)
        if self._api_key is not None and http.headers.get("Authorization") != (
            f"Bearer {self._api_key}"
        ):
            return self._refuse(key, 401, "invalid_api_key", "Incorrect API key provided.")
        try:
            request = parse_request(json.loads(await http.read()), idempotency_key=key)
        except (BadBody, ValueError, RecursionError) as error:
            return self._refuse(key, 400, "invalid_request_error", f"Bad request: {error}")
        if request.model not in self._models:
            sentence = f"The model {request.model!r} does not exist."
            return self._refuse(key, 404, "model_not_found", sentence)
        if 0 < self.faults.quota_after <= self.account.answered:
            return self._refuse(key, 429, "insufficient_quota", "You exceeded your current quota.")
        fault, late = self.faults.draw(key, received), self.faults.late(key, received)
        refusal = await self._early_fault(http, key, fault, late=late)
        if refusal is not None:
            return refusal
        content = await self._think(request, began_s, empty=fault is Fault.EMPTY)
        # From here on it is paid for, whatever becomes of it.
        self.account.answer(key, 200)
        return await self._send(http, content, fault, late=late)

    async def _early_fault(
        self, http: web.Request, key: str, fault: Fault | None, *, late: bool
    ) -> web.StreamResponse | None:
        """Faults that strike before the model is asked: nothing is charged."""
        if fault is Fault.RATE_LIMIT:
            wait = {"Retry-After": f"{self.faults.retry_after:g}"}
            return self._refuse(key, 429, "rate_limit_exceeded", "Slow down.", headers=wait)
        if fault is Fault.SERVER_ERROR:
            return self._refuse(key, 500, "server_error", "The server had an error.")
        if fault is Fault.HTML:
            self.account.refuse(key, 200)
            return web.Response(text=_PAGE, content_type="text/html")
        if fault is Fault.HANG:
            await self._stopping.wait()
            return _reset(http)
        if fault is Fault.RESET and not late:
            return _reset(http)
        return None

    async def _think(self, request: ChatRequest, began_s: float, *, empty: bool) -> bytes:
        """The completion's JSON, after the time the model takes for it."""
        reply = self._models[request.model].complete(request)
        body = completion_body(reply.response, request.model, created=self._created)
        if empty:
            body["choices"] = []
        content = json.dumps(body).encode()
        wait_s = self.faults.latency + reply.latency_s * self._latency_scale
        # What the simulation itself took is part of the wait, not on top of it.
        wait_s -= time.perf_counter() - began_s + TICK_S / 2
        if wait_s > 0:
            await asyncio.sleep(wait_s)
        return content

    async def _send(
        self, http: web.Request, content: bytes, fault: Fault | None, *, late: bool
    ) -> web.StreamResponse:
        if fault is Fault.RESET:
            if http.transport is not None:
                http.transport.write(b"HTTP/1.1 200 OK\r\nContent-Type: app")
            return _reset(http)
        if fault is Fault.TRUNCATE and late:
            response = web.StreamResponse(headers={"Content-Type": "application/json"})
            response.content_length = len(content)
            await response.prepare(http)
            await response.write(content[: len(content) // 2])
            response.force_close()
            if http.transport is not None:
                http.transport.close()
            return response
        if fault is Fault.TRUNCATE:
            content = content[: len(content) // 2]
        elif fault is Fault.MALFORMED:
            content = b"}" + content[1:]
        return web.Response(body=content, content_type="application/json")

    def _refuse(
        self,
        key: str,
        status: int,
        code: str,
        message: str,
        headers: Mapping[str, str] | None = None,
    ) -> web.Response:
        self.account.refuse(key, status)
        return _error(status, code, message, headers)

    async def _list_models(self, _: web.Request) -> web.Response:
        models = [
            {"id": name, "object": "model", "created": self._created, "owned_by": "atlas"}
            for name in self._models
        ]
        return web.json_response({"object": "list", "data": models})

    async def _health(self, _: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    async def _requests(self, _: web.Request) -> web.Response:
        return web.json_response(
            {key: served.as_json() for key, served in self.account.by_key.items()}
        )

    async def _summary(self, _: web.Request) -> web.Response:
        return web.json_response(self.account.summary())

    async def _show_faults(self, _: web.Request) -> web.Response:
        return web.json_response({"faults": str(self.faults)})

    async def _change_faults(self, http: web.Request) -> web.Response:
        """Takes a JSON object of names and numbers, or the text that `Faults.parse` reads.

        An object changes the numbers it names; a text replaces all.
        """
        text = await http.text()
        try:
            if text.lstrip().startswith("{"):
                self.faults = self.faults.changed(cast("dict[str, Any]", json.loads(text)))
            else:
                self.faults = Faults.parse(text)
        except (FaultsError, ValueError) as error:
            return _error(400, "bad_faults", str(error))
        return await self._show_faults(http)


def _error(
    status: int, code: str, message: str, headers: Mapping[str, str] | None = None
) -> web.Response:
    body = {"error": {"message": message, "type": code, "param": None, "code": code}}
    return web.json_response(body, status=status, headers=headers)


def _reset(http: web.Request) -> web.Response:
    """Reset the connection; what is returned goes nowhere."""
    if http.transport is not None:
        raw: socket.socket | None = http.transport.get_extra_info("socket")
        if raw is not None:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_NOT_CLOSE)
        http.transport.abort()
    return web.Response()
