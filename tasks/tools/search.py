"""The search tool: a query in, the best snippets with their titles out.

Two back-ends behind one interface: BM25 over a local corpus, and a web search service
(`tasks.tools.web_search`). The model sees the same function and the same form of answer.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from tasks.call.base import FunctionSchema
from tasks.tools.arguments import ArgumentError, failure, read_text, refuse
from tasks.tools.base import ToolResult
from tasks.tools.corpus import CorpusError, CorpusIndex, load_index

if TYPE_CHECKING:
    from collections.abc import Mapping
    from decimal import Decimal
    from pathlib import Path

LONGEST_QUERY = 2000
SNIPPET_CHARS = 900

SCHEMA = FunctionSchema(
    name="search",
    description=(
        "Searches for documents and returns the best snippets with their titles. Ask with a few "
        "specific words: names, places, dates. Search again with other words if the answer is "
        "not there."
    ),
    parameters={
        "type": "object",
        "properties": {
            "query": {
                "type": "string",
                "description": "What to look for.",
                "maxLength": LONGEST_QUERY,
            }
        },
        "required": ["query"],
        "additionalProperties": False,
    },
)


class Snippet(NamedTuple):
    """One thing found."""

    title: str
    text: str
    source: str


class SearchError(Exception):
    """A search that brought nothing back.

    Attributes:
        error_type: short, stable name.
        may_have_cost: whether the service may have charged for it.
    """

    def __init__(self, message: str, *, error_type: str, may_have_cost: bool) -> None:
        super().__init__(message)
        self.error_type = error_type
        self.may_have_cost = may_have_cost


class SearchBackend(Protocol):
    """Where snippets come from."""

    async def find(self, query: str, top: int) -> list[Snippet]:
        """The best snippets, best first.

        Raises:
            SearchError: the search failed; the message holds no key.
        """
        ...

    async def close(self) -> None:
        """Release sockets."""
        ...


@dataclass(slots=True)
class CorpusSearch:
    """BM25 over a local folder, indexed at the first search."""

    folder: Path
    _index: CorpusIndex | None = None

    async def find(self, query: str, top: int) -> list[Snippet]:
        """The best passages of the corpus."""
        if self._index is None:
            try:
                self._index = await asyncio.to_thread(load_index, self.folder)
            except CorpusError as error:
                raise SearchError(str(error), error_type="corpus", may_have_cost=False) from None
        return [Snippet(*passage) for passage in self._index.search(query, top)]

    async def close(self) -> None:
        """Forget the index."""
        self._index = None


class SearchTool:
    """The tool over one back-end."""

    kind = "search"
    tier = "in-process"

    def __init__(
        self,
        backend: SearchBackend,
        *,
        price_per_call_usd: Decimal | None,
        top: int = 3,
    ) -> None:
        """Return the `top` best snippets of `backend`, at this price a search."""
        self.schema = SCHEMA
        self.price_per_call_usd = price_per_call_usd
        self._backend = backend
        self._top = top

    async def run(self, arguments: Mapping[str, Any]) -> ToolResult:
        """Search once. Finding nothing is a result; a search that failed is one that is not ok."""
        try:
            query = read_text(arguments, "query", longest=LONGEST_QUERY)
        except ArgumentError as error:
            return refuse(error)
        try:
            found = await self._backend.find(query, self._top)
        except SearchError as error:
            refused = failure(error.error_type, str(error))
            # Charged or not is unknown, unless a search is free anyway.
            free = not error.may_have_cost or self.price_per_call_usd == 0
            return refused if free else replace(refused, cost_usd=None)
        return ToolResult(output=describe(found), cost_usd=self.price_per_call_usd)

    async def close(self) -> None:
        """Release the back-end."""
        await self._backend.close()


def describe(found: list[Snippet]) -> str:
    """What the model reads: numbered snippets under their titles."""
    if not found:
        return "(nothing found)"
    return "\n\n".join(
        f"[{number}] {snippet.title}\n{_shorten(snippet.text)}"
        for number, snippet in enumerate(found, start=1)
    )


def _shorten(text: str) -> str:
    return text if len(text) <= SNIPPET_CHARS else text[:SNIPPET_CHARS].rsplit(" ", 1)[0] + " …"
