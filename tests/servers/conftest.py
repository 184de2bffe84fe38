"""Real servers for the tests of this folder: one PostgreSQL, one Prefect, one MLflow a session."""

from __future__ import annotations

import os
import shutil
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.servers import postgres as postgres_server
from tests.servers.postgres import NoPostgresError, free_port
from tests.servers.stack import Stack, clean_environment
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
        with ThreadPoolExecutor() as pool:
            starts = [
                pool.submit(running.start_prefect, free_port()),
                pool.submit(running.start_mlflow, free_port()),
            ]
        for start in starts:
            start.result()
        yield running
    finally:
        for server in reversed(running.servers):
            server.stop()


@pytest.fixture
def plain_environment():
    """Variables of this process that lead to no server, to add to."""
    return clean_environment()
