"""A chunk's tables are the same whether its first rows were built before its last ones ended."""

from __future__ import annotations

import asyncio

import pytest

import tasks.batch.chunk
from tasks.batch.draft import ended
from tasks.batch.stop import StopFlag
from tasks.call.base import ChatResponse, Usage
from tasks.call.scripted import ScriptedClient
from warehouse.errors import WarehouseError
from warehouse.ledger import open_ledger
from warehouse.query import scan
from warehouse.tables import to_arrow

TABLES = ("queries", "decisions", "attempts", "answers")
VARYING = (
    "source_uri",
    "started_at",
    "answered_at",
    "decided_at",
    "ingested_at",
    "duration_s",
    "queue_s",
)


def tables(workshop):
    ledger = open_ledger(workshop.root)
    try:
        return {
            name: scan(workshop.root, ledger.commits(name, "run"), name)
            .collect()
            .drop(VARYING, strict=False)
            .to_dicts()
            for name in TABLES
        }
    finally:
        ledger.close()


def every_seventh_is_late():
    """A client that answers out of order: the first rows are done, a later one is in flight."""

    async def answer(request):
        row = int(request.messages[-1].content.split()[2])
        for _ in range(200 if row % 7 == 6 else 1):
            await asyncio.sleep(0)
        return ChatResponse(f"Answer: {2 * row}", Usage(100 + row, 50))

    return ScriptedClient(default=answer)


def test_drafted_tables_are_those_built_at_once(workshop, tmp_path, monkeypatch):
    workshop.backlog(25)
    drafts = []

    def spied(tasks_):
        drafts.append(ended(tasks_))
        return drafts[-1]

    monkeypatch.setattr(tasks.batch.chunk, "ended", spied)
    workshop.route(every_seventh_is_late(), concurrency=4)
    drafted = tables(workshop)

    (tmp_path / "other").mkdir()
    other = type(workshop)(tmp_path / "other")
    other.backlog(25)
    monkeypatch.setattr(tasks.batch.chunk, "ended", lambda _tasks: [])
    other.route(every_seventh_is_late(), concurrency=4)

    assert 0 < max(map(len, drafts)) < 10
    assert tables(other) == drafted
    assert [f"row-{row}" for row in range(25)] == [row["custom_id"] for row in drafted["answers"]]


def test_a_chunk_taken_up_again_is_built_at_once(workshop, monkeypatch):
    workshop.backlog(10)
    begun, stop = [], StopFlag()

    def answer(_request):
        begun.append(1)
        if len(begun) == 5:
            stop.request()
        return ChatResponse("Answer: 42", Usage(1, 1))

    workshop.route(ScriptedClient(default=answer), concurrency=1, stop=stop)
    built = []
    monkeypatch.setattr(tasks.batch.chunk, "drafted", lambda *rows: built.append(rows))

    report = workshop.route(concurrency=1)

    assert "complete" == report.state
    assert [] == built
    assert 10 == len(tables(workshop)["answers"])


def test_a_value_that_fits_no_column_ends_the_run_once_its_rows_are_paid(workshop, monkeypatch):
    workshop.backlog(10)
    client = every_seventh_is_late()

    def refusing(table, rows):
        if table == "answers" and rows:
            raise WarehouseError("Table 'answers', row 0: no.")
        return to_arrow(table, rows)

    monkeypatch.setattr("tasks.batch.draft.to_arrow", refusing)

    with pytest.raises(WarehouseError, match="Table 'answers', row 0"):
        workshop.route(client, concurrency=2)

    ledger = open_ledger(workshop.root)
    states = [request.state for request in ledger.requests("run")]
    ledger.close()
    assert ["settled"] * 10 == states


async def test_a_row_in_flight_ends_the_first_part():
    gate = asyncio.Event()

    async def row(number, *, waits=False):
        if waits:
            await gate.wait()
        return number

    running = [asyncio.ensure_future(one) for one in (row(0), row(1), row(2, waits=True), row(3))]
    for _ in range(3):
        await asyncio.sleep(0)

    assert [0, 1] == ended(running)

    gate.set()
    await asyncio.gather(*running)
    assert [0, 1, 2, 3] == ended(running)
