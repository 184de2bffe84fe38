"""Versions of the ledger's tables: which one is there, and how an older one is brought up to date.

`meta.ledger_version` is what every ATLAS, older ones too, looks at first. Alembic's own table says
the same in its words (version 2 is revision `0002`) and is written in the same transaction. That
transaction holds a lock from its beginning on, so that of many processes one does the work; killed
anywhere, it leaves the ledger as it was.
"""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, Engine, inspect, select, text

from warehouse.fault_points import fault_point
from warehouse.ledger.reading import LEDGER_VERSION
from warehouse.ledger.schema import alembic_version, meta, metadata

MIGRATIONS = Path(__file__).parents[1] / "migrations"

_LOCK_KEY = 0x41544C_4153_4C44
"""Advisory lock of PostgreSQL under which tables are changed."""
_KEY = "ledger_version"


def revision_of(version: int) -> str:
    """Alembic's name of a version."""
    return f"{version:04d}"


def stored_version(engine: Engine) -> int | None:
    """Version of the ledger's tables; None where there are none, or were never finished."""
    with engine.begin() as connection:
        return _version(connection)


def _version(connection: Connection) -> int | None:
    if not inspect(connection).has_table(meta.name):
        return None
    value = connection.execute(select(meta.c.value).where(meta.c.key == _KEY)).scalar_one_or_none()
    return None if value is None else int(value)


def bring_up_to_date(engine: Engine) -> None:
    """Make the tables, or take them from an earlier version to this one, in one transaction.

    Args:
        engine: made for changing tables, see `warehouse.ledger.engine.connect`.
    """
    with engine.begin() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK_KEY})
        # Only now nobody else can change it.
        version = _version(connection)
        if version is not None and version >= LEDGER_VERSION:
            return
        if inspect(connection).get_table_names():
            _migrate(connection, version)
        else:
            # What the migrations make one after the other, at once: they take half a second to
            # import, and every first command would wait for them.
            metadata.create_all(connection)
            connection.execute(
                alembic_version.insert(), {"version_num": revision_of(LEDGER_VERSION)}
            )
        connection.execute(meta.delete().where(meta.c.key == _KEY))
        connection.execute(meta.insert(), {"key": _KEY, "value": str(LEDGER_VERSION)})
        fault_point("in_migration")


def _migrate(connection: Connection, version: int | None) -> None:
    from alembic import command
    from alembic.config import Config

    if version is not None and not inspect(connection).has_table(alembic_version.name):
        # Version 1 was made before there were migrations.
        alembic_version.create(connection)
        connection.execute(alembic_version.insert(), {"version_num": revision_of(version)})
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
