"""Search in a local corpus and on the web behind one interface."""

from __future__ import annotations

import asyncio
import json
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest
from aiohttp import web

from tasks.tools.corpus import PASSAGE_WORDS, CorpusError, Document, load_index, split
from tasks.tools.search import SNIPPET_CHARS, CorpusSearch, SearchTool
from tasks.tools.web_search import WebSearch

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

PRICE = Decimal("0.005")
KEY = "AIza-secret-key"


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    (tmp_path / "rivers.md").write_text("# The river Velm\n\nThe Velm flows through Orvik.\n")
    (tmp_path / "old-towns.txt").write_text("\ufeffOrvik was founded in 1203 by weavers.")
    rows = [
        {"title": "Weaving", "text": "Weavers use a loom.", "url": "https://example.org/loom"},
        {"text": "Looms are made of oak."},
    ]
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "crafts.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n\n")
    (tmp_path / "ignored.bin").write_bytes(b"\xff\xfe Orvik")
    return tmp_path


def corpus_tool(folder: Path, top: int = 3) -> SearchTool:
    return SearchTool(CorpusSearch(folder), price_per_call_usd=PRICE, top=top)


async def test_the_best_passages_come_first_with_their_titles(corpus: Path) -> None:
    result = await corpus_tool(corpus).run({"query": "Which river flows through Orvik?"})

    assert result.ok
    assert result.cost_usd == PRICE
    assert (
        result.output == "[1] The river Velm\nThe Velm flows through Orvik.\n\n"
        "[2] old towns\nOrvik was founded in 1203 by weavers."
    )


async def test_no_more_snippets_than_asked_for(corpus: Path) -> None:
    result = await corpus_tool(corpus, top=1).run({"query": "Orvik"})

    assert result.output.count("[") == 1


@pytest.mark.parametrize("query", ["zebra", "?!", "the of and", "…", "\x00"])
async def test_finding_nothing_is_a_result(corpus: Path, query: str) -> None:
    result = await corpus_tool(corpus).run({"query": query})

    assert (result.ok, result.output) == (True, "(nothing found)")


async def test_titles_are_searched_too_and_urls_are_kept(corpus: Path) -> None:
    index = load_index(corpus)

    assert [found.source for found in index.search("weaving", 3)] == ["https://example.org/loom"]
    assert index.search("oak", 1)[0].source == "sub/crafts.jsonl:2"


def test_ties_come_in_corpus_order(tmp_path: Path) -> None:
    rows = [{"title": f"Twin {n}", "text": "alpha beta gamma"} for n in range(6)]
    (tmp_path / "twins.jsonl").write_text("\n".join(map(json.dumps, rows)))
    found = load_index(tmp_path).search("beta", 3)

    assert [passage.title for passage in found] == ["Twin 0", "Twin 1", "Twin 2"]


def test_one_content_is_indexed_once_and_a_changed_one_again(corpus: Path) -> None:
    first = load_index(corpus)
    again = load_index(corpus)
    (corpus / "new.txt").write_text("Something new.")
    changed = load_index(corpus)

    assert first is again
    assert first.fingerprint != changed.fingerprint
    assert changed.search("something", 1)


def test_long_documents_become_passages_that_lose_no_word() -> None:
    text = "\n\n".join(" ".join(f"w{p}x{n}" for n in range(50 * p)) for p in range(1, 8))
    passages = list(split(Document("t", text, "s")))

    assert text.split() == " ".join(passage.text for passage in passages).split()
    assert max(len(passage.text.split()) for passage in passages) <= PASSAGE_WORDS


async def test_long_snippets_are_shortened(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("orvik " + "verylongword" * 8 + " " + "w " * 20)
    (tmp_path / "b.txt").write_text("orvik " + ("x" * 60 + " ") * 60)
    result = await corpus_tool(tmp_path).run({"query": "orvik"})

    assert all(len(line) <= SNIPPET_CHARS + 2 for line in result.output.splitlines())
    assert "…" in result.output


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b'{"text": "a"}\n{"text": ', "line 2: not valid JSON"),
        (b'{"title": "a"}', "line 1: a document needs a field 'text'"),
        (b'["a"]', "line 1: a document needs"),
        (b"\xff\xfe", "not UTF-8 at byte 0"),
        (b"", "holds no text"),
    ],
)
def test_a_bad_corpus_is_said_with_file_and_line(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "a.jsonl").write_bytes(content)
    with pytest.raises(CorpusError, match=said):
        load_index(tmp_path)


