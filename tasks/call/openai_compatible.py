"""The client for every server that speaks OpenAI's chat completions over HTTP.

OpenAI, vLLM, SGLang, llama.cpp, Ollama, most hosted providers, and `atlas simulate`. Built on
aiohttp alone, because its cost per request is a tenth of the usual SDKs'; one session per run.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

import aiohttp
from aiohttp.payload import BytesPayload
from yarl import URL

from tasks.call.classify import Asked, quote, refusal, retry_after
from tasks.call.clock import SystemClock
from tasks.call.errors import FatalError, Fate, RetryableError, RowError
from tasks.call.wire import MAX_TOKENS, parse_completion, request_body, truncated

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aiohttp.abc import AbstractStreamWriter

    from profiles.pool import ModelSpec
    from tasks.call.base import ChatRequest, ChatResponse
    from tasks.call.clock import Clock

MAX_TOKENS_PARAMETER = "max_tokens_name"
"""A model's parameter that is not sent: the name its provider gives to the limit of tokens."""
JUDGE_PARAMETER = "judge"
"""A model's parameter that is not sent: it says that this model judges answers."""
RESERVED_PARAMETERS = frozenset({"model", "messages", "stream", "n", "tools"})
"""Body fields that a pool file may not set: ATLAS would no longer know what it asked for."""
_MAX_ERROR_BYTES = 65_536
MAX_ANSWER_BYTES = 64 * 1024 * 1024
"""Of an answer, unpacked: no model writes so much, and an endless one would fill the memory."""


@dataclass(frozen=True, slots=True)
class _Target:
    """One model, ready to be asked."""

    url: URL
    headers: Mapping[str, str]
    parameters: Mapping[str, Any]
    max_tokens_name: str
    asked: Asked
    problem: str | None
    """Why no request can be sent, and the error's type before the colon; None when all is well."""


class _Body(BytesPayload):
    """A request body that remembers whether it began to leave: before, nothing can be charged."""

    began = False

    async def write_with_length(
        self, writer: AbstractStreamWriter, content_length: int | None
    ) -> None:
        self.began = True
        await super().write_with_length(writer, content_length)

    async def write(self, writer: AbstractStreamWriter) -> None:
        self.began = True
        await super().write(writer)


