"""Rows begin chunk by chunk, and only as many at once as may be in flight."""

from __future__ import annotations

import asyncio

from tasks.batch.backlog_source import BacklogSource
from tasks.call.base import ChatResponse, Usage
from tasks.call.scripted import ScriptedClient


def test_a_chunk_begins_all_its_rows_before_the_next_one_begins_any(workshop):
    workshop.backlog(25)
    in_flight, most, begun = 0, 0, []

    async def slowly(request):
        nonlocal in_flight, most
        in_flight, most = in_flight + 1, max(most, in_flight + 1)
        begun.append(int(request.messages[-1].content.split()[2]))
        await asyncio.sleep(0)
        in_flight -= 1
        return ChatResponse("Answer: 42", Usage(100, 50))

    workshop.route(ScriptedClient(default=slowly), concurrency=4)

    chunks = [row // 10 for row in begun]
    assert sorted(chunks) == chunks
    assert 25 == len(begun)
    assert 1 < most <= 4


def test_a_chunk_is_loaded_once_a_row_of_the_one_before_has_ended(workshop, monkeypatch):
    workshop.backlog(25)
    events = []
    load = BacklogSource.load

    def spied(self, chunk_id):
        events.append("load")
        return load(self, chunk_id)

    monkeypatch.setattr(BacklogSource, "load", spied)

    async def answer(_request):
        events.append("answer")
        return ChatResponse("Answer: 42", Usage(1, 1))

    workshop.route(ScriptedClient(default=answer), concurrency=2)

    assert ["load", "answer"] == events[:2]
    assert 3 == events.count("load")
    assert events.index("load", 1) < len(events) - 1
