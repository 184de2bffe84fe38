"""Ledgers of earlier versions, with the rows that ATLAS of their time wrote into them.

`ledgers/version-N.sql` is the dump of a SQLite ledger. On another database its tables are made by
the migrations up to that version, and its rows copied.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import MetaData, create_engine, inspect, select

from warehouse.ledger.address import LEDGER_FILE, ledger_address
from warehouse.ledger.engine import connect
from warehouse.ledger.versions import MIGRATIONS, revision_of

DUMPS = Path(__file__).parent / "ledgers"


def dump(version):
    """The SQL that makes the SQLite ledger of a version."""
    return (DUMPS / f"version-{version}.sql").read_text(encoding="utf-8")


def make(root, version):
    """Make the ledger of a version where `root` has its ledger."""
    root.mkdir(parents=True, exist_ok=True)
    address = ledger_address(root)
    with sqlite3.connect(address.file or root / "source.db") as file:
        file.executescript(dump(version))
    file.close()
    if address.file is None:
        _copy(root / "source.db", address, version)


def _copy(source, address, version):
    with connect(address, schema_changes=True).begin() as target:
        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS))
        config.attributes["connection"] = target
        command.upgrade(config, revision_of(version))
        tables = MetaData()
        tables.reflect(target)
        with create_engine(f"sqlite:///{source}").connect() as origin:
            old = MetaData()
            old.reflect(origin)
            for table in old.sorted_tables:
                if rows := [dict(row) for row in origin.execute(select(table)).mappings()]:
                    target.execute(tables.tables[table.name].insert(), rows)
        if version == 1:
            # Version 1 knew nothing of Alembic.
            target.exec_driver_sql("DROP TABLE alembic_version")


def shape(root):
    """What the tables of a ledger are: columns, keys and indexes, in words that compare."""
    engine = connect(ledger_address(root))
    seen = inspect(engine)
    found = {
        name: (
            [(c["name"], str(c["type"]), c["nullable"]) for c in seen.get_columns(name)],
            seen.get_pk_constraint(name)["constrained_columns"],
            sorted((i["name"], tuple(i["column_names"])) for i in seen.get_indexes(name)),
        )
        for name in seen.get_table_names()
    }
    engine.dispose()
    return found


def rows(root, table):
    """All rows of a table, in the order of their first columns."""
    engine = connect(ledger_address(root))
    tables = MetaData()
    tables.reflect(engine, only=[table])
    with engine.connect() as connection:
        found = [tuple(row) for row in connection.execute(select(tables.tables[table]))]
    engine.dispose()
    return sorted(found, key=repr)


__all__ = ["LEDGER_FILE", "dump", "make", "rows", "shape"]
