"""Every promise of the ledger once more on PostgreSQL, and those that only a server can break."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest

import tests.warehouse.test_ledger as promises
import tests.warehouse.test_migrations as migrations
import warehouse.shared_lock
from warehouse.errors import LedgerBusyError, WarehouseError
from warehouse.ledger import keep_ledger_beside, open_ledger
from warehouse.ledger.address import LEDGER_URL_VARIABLE, ledger_address
from warehouse.ledger.engine import connect
from warehouse.run_lock import holder, is_live, run_lock

pytestmark = [pytest.mark.servers, pytest.mark.usefixtures("on_postgres")]

ONLY_FILES = {
    "test_a_file_that_is_no_ledger_is_named",
    "test_looking_changes_nothing",
    "test_who_only_looks_needs_no_sqlalchemy",
}
REPOSITORY = Path(__file__).parents[2]
HOLD = """
import sys
from pathlib import Path
from warehouse.errors import LedgerBusyError
from warehouse.run_lock import run_lock
try:
    with run_lock(Path(sys.argv[1]), "r1"):
        print("held", flush=True)
        sys.stdin.read()
except LedgerBusyError as error:
    print(error, flush=True)
"""

for module in (promises, migrations):
    tests = {n: t for n, t in vars(module).items() if n.startswith("test_") and n not in ONLY_FILES}
    globals().update(tests)


@pytest.fixture
def ledger(tmp_path, on_postgres):
    ledger = open_ledger(tmp_path)
    ledger.create_run(promises.run_record(), ["000000", "000001"])
    assert "postgresql" == ledger._engine.dialect.name
    yield ledger
    ledger.close()


def hold(root):
    """A process of its own that takes the lock of run r1 under `root`; what it says first."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(root)],
        cwd=REPOSITORY,
        env=os.environ,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    return process, process.stdout.readline().strip()


def test_a_second_machine_is_refused_and_told_who_works_there(tmp_path):
    # Another root has other lock files: only the server knows of both.
    with run_lock(tmp_path / "here", "r1"):
        process, said = hold(tmp_path / "there")
        process.communicate()

    assert said.startswith(f"Run 'r1' is being worked on by process {os.getpid()}@")
    assert "two processes never share a run" in said


def test_a_killed_holder_frees_the_lock_for_other_machines(tmp_path):
    process, said = hold(tmp_path / "there")
    assert "held" == said
    assert holder(tmp_path / "here", "r1").startswith(f"{process.pid}@")

    process.send_signal(signal.SIGKILL)
    process.communicate()

    # The server notices the end of the connection by itself, a moment later.
    wait_until(lambda: not is_live(tmp_path / "here", "r1"))
    with run_lock(tmp_path / "here", "r1"):
        assert is_live(tmp_path / "elsewhere", "r1")


def test_other_runs_are_free(tmp_path):
    with run_lock(tmp_path, "r1"), run_lock(tmp_path, "r2"):
        assert not is_live(tmp_path, "r3")


def test_a_broken_connection_is_mended_and_the_lock_taken_again(tmp_path, postgres, monkeypatch):
    monkeypatch.setattr(warehouse.shared_lock, "LOOK_EVERY_S", 0.05)

    with run_lock(tmp_path / "here", "r1"):
        break_connections(postgres)
        wait_until(lambda: holder(tmp_path / "there", "r1") is not None)


def test_a_lock_that_somebody_else_took_meanwhile_stops_the_run(tmp_path, postgres, monkeypatch):
    monkeypatch.setattr(warehouse.shared_lock, "LOOK_EVERY_S", 0.05)
    stopped, done = threading.Event(), threading.Event()
    before = signal.signal(signal.SIGINT, lambda *_: stopped.set())
    waiter = threading.Thread(target=wait_in_line, args=(postgres, done))
    try:
        with (  # noqa: PT012 - what breaks the lock happens inside it
            pytest.raises(LedgerBusyError, match="process 1@elsewhere took it up meanwhile"),
            run_lock(tmp_path / "here", "r1"),
        ):
            waiter.start()
            wait_until(lambda: waiting_for_locks(postgres))
            break_connections(postgres)
            assert stopped.wait(30)
    finally:
        done.set()
        waiter.join()
        signal.signal(signal.SIGINT, before)


def wait_in_line(postgres, done):
    """Another machine, next in the server's line for the lock of run r1."""
    with psycopg.connect(
        postgres.url("ledger"), autocommit=True, application_name="atlas-run 1@elsewhere"
    ) as connection:
        connection.execute("SELECT pg_advisory_lock(%s)", [warehouse.shared_lock.lock_key("r1")])
        done.wait(60)


def waiting_for_locks(postgres):
    return postgres.run("SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")


def break_connections(postgres):
    """End the connection that holds a lock; one that waits for it stays."""
    postgres.run(
        "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted"
    )


def wait_until(condition):
    patience = threading.Event()
    for _ in range(600):
        if condition():
            return
        patience.wait(0.05)
    pytest.fail("it did not come about within 30 s")


def test_the_password_is_in_no_message(tmp_path, postgres, monkeypatch):
    monkeypatch.setenv(
        LEDGER_URL_VARIABLE, f"postgresql://atlas:hunter2@127.0.0.1:{postgres.port}/ledger"
    )

    with pytest.raises(WarehouseError, match="password authentication failed") as caught:
        open_ledger(tmp_path)

    told = "".join(str(error) for error in chain(caught.value))
    assert "hunter2" not in told
    assert f"postgresql://127.0.0.1:{postgres.port}/ledger" in told


def chain(error):
    while error is not None:
        yield error
        error = error.__cause__


def test_a_server_that_is_away_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv(LEDGER_URL_VARIABLE, "postgresql://a:b@127.0.0.1:9/ledger")

    with pytest.raises(WarehouseError, match="Check that the server runs"):
        open_ledger(tmp_path)


def test_commits_are_on_the_disk_even_where_the_database_would_not_wait(tmp_path, postgres):
    postgres.run("ALTER DATABASE ledger SET synchronous_commit = off")
    try:
        engine = connect(ledger_address(tmp_path))
        with engine.connect() as connection:
            assert "on" == connection.exec_driver_sql("SHOW synchronous_commit").scalar_one()
        engine.dispose()
    finally:
        postgres.run("ALTER DATABASE ledger RESET synchronous_commit")


def test_times_and_money_come_back_exactly(ledger):
    moment = datetime(2026, 3, 4, 5, 6, 7, 891011, tzinfo=UTC)
    ledger.update_run("r1", ended_at=moment, rows=5_000_000_000)

    run = ledger.run("r1")

    assert (moment, 5_000_000_000) == (run.ended_at, run.rows)


@pytest.mark.parametrize("read", promises.READS.values(), ids=promises.READS)
def test_a_server_tells_what_a_file_tells(tmp_path, read):
    keep_ledger_beside(tmp_path / "beside")
    with closing(promises.filled(tmp_path)) as server:
        told = read(server)
    with closing(promises.filled(tmp_path / "beside")) as file:
        expected = read(file)

    assert expected == told