async def test_a_missing_corpus_is_a_result_that_is_not_ok(tmp_path: Path) -> None:
    result = await corpus_tool(tmp_path / "nowhere").run({"query": "x"})

    assert (result.ok, result.error_type, result.cost_usd) == (False, "corpus", 0)
    assert "nowhere" in result.output


@pytest.mark.parametrize("arguments", [{}, {"query": ""}, {"query": 5}, {"query": "x" * 3000}])
async def test_bad_arguments_cost_nothing(corpus: Path, arguments) -> None:
    result = await corpus_tool(corpus).run(arguments)

    assert (result.error_type, result.cost_usd) == ("bad_arguments", 0)


@pytest.fixture
async def serve() -> AsyncIterator[Callable[[Callable[..., Awaitable[web.StreamResponse]]], str]]:
    runners = []

    async def start(handler) -> str:
        app = web.Application()
        app.router.add_get("/search", handler)
        runner = web.AppRunner(app, shutdown_timeout=0.05)
        await runner.setup()
        runners.append(runner)
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = site._server.sockets[0].getsockname()
        return f"http://{host}:{port}/search"

    yield start
    for runner in runners:
        await runner.cleanup()


def web_tool(url: str, timeout_s: float = 5.0) -> SearchTool:
    backend = WebSearch(url, key=KEY, engine="engine-1", timeout_s=timeout_s)
    return SearchTool(backend, price_per_call_usd=PRICE)


async def test_web_results_have_the_same_form(serve) -> None:
    asked = {}

    async def handler(request: web.Request) -> web.Response:
        asked.update(request.query)
        items = [{"title": f"T{n}", "snippet": f"s\n {n}", "link": "l"} for n in range(5)]
        return web.json_response({"items": items})

    tool = web_tool(await serve(handler))
    result = await tool.run({"query": "a & b=c"})
    await tool.close()

    assert result.output == "[1] T0\ns 0\n\n[2] T1\ns 1\n\n[3] T2\ns 2"
    assert result.cost_usd == PRICE
    assert asked == {"key": KEY, "cx": "engine-1", "q": "a & b=c", "num": "3"}


async def test_a_web_search_without_results_is_a_result(serve) -> None:
    async def handler(request: web.Request) -> web.Response:
        return web.json_response({"searchInformation": {}})

    tool = web_tool(await serve(handler))
    result = await tool.run({"query": "x"})
    await tool.close()

    assert (result.ok, result.output) == (True, "(nothing found)")


@pytest.mark.parametrize(
    ("answer", "kind", "cost"),
    [
        (lambda: web.Response(status=403, text=KEY), "auth", 0),
        (lambda: web.Response(status=429), "rate_limited", 0),
        (lambda: web.Response(status=500, text=KEY), "http_error", None),
        (lambda: web.Response(status=302, headers={"Location": "http://127.0.0.1:1/"}),
         "http_error", 0),
        (lambda: web.Response(text="<html>"), "bad_answer", None),
        (lambda: web.Response(text="[]"), "bad_answer", None),
        (lambda: web.Response(text='{"items": 3}'), "bad_answer", None),
        (lambda: web.Response(body=b"x" * (2 << 20)), "connection", None),
    ],
)  # fmt: skip
async def test_a_refusing_service_is_said_without_the_key(serve, answer, kind, cost) -> None:
    async def handler(request: web.Request) -> web.Response:
        return answer()

    tool = web_tool(await serve(handler))
    result = await tool.run({"query": "x"})
    await tool.close()

    assert (False, kind, cost) == (result.ok, result.error_type, result.cost_usd)
    assert KEY not in repr(result)


async def test_a_hanging_service_is_left_after_the_limit(serve) -> None:
    async def handler(request: web.Request) -> web.Response:
        await asyncio.sleep(30)
        return web.Response()

    tool = web_tool(await serve(handler), timeout_s=0.2)
    result = await tool.run({"query": "x"})
    await tool.close()

    assert (result.error_type, result.cost_usd) == ("timeout", None)
    assert KEY not in repr(result)


async def test_an_unreachable_service_costs_nothing() -> None:
    tool = web_tool("http://127.0.0.1:9/search")
    result = await tool.run({"query": "x"})
    await tool.close()

    assert (result.error_type, result.cost_usd) == ("connection", 0)
    assert KEY not in repr(result)
