"""A ledger of any earlier version comes up to date whole, once, and with every row it had.

Run on SQLite here, and once more on PostgreSQL by tests/servers.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pytest
from alembic.script import ScriptDirectory

from tests.warehouse import old_ledgers
from warehouse.errors import LedgerVersionError
from warehouse.ledger import open_ledger
from warehouse.ledger.address import ledger_address
from warehouse.ledger.engine import connect
from warehouse.ledger.reading import LEDGER_VERSION
from warehouse.ledger.versions import MIGRATIONS, revision_of, stored_version

REPOSITORY = Path(__file__).parents[2]
EARLIER = range(1, LEDGER_VERSION)
KEPT = ("runs", "chunks", "requests", "retries", "commits")
OPEN = "import sys; from pathlib import Path; from warehouse.ledger import open_ledger;"
OPEN += "open_ledger(Path(sys.argv[1])).close()"


def version_of(root):
    engine = connect(ledger_address(root))
    try:
        return stored_version(engine)
    finally:
        engine.dispose()


def start_opening(root, **environment):
    return subprocess.Popen(
        [sys.executable, "-c", OPEN, str(root)],
        cwd=REPOSITORY,
        env=os.environ | environment,
        stderr=subprocess.PIPE,
    )


def test_the_newest_migration_leads_to_the_version_in_use():
    script = ScriptDirectory(str(MIGRATIONS))

    assert [revision_of(LEDGER_VERSION)] == script.get_heads()
    assert LEDGER_VERSION == len(list(script.walk_revisions()))


@pytest.mark.parametrize("version", EARLIER)
def test_an_earlier_ledger_becomes_what_a_new_one_is(tmp_path, version):
    old_ledgers.make(tmp_path / "old", version)
    open_ledger(tmp_path / "old").close()
    migrated = old_ledgers.shape(tmp_path / "old")
    empty(tmp_path / "old")
    open_ledger(tmp_path / "new").close()

    assert old_ledgers.shape(tmp_path / "new") == migrated
    assert LEDGER_VERSION == version_of(tmp_path / "new")


def empty(root):
    """A server has one ledger for both folders of a test: it begins anew."""
    address = ledger_address(root)
    if address.shared:
        with connect(address, schema_changes=True).begin() as connection:
            connection.exec_driver_sql("DROP SCHEMA public CASCADE")
            connection.exec_driver_sql("CREATE SCHEMA public")


@pytest.mark.parametrize("version", EARLIER)
def test_every_row_of_an_earlier_ledger_is_kept(tmp_path, version):
    old_ledgers.make(tmp_path, version)
    before = {table: old_ledgers.rows(tmp_path, table) for table in KEPT}

    ledger = open_ledger(tmp_path)

    assert before == {table: old_ledgers.rows(tmp_path, table) for table in KEPT}
    assert all(before.values()), "the old ledger has rows in every table"
    spend = ledger.spend("old-run")
    assert (Decimal("0.0004"), Decimal("0.001"), Decimal("0.001"), 1) == (
        spend.settled_usd, spend.doubt_usd, spend.reserved_usd, spend.unpriced,
    )  # fmt: skip
    assert (
        '{"answer": "été"}' == {r.request_id: r.payload for r in ledger.requests("old-run")}["q1"]
    )
    assert [] == ledger.invalidations()
    ledger.close()


def test_an_earlier_ledger_can_be_read_without_being_changed(tmp_path):
    old_ledgers.make(tmp_path, 1)

    ledger = open_ledger(tmp_path, read_only=True)

    assert ["old-run"] == [run.run_id for run in ledger.runs()]
    assert [] == ledger.invalidations()
    assert 1 == version_of(tmp_path)
    ledger.close()


def test_a_ledger_whose_making_was_interrupted_is_finished(tmp_path):
    old_ledgers.make(tmp_path, 1)
    with connect(ledger_address(tmp_path), schema_changes=True).begin() as connection:
        for table in ("meta", "commits", "retries"):
            connection.exec_driver_sql(f"DROP TABLE {table}")

    ledger = open_ledger(tmp_path)

    assert LEDGER_VERSION == version_of(tmp_path)
    assert ["old-run"] == [run.run_id for run in ledger.runs()]
    ledger.close()


def test_a_newer_ledger_is_refused_and_left_alone(tmp_path):
    open_ledger(tmp_path).close()
    with connect(ledger_address(tmp_path)).begin() as connection:
        connection.exec_driver_sql("UPDATE meta SET value = '99' WHERE key = 'ledger_version'")

    for read_only in (False, True):
        with pytest.raises(LedgerVersionError, match="version 99"):
            open_ledger(tmp_path, read_only=read_only)

    assert 99 == version_of(tmp_path)


@pytest.mark.parametrize("existing", [0, *EARLIER])
def test_of_many_processes_one_does_the_work_and_all_go_on(tmp_path, existing):
    if existing:
        old_ledgers.make(tmp_path, existing)

    processes = [start_opening(tmp_path) for _ in range(3)]
    errors = [process.communicate(timeout=60)[1].decode() for process in processes]

    assert [0, 0, 0] == [process.returncode for process in processes], errors
    assert LEDGER_VERSION == version_of(tmp_path)


@pytest.mark.parametrize("existing", [0, *EARLIER])
def test_a_kill_in_the_middle_leaves_the_ledger_as_it_was(tmp_path, existing):
    if existing:
        old_ledgers.make(tmp_path, existing)
    process = start_opening(tmp_path, ATLAS_FAULT_POINT="in_migration")
    process.communicate(timeout=60)
    assert -signal.SIGKILL == process.returncode
    assert (existing or None) == version_of(tmp_path)
    assert "invalidations" not in old_ledgers.shape(tmp_path)

    ledger = open_ledger(tmp_path)

    assert LEDGER_VERSION == version_of(tmp_path)
    assert (["old-run"] if existing else []) == [run.run_id for run in ledger.runs()]
    ledger.close()
