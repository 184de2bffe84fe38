"""PostgreSQL, a Prefect server and an MLflow server, without containers.

    python -m tests.servers.stack up   --folder .servers
    python -m tests.servers.stack down --folder .servers

`up` returns when all three answer; they go on until `down`. What they keep stays in the folder.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from tests.servers import postgres
from tests.servers.postgres import NoPostgresError, Postgres, free_port

REPOSITORY = Path(__file__).parents[2]
PATIENCE_S = 120
"""How long a server may take to answer; a busy machine needs a good part of it."""

HEALTH = {"prefect": "/api/health", "mlflow": "/health"}


@dataclass
class Server:
    """A server process of ours."""

    name: str
    process: subprocess.Popen
    url: str

    def stop(self):
        """End it and everything it started."""
        end_group(self.process.pid)
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(timeout=10)


@dataclass
class Stack:
    """What runs, and where."""

    folder: Path
    postgres: Postgres
    servers: list[Server] = field(default_factory=list)

    def environment(self):
        """The variables under which ATLAS uses the servers."""
        urls = {server.name: server.url for server in self.servers}
        found = {"ATLAS_LEDGER_URL": self.postgres.url("ledger")}
        if "prefect" in urls:
            found["PREFECT_API_URL"] = f"{urls['prefect']}/api"
        if "mlflow" in urls:
            found["ATLAS_MLFLOW_URI"] = urls["mlflow"]
        return found

    def start(self, ports):
        """Prefect and MLflow, both at once: each takes its time to come up."""
        with ThreadPoolExecutor() as pool:
            starts = [
                pool.submit(self.start_prefect, ports["prefect"]),
                pool.submit(self.start_mlflow, ports["mlflow"]),
            ]
        for start in starts:
            start.result()

    def start_prefect(self, port):
        """A Prefect server on PostgreSQL."""
        home = self.folder / "prefect"
        home.mkdir(parents=True, exist_ok=True)
        self._start(
            "prefect",
            ["prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)],
            f"http://127.0.0.1:{port}",
            {
                "PREFECT_HOME": str(home),
                "PREFECT_SERVER_DATABASE_CONNECTION_URL": self.postgres.url(
                    "prefect", "postgresql+asyncpg"
                ),
                # In memory, leases of concurrency slots would be forgotten by a restart, and the
                # slots of what ran then would never be free again.
                "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": (
                    "prefect.server.concurrency.lease_storage.filesystem"
                ),
                "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
                "DO_NOT_TRACK": "1",
            },
        )

    def start_mlflow(self, port):
        """An MLflow server on PostgreSQL; it keeps its artifacts in the folder."""
        self._start(
            "mlflow",
            [
                "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1",
                "--backend-store-uri", self.postgres.url("mlflow", "postgresql+psycopg"),
                "--artifacts-destination", str(self.folder / "artifacts"),
            ],
            f"http://127.0.0.1:{port}",
            {
                "MLFLOW_DISABLE_TELEMETRY": "true",
                "DO_NOT_TRACK": "1",
                # Nine more processes, for jobs that nobody submits here.
                "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
            },
        )  # fmt: skip

    def _start(self, name, command, url, extra):
        log = self.folder / f"{name}.log"
        with log.open("ab") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", *command],
                cwd=self.folder,
                env=clean_environment() | extra,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        server = Server(name, process, url)
        self.servers.append(server)
        wait_for(lambda: answers(url + HEALTH[name]), PATIENCE_S, name, process, log)

    def stop(self):
        """End everything, the newest first."""
        for server in reversed(self.servers):
            server.stop()
        self.servers.clear()
        self.postgres.stop()


def clean_environment():
    """This process's variables, without what would point a server elsewhere."""
    ours = ("ATLAS_", "PREFECT_", "MLFLOW_", "PG")
    return {name: value for name, value in os.environ.items() if not name.startswith(ours)}


def answers(url):
    """Whether a GET of the address succeeds."""
    try:
        with urllib.request.urlopen(url, timeout=5) as reply:
            return reply.status == 200
    except (OSError, urllib.error.URLError):
        return False


def wait_for(condition, seconds, what, process=None, log=None):
    """Poll until the condition holds.

    Raises:
        RuntimeError: it never held, or the process ended; with the end of its log.
    """
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if value := condition():
            return value
        if process is not None and process.poll() is not None:
            break
        time.sleep(0.2)
    tail = log.read_text(encoding="utf-8", errors="replace")[-3000:] if log else ""
    raise RuntimeError(f"{what} did not come about within {seconds} s\n{tail}")