class OpenAICompatibleClient:
    """Asks models over HTTP; sends each request exactly once.

    Args:
        models: the models to ask, by key; each needs an endpoint. Their `parameters` go into the
            body as they are (null leaves a field out), except `max_tokens_name` and `judge`.
        env: where keys are looked up, usually `os.environ`. Read once, here.
        clock: reads `Retry-After` dates against it.
        connections: sockets open at once; by default what the models' limits allow together.
        connect_timeout_s: for opening a connection, within each request's own timeout.
        keepalive_s: how long an idle connection is kept.
        trust_env: use the proxies of HTTP_PROXY, HTTPS_PROXY and NO_PROXY.

    Raises:
        ValueError: a model's parameters set a field that ATLAS itself must set, or are no JSON.
    """

    provider = "openai"

    def __init__(
        self,
        models: Mapping[str, ModelSpec],
        env: Mapping[str, str],
        *,
        clock: Clock | None = None,
        connections: int | None = None,
        connect_timeout_s: float = 10.0,
        keepalive_s: float = 30.0,
        trust_env: bool = False,
    ) -> None:
        self._targets = {key: _target(spec, env) for key, spec in models.items()}
        self._clock = clock or SystemClock()
        self._connections = connections or max(
            1, sum(spec.limits.concurrency for spec in models.values())
        )
        self._connect_timeout_s = connect_timeout_s
        self._keepalive_s = keepalive_s
        self._trust_env = trust_env
        self._session: aiohttp.ClientSession | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed = False

    async def complete(self, request: ChatRequest) -> ChatResponse:
        """Ask for one completion, once.

        Raises:
            CallError: refused, lost or useless; see `tasks.call.classify` and `parse_completion`.
        """
        target = self._target_of(request)
        payload = request_body(
            request, max_tokens_name=target.max_tokens_name, parameters=target.parameters
        )
        body = _Body(json.dumps(payload).encode(), content_type="application/json")
        headers = dict(target.headers)
        if request.idempotency_key:
            headers["Idempotency-Key"] = request.idempotency_key
        timeout = aiohttp.ClientTimeout(
            total=request.timeout_s,
            # Below the total, so that a server that cannot be reached is known as such.
            sock_connect=min(self._connect_timeout_s, request.timeout_s * 0.9),
        )
        status: int | None = None
        try:
            async with self._open_session().post(
                target.url, data=body, headers=headers, timeout=timeout, allow_redirects=False
            ) as response:
                status = response.status
                if not 200 <= status < 300:
                    await self._refuse(response, target.asked)
                content = await _whole(response, target.asked)
                content_type = response.headers.get("Content-Type", "")
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise _lost(error, target.asked, request, began=body.began, status=status) from error
        if _is_page(content, content_type):
            raise _not_an_api(target.asked, content, status)
        return parse_completion(content, target.asked, http_status=status)

    async def close(self) -> None:
        """Close every connection; the client cannot be used afterwards."""
        self._closed = True
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _target_of(self, request: ChatRequest) -> _Target:
        key = request.origin.model
        target = self._targets.get(key)
        if target is None:
            known = ", ".join(sorted(self._targets)) or "none"
            raise FatalError(
                f"model {key!r} is not one of this client's models ({known})",
                error_type="unknown_model",
                fate=Fate.REFUSED,
            )
        if target.problem is not None:
            error_type, _, sentence = target.problem.partition(": ")
            raise FatalError(f"model {key!r}: {sentence}", error_type=error_type, fate=Fate.REFUSED)
        return target

    def _open_session(self) -> aiohttp.ClientSession:
        loop = asyncio.get_running_loop()
        if self._session is None:
            if self._closed:
                raise FatalError(
                    "this client was closed; make a new one",
                    error_type="client_closed",
                    fate=Fate.REFUSED,
                )
            self._loop = loop
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    limit=self._connections,
                    keepalive_timeout=self._keepalive_s,
                    ttl_dns_cache=300,
                ),
                cookie_jar=aiohttp.DummyCookieJar(),
                trust_env=self._trust_env,
            )
        elif self._loop is not loop:
            raise FatalError(
                "this client belongs to another event loop; make one client per loop",
                error_type="wrong_event_loop",
                fate=Fate.REFUSED,
            )
        return self._session

    async def _refuse(self, response: aiohttp.ClientResponse, asked: Asked) -> NoReturn:
        try:
            body = await response.content.read(_MAX_ERROR_BYTES)
        except (aiohttp.ClientError, TimeoutError, OSError):
            body = b""
        wait_s = retry_after(response.headers, self._clock.now())
        raise refusal(response.status, body, asked, retry_after_s=wait_s)


async def _whole(response: aiohttp.ClientResponse, asked: Asked) -> bytes:
    """The body of an answer, as long as it is one that a model can have written."""
    if response.content_length is not None and "Content-Encoding" not in response.headers:
        if response.content_length <= MAX_ANSWER_BYTES:
            return await response.read()
        raise _too_large(response, asked)
    pieces, size = [], 0
    async for piece in response.content.iter_any():
        size += len(piece)
        if size > MAX_ANSWER_BYTES:
            raise _too_large(response, asked)
        pieces.append(piece)
    return b"".join(pieces)


def _too_large(response: aiohttp.ClientResponse, asked: Asked) -> RowError:
    # Asking again would only bring as much again.
    return RowError(
        f"model {asked.model_key!r}: {asked.url} sent more than {MAX_ANSWER_BYTES:,} bytes, which "
        "no answer needs; the rest was not read, and it may have been charged",
        error_type="answer_too_large",
        fate=Fate.ANSWERED,
        http_status=response.status,
    )


