"""Web search over HTTP, in the shape of Google's Custom Search JSON API.

`GET url?key=…&cx=…&q=…&num=…` answers `{"items": [{"title", "snippet", "link"}, …]}`. Any service
or proxy that answers in that shape can be configured. The key travels in the request alone: no
message of this module holds the URL it was sent with.
"""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

from tasks.tools.search import SearchError, Snippet

if TYPE_CHECKING:
    import aiohttp

_LARGEST_BODY = 1 << 20


class WebSearch:
    """A search service. Belongs to the event loop that uses it."""

    def __init__(
        self, url: str, *, key: str | None, engine: str | None = None, timeout_s: float = 20.0
    ) -> None:
        """Settle the address.

        Args:
            url: without the parameters.
            key: sent as `key`; left out when None.
            engine: sent as `cx`; left out when None.
            timeout_s: seconds for one search.
        """
        self._url = url
        self._fixed = {
            name: value for name, value in (("key", key), ("cx", engine)) if value is not None
        }
        self._timeout_s = timeout_s
        self._session: aiohttp.ClientSession | None = None

    async def find(self, query: str, top: int) -> list[Snippet]:
        """The first `top` results.

        Raises:
            SearchError: refused, unreachable, too slow, or an answer in another shape.
        """
        import aiohttp

        if self._session is None:
            self._session = aiohttp.ClientSession(
                timeout=aiohttp.ClientTimeout(total=self._timeout_s)
            )
        asked = {**self._fixed, "q": query, "num": str(top)}
        try:
            # A redirect would carry the key to another host.
            async with self._session.get(
                self._url, params=asked, allow_redirects=False
            ) as response:
                body = await _read(response)
        except TimeoutError:
            raise SearchError(
                f"the search service did not answer within {self._timeout_s:g} s",
                error_type="timeout",
                may_have_cost=True,
            ) from None
        except aiohttp.ClientConnectorError:
            raise SearchError(
                "the search service cannot be reached",
                error_type="connection",
                may_have_cost=False,
            ) from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise SearchError(
                f"the search failed ({type(error).__name__})",
                error_type="connection",
                may_have_cost=True,
            ) from None
        return _snippets(response.status, body, top)

    async def close(self) -> None:
        """Close the session."""
        if self._session is not None:
            await self._session.close()
            self._session = None
            await asyncio.sleep(0)


async def _read(response: aiohttp.ClientResponse) -> bytes:
    body = bytearray()
    async for piece in response.content.iter_chunked(1 << 16):
        body += piece
        if len(body) > _LARGEST_BODY:
            raise ValueError("body too large")
    return bytes(body)


def _snippets(status: int, body: bytes, top: int) -> list[Snippet]:
    if status != 200:
        kind = {401: "auth", 403: "auth", 429: "rate_limited"}.get(status, "http_error")
        raise SearchError(
            f"the search service refused the search (HTTP {status})",
            error_type=kind,
            may_have_cost=status >= 500,
        )
    try:
        answer: Any = json.loads(body)
    except ValueError:
        answer = None
    items = answer.get("items", []) if isinstance(answer, dict) else None
    if not isinstance(items, list):
        raise SearchError(
            "the search service answered something that is not a list of results",
            error_type="bad_answer",
            may_have_cost=True,
        )
    return [_snippet(item) for item in items[:top] if isinstance(item, dict)]


def _snippet(item: dict[str, Any]) -> Snippet:
    text = " ".join(str(item.get("snippet") or "").split())
    return Snippet(str(item.get("title") or "untitled"), text, str(item.get("link") or ""))