def end_group(pid, patience_s=10):
    """End a process group: gently, then for good."""
    for kind in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(pid, kind)
            end = time.monotonic() + patience_s
            while time.monotonic() < end:
                with suppress(ChildProcessError):
                    os.waitpid(pid, os.WNOHANG)
                os.killpg(pid, 0)
                time.sleep(0.1)
        except (ProcessLookupError, PermissionError):
            return


def postgres_folder(folder):
    """Where PostgreSQL's data goes: beside the rest, unless its user cannot get there."""
    if os.geteuid() != 0:
        return folder / "postgres"
    open_to_all = all(parent.stat().st_mode & 0o001 for parent in (folder, *folder.parents))
    if open_to_all:
        return folder / "postgres"
    return Path(tempfile.gettempdir()) / f"atlas-{sha256(bytes(folder)).hexdigest()[:12]}"


def up(folder, ports, *, install=True):
    """Start the three and write down what runs.

    Raises:
        NoPostgresError: PostgreSQL cannot be had.
        RuntimeError: a server does not start.
    """
    folder.mkdir(parents=True, exist_ok=True)
    started = postgres.start(postgres_folder(folder), ports["postgres"], install=install)
    stack = Stack(folder, started)
    try:
        stack.start(ports)
    except BaseException:
        stack.stop()
        raise
    return stack


def _state(folder):
    return folder / "running.json"


def _command_up(folder, ports):
    if _state(folder).exists():
        state = json.loads(_state(folder).read_text(encoding="utf-8"))
        if all(answers(url + HEALTH[name]) for name, url in state["urls"].items()):
            _tell(folder, state)
            return 0
        # Something ended without us, at a restart of the machine for example.
        _command_down(folder)
    try:
        stack = up(folder, ports)
    except (NoPostgresError, RuntimeError) as error:
        print(error, file=sys.stderr)
        return 1
    state = {
        "groups": {server.name: server.process.pid for server in stack.servers},
        "urls": {server.name: server.url for server in stack.servers},
        "postgres": {
            "bin": str(stack.postgres.bin),
            "data": str(stack.postgres.data),
            "port": stack.postgres.port,
        },
    }
    _state(folder).write_text(json.dumps(state), encoding="utf-8")
    variables = folder / "environment"
    variables.touch(mode=0o600)
    lines = (f"export {name}='{value}'\n" for name, value in stack.environment().items())
    variables.write_text("".join(lines), encoding="utf-8")
    _tell(folder, state)
    return 0


def _tell(folder, state):
    for name, url in state["urls"].items():
        print(f"{name:10} {url}")
    print(f"{'postgres':10} 127.0.0.1:{state['postgres']['port']}")
    print(f"use them:  . {folder / 'environment'}")


def _command_down(folder):
    if not _state(folder).exists():
        print(f"no servers of {folder} run")
        return 0
    state = json.loads(_state(folder).read_text(encoding="utf-8"))
    for name, pid in state["groups"].items():
        # A process id may belong to somebody else by now.
        with suppress(OSError):
            if name.encode() in Path(f"/proc/{pid}/cmdline").read_bytes():
                end_group(pid)
    kept = state["postgres"]
    with suppress(RuntimeError):
        Postgres(Path(kept["bin"]), Path(kept["data"]), kept["port"], "").stop()
    _state(folder).unlink()
    print(f"stopped; what they kept is in {folder}")
    return 0


def main(argv=None):
    """The command line; the exit code."""
    parser = argparse.ArgumentParser(prog="stack")
    parser.add_argument("verb", choices=["up", "down"])
    parser.add_argument("--folder", type=Path, default=REPOSITORY / ".servers")
    parser.add_argument("--postgres", type=int, default=5433, help="port; 0 takes a free one")
    parser.add_argument("--prefect", type=int, default=4200)
    parser.add_argument("--mlflow", type=int, default=5000)
    given = parser.parse_args(argv)
    folder = given.folder.absolute()
    if given.verb == "down":
        return _command_down(folder)
    names = ("postgres", "prefect", "mlflow")
    return _command_up(folder, {name: getattr(given, name) or free_port() for name in names})


if __name__ == "__main__":
    sys.exit(main())
