"""Statements handed to the driver as text do what SQLAlchemy's own execution does."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import bindparam, select
from sqlalchemy.dialects import postgresql
from sqlalchemy.exc import SQLAlchemyError

from warehouse.ledger.address import ledger_address
from warehouse.ledger.engine import connect
from warehouse.ledger.prepared import PreparedStatement
from warehouse.ledger.schema import metadata, requests

NOW = datetime(2026, 11, 3, 4, 5, 6, 789, tzinfo=UTC).replace(tzinfo=None)
COLUMNS = (
    "request_id", "run_id", "chunk_id", "query_id", "pair_id", "call_index", "request_key",
    "state", "sends", "reserved_nano", "doubt_nano", "doubts", "payload", "claimed_at",
)  # fmt: skip


def row(name: str) -> dict[str, object]:
    return dict(
        zip(
            COLUMNS,
            (name, "run", "c1", "q", "m@@none", 0, "key", "claimed", 1, 5, 0, 0, "a\0b",
             NOW),
            strict=True,
        )
    )  # fmt: skip


UPDATE = (
    requests.update()
    .where(requests.c.request_id == bindparam("id_"))
    .values(state="settled", sends=requests.c.sends + 1, settled_at=bindparam("at_"))
)
CHANGES = {"id_": "r1", "at_": NOW}


@pytest.fixture
def engine(tmp_path: Path):
    made = connect(ledger_address(tmp_path, None))
    metadata.create_all(made)
    yield made
    made.dispose()


def content(connection):
    return [tuple(one) for one in connection.execute(select(requests).order_by("request_id"))]


def test_rows_are_those_of_sqlalchemy(engine) -> None:
    with engine.connect() as connection:
        connection.execute(requests.insert(), [row("r1"), row("r2")])
        connection.execute(UPDATE, [CHANGES])
        wanted = content(connection)
        connection.rollback()
        insert = PreparedStatement(requests.insert(), engine.dialect, COLUMNS)
        insert.execute(connection, [row("r1"), row("r2")])
        PreparedStatement(UPDATE, engine.dialect).execute(connection, [CHANGES])
        found = content(connection)
    assert found == wanted
    assert [one[7] for one in found] == ["settled", "claimed"]
    assert "a\ufffdb" in found[0]


def test_it_is_part_of_the_transaction(engine) -> None:
    insert = PreparedStatement(requests.insert(), engine.dialect, COLUMNS)
    with pytest.raises(SQLAlchemyError), engine.begin() as connection:
        insert.execute(connection, [row("r1"), row("r1")])
    with engine.connect() as connection:
        assert content(connection) == []


def test_a_missing_value_is_said(engine) -> None:
    with engine.connect() as connection, pytest.raises(KeyError, match="at_"):
        PreparedStatement(UPDATE, engine.dialect).execute(connection, [{"id_": "r1"}])


def test_parameters_are_named_where_the_driver_names_them() -> None:
    prepared = PreparedStatement(UPDATE, postgresql.psycopg.dialect())
    executed = []

    class Recorder:
        def exec_driver_sql(self, text, rows):
            executed.append((text, rows))

    prepared.execute(Recorder(), [CHANGES])
    [(text, [values])] = executed
    assert "%(id_)s" in text
    assert values["id_"] == "r1"
    assert values["at_"] == NOW
    assert "settled" in values.values()
