"""Real servers for the tests of this folder: one PostgreSQL, one Prefect, one MLflow a session."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import pytest

from tests.servers import postgres as postgres_server
from tests.servers.postgres import NoPostgresError, free_port
from tests.servers.stack import Stack
from warehouse.ledger.address import LEDGER_URL_VARIABLE

REPOSITORY = Path(__file__).parents[2]
NEEDED = "ATLAS_TEST_SERVERS"
"""Set to `required`, what cannot be started is a failure and not a reason to skip."""


@pytest.fixture(scope="session")
def folder():
    """A folder that PostgreSQL's own user can get to, gone at the end."""
    path = Path(tempfile.mkdtemp(prefix="atlas-servers-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres(folder):
    """A running PostgreSQL of our own."""
    try:
        server = postgres_server.start(folder / "postgres", free_port())
    except NoPostgresError as error:
        if os.environ.get(NEEDED) == "required":
            raise
        pytest.skip(str(error))
    yield server
    server.stop("immediate")


@pytest.fixture
def on_postgres(postgres, monkeypatch):
    """An empty ledger on the server, and ATLAS told to use it."""
    postgres.run("DROP SCHEMA public CASCADE", "ledger")
    postgres.run("CREATE SCHEMA public", "ledger")
    url = postgres.url("ledger")
    monkeypatch.setenv(LEDGER_URL_VARIABLE, url)
    return url


@pytest.fixture(scope="session")
def stack(folder, postgres):
    """Prefect and MLflow on that PostgreSQL."""
    running = Stack(folder, postgres)
    try:
        running.start({"prefect": free_port(), "mlflow": free_port()})
        yield running
    finally:
        for server in reversed(running.servers):
            server.stop()
