"""A private PostgreSQL: its own data folder, port and password, started and stopped by us."""

from __future__ import annotations

import contextlib
import os
import pwd
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

ADMIN = "atlas"
DATABASES = ("ledger", "prefect", "mlflow")


class NoPostgresError(Exception):
    """PostgreSQL cannot be had here; says why."""


def free_port():
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def find_bin(*, install):
    """The folder of `initdb` and `pg_ctl`; Debian's package is installed if asked and possible.

    Raises:
        NoPostgresError: there is none and none can be installed.
    """
    found = _bin()
    if found is None and install and os.geteuid() == 0 and shutil.which("apt-get"):
        print("installing postgresql, which this machine lacks", file=sys.stderr)
        quick = ["-o", "Acquire::Retries=1", "-o", "Acquire::http::Timeout=15"]
        for command in (["update", "-qq"], ["install", "-y", "-qq", "postgresql"]):
            # Without a network this fails, and the sentence below says what is missing.
            with contextlib.suppress(subprocess.TimeoutExpired):
                subprocess.run(
                    ["apt-get", *quick, *command],
                    env=os.environ | {"DEBIAN_FRONTEND": "noninteractive"},
                    timeout=240,
                    check=False,
                    stdout=subprocess.DEVNULL,
                )
        found = _bin()
    if found is None:
        raise NoPostgresError(
            "PostgreSQL is not installed here and cannot be installed without root and a network. "
            "On Debian: apt-get install postgresql"
        )
    return found


def _bin():
    places = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    if on_path := shutil.which("pg_ctl"):
        places.insert(0, Path(on_path).resolve().parent)
    return next((place for place in places if (place / "initdb").exists()), None)


@dataclass(frozen=True)
class Postgres:
    """A server that runs.

    Attributes:
        bin: folder of PostgreSQL's programs.
        data: its data folder.
        port: on 127.0.0.1.
        password: of the user `atlas`.
    """

    bin: Path
    data: Path
    port: int
    password: str

    def url(self, database, driver="postgresql"):
        """The address of a database, password included."""
        return (
            f"{driver}://{ADMIN}:{quote(self.password, safe='')}@127.0.0.1:{self.port}/{database}"
        )

    def run(self, sql, database="postgres"):
        """Execute one statement outside a transaction; rows of a query."""
        import psycopg

        with psycopg.connect(self.url(database), autocommit=True) as connection:
            cursor = connection.execute(sql)
            return cursor.fetchall() if cursor.description else []

    def make_database(self, name):
        """Make an empty database and return its address."""
        self.run(f'CREATE DATABASE "{name}"')
        return self.url(name)

    def stop(self, mode="fast"):
        """Stop it and wait for its end."""
        _as_server([self.bin / "pg_ctl", "-D", self.data, "-m", mode, "-w", "stop"])


def start(folder, port, *, install=False):
    """Start the PostgreSQL that lives in `folder`, made on the first start.

    Args:
        folder: an absolute path; its content is private to the server.
        port: to listen on, on 127.0.0.1 only.
        install: whether Debian's package may be installed.

    Raises:
        NoPostgresError: it cannot be had.
        RuntimeError: it does not start; with the end of its log.
    """
    programs = find_bin(install=install)
    folder.mkdir(parents=True, exist_ok=True)
    data, secret, log = folder / "data", folder / "password", folder / "postgres.log"
    if os.geteuid() == 0:
        # PostgreSQL refuses to run as root.
        shutil.chown(folder, "postgres", "postgres")
    if not (data / "PG_VERSION").exists():
        shutil.rmtree(data, ignore_errors=True)
        # With characters that an address must escape: whoever forgets that fails the tests.
        secret.write_text(secrets.token_urlsafe(16) + "@/:%", encoding="utf-8")
        secret.chmod(0o600)
        if os.geteuid() == 0:
            shutil.chown(secret, "postgres", "postgres")
        _as_server([
            programs / "initdb", "-D", data, "-U", ADMIN, "--auth=scram-sha-256",
            f"--pwfile={secret}", "--encoding=UTF8", "--locale=C.UTF-8",
        ])  # fmt: skip
    options = (
        f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories= "
        "-c max_connections=200"
    )
    server = Postgres(programs, data, port, secret.read_text(encoding="utf-8"))
    try:
        _as_server(
            [programs / "pg_ctl", "-D", data, "-l", log, "-o", options, "-w", "-t", "60", "start"]
        )
    except RuntimeError as error:
        with contextlib.suppress(OSError):
            raise RuntimeError(f"{error}\n{log.read_text(encoding='utf-8')[-2000:]}") from None
        raise
    existing = {row[0] for row in server.run("SELECT datname FROM pg_database")}
    for name in DATABASES:
        if name not in existing:
            server.make_database(name)
    return server


def _as_server(command):
    who = {}
    if os.geteuid() == 0:
        account = pwd.getpwnam("postgres")
        who = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
    # A file and no pipe: the server keeps its starter's output open for as long as it lives.
    with tempfile.TemporaryFile("w+", encoding="utf-8") as output:
        done = subprocess.run(
            [str(word) for word in command],
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            check=False,
            **who,
        )
        output.seek(0)
        said = output.read().strip()
    if done.returncode:
        raise RuntimeError(f"{Path(command[0]).name} failed: {said[-1000:]}")


def main():
    """Say whether PostgreSQL can be had here, after trying to install it; the exit code."""
    try:
        print(f"PostgreSQL is in {find_bin(install=True)}")
    except NoPostgresError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