def _target(spec: ModelSpec, env: Mapping[str, str]) -> _Target:
    parameters = dict(spec.parameters)
    max_tokens_name = str(parameters.pop(MAX_TOKENS_PARAMETER, MAX_TOKENS))
    parameters.pop(JUDGE_PARAMETER, None)
    reserved = sorted(RESERVED_PARAMETERS & parameters.keys())
    if reserved:
        raise ValueError(
            f"model {spec.key!r}: its parameters may not set {', '.join(reserved)}; "
            "remove them from the pool file"
        )
    try:
        json.dumps(parameters)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"model {spec.key!r}: its parameters cannot be sent as JSON ({error}); "
            "write dates and the like as quoted text in the pool file"
        ) from None
    url, problem = _url(spec)
    key = env.get(spec.api_key_env, "").strip() if spec.api_key_env else ""
    headers = {"Accept": "application/json", "User-Agent": "atlas-routing"}
    if spec.api_key_env and not key:
        problem = problem or (
            f"missing_key: the environment variable {spec.api_key_env} is not set; it must hold "
            "the provider's key"
        )
    elif not (key.isascii() and key.isprintable()):
        problem = problem or (
            f"bad_key: the environment variable {spec.api_key_env} holds characters that no key "
            "has (a line break, say); set it again"
        )
    elif key:
        headers["Authorization"] = f"Bearer {key}"
    asked = Asked(spec.key, spec.name, str(url), spec.api_key_env, (key,) if key else ())
    return _Target(url, headers, parameters, max_tokens_name, asked, problem)


def _url(spec: ModelSpec) -> tuple[URL, str | None]:
    if not spec.endpoint:
        return URL(), "bad_endpoint: the pool names no endpoint for it"
    try:
        url = URL(spec.endpoint.rstrip("/") + "/chat/completions")
    except ValueError:
        url = URL()
    if url.scheme not in ("http", "https") or not url.host:
        sentence = f"its endpoint {quote(spec.endpoint)!r} is no http(s) address"
        return URL(), f"bad_endpoint: {sentence}; write it like https://host/v1"
    return url, None


def _lost(
    error: Exception, asked: Asked, request: ChatRequest, *, began: bool, status: int | None
) -> RetryableError:
    """The error for a request that brought no whole answer; never a provider's word, all ours."""
    where = f"model {asked.model_key!r}: {asked.url}"
    if not began:
        why = quote(str(error) or type(error).__name__, asked.secrets)
        return RetryableError(
            f"{where} could not be reached; nothing was sent ({why})",
            error_type="connection",
            fate=Fate.REFUSED,
        )
    if isinstance(error, TimeoutError):
        return RetryableError(
            f"{where} gave no whole answer within {request.timeout_s:g} s; "
            "it may have been charged",
            error_type="timeout",
            fate=Fate.UNKNOWN,
            http_status=status,
        )
    if status is not None:
        return truncated(asked, status)
    why = quote(str(error) or type(error).__name__, asked.secrets)
    return RetryableError(
        f"{where} broke the connection before it answered; it may have been charged ({why})",
        error_type="connection_reset",
        fate=Fate.UNKNOWN,
    )


def _is_page(content: bytes, content_type: str) -> bool:
    start = content[:64].lstrip().lower()
    # Some small servers call their JSON text/html; what it is tells more than what it is called.
    return ("html" in content_type and start[:1] != b"{") or start.startswith(
        (b"<!doctype html", b"<html")
    )


def _not_an_api(asked: Asked, content: bytes, status: int) -> FatalError:
    return FatalError(
        f"model {asked.model_key!r}: {asked.url} sent a web page, not an answer: the endpoint in "
        "the pool file is wrong, or a proxy or login page stands before it. It said: "
        f"{quote(content[:2000].decode('utf-8', 'replace'), asked.secrets)}",
        error_type="not_an_api",
        fate=Fate.REFUSED,
        http_status=status,
    )
