"""Rows begin chunk by chunk, and only as many at once as may be in flight."""

from __future__ import annotations

import asyncio

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
