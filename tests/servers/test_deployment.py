"""From `atlas deploy` to a finished run: the schedule, the overlap, the killed worker.

One story on real servers, told once; every test looks at one thing that it came to.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from tests.crash.conftest import POOL, Referee
from tests.servers.conftest import REPOSITORY
from tests.servers.stack import clean_environment, end_group, wait_for

pytestmark = pytest.mark.servers

ROWS = 500
SILENCE_S = 35
"""Heartbeats come every 30 s at the least; the shipped file waits for three of them."""
SHIPPED = REPOSITORY / "deployments"


class Prefect:
    """The API of the server, as far as the story needs it."""

    def __init__(self, api):
        self.api = api

    def post(self, path, body):
        """The reply to a POST; None where there is none."""
        request = urllib.request.Request(
            f"{self.api}{path}",
            data=json.dumps(body).encode(),
            headers={"content-type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=30) as reply:
            text = reply.read()
        return json.loads(text) if text else None

    def deployment(self, name):
        """The id of a deployment, `flow/deployment`."""
        with urllib.request.urlopen(f"{self.api}/deployments/name/{name}", timeout=30) as reply:
            return json.load(reply)["id"]

    def runs(self, *states):
        """Flow runs, the earliest first; of these states only, if any are named."""
        found = self.post("/flow_runs/filter", {"sort": "EXPECTED_START_TIME_ASC", "limit": 200})
        return [run for run in found if not states or run["state"]["name"] in states]

    def start(self, name):
        """Ask for a run of a deployment, as its schedule would; its id."""
        return self.post(f"/deployments/{self.deployment(name)}/create_flow_run", {})["id"]

    def run(self, run_id):
        """One flow run, as it is now."""
        return next(run for run in self.runs() if run["id"] == run_id)

    def refused(self):
        """Runs that the deployment's limit refused."""
        return [
            run
            for run in self.runs("Cancelled")
            if "concurrency limit" in (run["state"]["message"] or "")
        ]


def deployment_files(folder):
    """The shipped files with another beat: every 15 seconds, and an earlier alarm."""
    files = yaml.safe_load((SHIPPED / "prefect.yaml").read_text(encoding="utf-8"))
    nightly, backlog = files["deployments"]
    nightly["schedules"] = []
    nightly["parameters"]["settings"] |= {
        "encoder": "hashing", "clusters": 2, "canaries": 2, "first_night_runs": 1, "seed": 1,
    }  # fmt: skip
    backlog["schedules"] = [{"slug": "often", "interval": 15}]
    backlog["parameters"]["settings"] |= {
        "router": "fixed:first@@none", "concurrency": 8, "chunk_size": 100, "name": "story",
    }  # fmt: skip
    (folder / "prefect.yaml").write_text(yaml.safe_dump(files), encoding="utf-8")
    rules = yaml.safe_load((SHIPPED / "automations.yaml").read_text(encoding="utf-8"))
    assert 90 == rules["automations"][0]["trigger"]["within"]
    rules["automations"][0]["trigger"]["within"] = SILENCE_S
    (folder / "automations.yaml").write_text(yaml.safe_dump(rules), encoding="utf-8")


def children(pid):
    """Ids of the processes that a process started, and of theirs."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            fields = stat.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
            parents.setdefault(int(fields[1]), []).append(int(stat.parent.name))
    found = list(parents.get(pid, []))
    for child in list(found):
        found += parents.get(child, [])
    return found


class Workers:
    """Worker processes, none of which outlives the test."""

    def __init__(self, folder, environment):
        self.folder, self.environment, self.known = folder, environment, []

    def start(self, name):
        """A worker of the pool, like the one a machine runs."""
        log = (self.folder / f"{name}.log").open("wb")
        process = subprocess.Popen(
            [
                sys.executable, "-m", "prefect", "worker", "start", "--pool", "atlas",
                "--type", "process", "--name", name,
            ],
            cwd=self.folder,
            env=self.environment | {"PREFECT_WORKER_QUERY_SECONDS": "2"},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )  # fmt: skip
        log.close()
        self.known.append(process)
        return process

    def kill(self, process):
        """What a dying machine does: the worker and its flow runs are gone in one instant."""
        doomed = [process.pid, *children(process.pid)]
        for pid in doomed:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.wait()
        return doomed

    def end(self):
        """Stop all of them, and what they started."""
        for process in self.known:
            started = children(process.pid)
            end_group(process.pid, patience_s=3)
            for pid in started:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            with suppress(subprocess.TimeoutExpired):
                process.wait(timeout=5)


@pytest.fixture(scope="module")
def referee():
    script = REPOSITORY / "tests" / "crash" / "referee.py"
    with subprocess.Popen(
        [sys.executable, str(script), "", "0.35"], stdout=subprocess.PIPE, text=True
    ) as process:
        yield Referee(process.stdout.readline().strip())
        process.terminate()


@pytest.fixture(scope="module")
def story(stack, referee, tmp_path_factory):
    """Deploy, let it run, overlap it, kill its worker, start another, wait for the end."""
    home = tmp_path_factory.mktemp("home")
    (home / "pool.yaml").write_text(POOL.format(url=referee.url), encoding="utf-8")
    lines = (
        json.dumps({"custom_id": f"row-{row}", "prompt": f"Question {row}: how long is this?"})
        for row in range(ROWS)
    )
    (home / "backlog.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    asked = [f"What is the length of this question, number {row}?" for row in range(30)]
    with (home / "questions.jsonl").open("w", encoding="utf-8") as file:
        for row, text in enumerate(asked):
            line = {"custom_id": f"q-{row}", "prompt": text, "reference": str(len(text))}
            line["grader"] = "numeric"
            file.write(json.dumps(line) + "\n")
    deployment_files(home)
    environment = clean_environment() | stack.environment()
    environment |= {"PREFECT_HOME": str(home / "prefect"), "PYTHONPATH": str(REPOSITORY)}

    def deploy(*words):
        command = [sys.executable, "-m", "flows.cli", "deploy", "--file", "prefect.yaml", "--json"]
        done = subprocess.run(
            [*command, *words],
            cwd=home,
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        return json.loads(done.stdout)

    told = SimpleNamespace(
        home=home, environment=environment, prefect=Prefect(stack.environment()["PREFECT_API_URL"])
    )
    told.dry, told.first, told.second = deploy("--dry-run"), deploy(), deploy()
    workers = Workers(home, environment)
    try:
        tell(told, workers, referee)
        yield told
    finally:
        workers.end()


def tell(told, workers, referee):
    """What happens after the deployment."""
    prefect = told.prefect
    first = workers.start("first")
    wait_for(
        lambda: referee.received() > 40, 120, "the scheduled run", first, told.home / "first.log"
    )
    (running,) = prefect.runs("Running")
    told.run_id = running["id"]
    told.refused_before = len(prefect.refused())
    wait_for(lambda: len(prefect.refused()) > told.refused_before, 60, "a refused overlap")
    told.refused = prefect.refused()
    assert 1 == len(prefect.runs("Running"))
    told.doomed = workers.kill(first)
    # The next scheduled run would do the work just as well, and take the only slot for it. Without
    # one it is seen that the killed run itself is taken up.
    told.backlog = prefect.deployment("route-backlog/backlog")
    prefect.post(f"/deployments/{told.backlog}/pause_deployment", {})
    told.served = referee.served()
    told.settled = settled(told)
    told.state_after_kill = prefect.run(told.run_id)["state"]["name"]
    workers.start("second")
    log = told.home / "second.log"

    def ended():
        return prefect.run(told.run_id)["state"]["name"] == "Completed"

    began = time.monotonic()
    try:
        wait_for(ended, 180, "the end of the run that was killed", log=log)
    except RuntimeError as error:
        raise RuntimeError(f"{error}\nit is {prefect.run(told.run_id)['state']}") from None
    told.took_up_s = time.monotonic() - began
    told.after = referee.served()


def settled(told):
    """Ids of the requests that the ledger calls settled."""
    ledger = ledger_of(told)
    found = {r.request_id for r in ledger.requests("story") if r.state == "settled"}
    ledger.close()
    return found


def ledger_of(told):
    from warehouse.ledger import open_ledger

    return open_ledger(told.home / "warehouse/data", url=told.environment["ATLAS_LEDGER_URL"])


def test_deploying_makes_everything_once(story):
    names = {(change["kind"], change["name"]) for change in story.first}

    assert {"create"} == {change["action"] for change in story.dry}
    assert {"create"} == {change["action"] for change in story.first}
    assert {"unchanged"} == {change["action"] for change in story.second}
    assert {("work pool", "atlas"), ("deployment", "route-backlog/backlog")} < names


def test_it_ran_on_schedule_and_a_second_overlapping_run_was_refused(story):
    run = story.prefect.run(story.run_id)

    assert run["auto_scheduled"]
    assert story.refused
    assert all(one["auto_scheduled"] and one["run_count"] == 0 for one in story.refused)


def test_the_killed_run_was_taken_up_by_another_worker_and_finished(story):
    run = story.prefect.run(story.run_id)

    assert len(story.doomed) >= 2, "the worker and its flow run"
    assert "Running" == story.state_after_kill
    assert ("Completed", 2) == (run["state"]["name"], run["run_count"])
    ledger = ledger_of(story)
    assert "complete" == ledger.run("story").state
    assert ROWS == sum(count.answered for _, _, count in ledger.chunk_states("story").values())
    ledger.close()


def test_no_settled_request_was_repeated(story):
    again = {k for k in story.settled if story.after[k]["received"] != story.served[k]["received"]}

    assert len(story.settled) > 20
    assert set() == again
    twice = {key for key, count in story.after.items() if count["answered"] > 1}
    ledger = ledger_of(story)
    listed = {request.request_id for request in ledger.requests("story", in_doubt=True)}
    ledger.close()
    assert set() == twice - listed


def test_all_three_keep_their_rows_in_postgres(story, postgres):
    assert postgres.run("SELECT count(*) FROM requests", "ledger")[0][0] >= ROWS
    assert postgres.run("SELECT count(*) FROM flow_run", "prefect")[0][0] > 1
    names = postgres.run("SELECT name, status FROM runs", "mlflow")
    assert [("story", "FINISHED")] == names


def test_the_next_run_finds_nothing_to_do_and_asks_nothing(story, referee):
    def another():
        return [run for run in story.prefect.runs("Completed") if run["id"] != story.run_id]

    story.prefect.post(f"/deployments/{story.backlog}/resume_deployment", {})
    wait_for(another, 90, "the next scheduled run", log=story.home / "second.log")

    assert sum(one["received"] for one in story.after.values()) == referee.received()


def test_the_nightly_deployment_publishes_a_profile(story, referee):
    run_id = story.prefect.start("refresh-nightly/nightly")
    log = story.home / "second.log"

    def ended():
        return story.prefect.run(run_id)["state"]["type"] in ("COMPLETED", "FAILED", "CRASHED")

    wait_for(ended, 120, "the nightly refresh", log=log)

    run = story.prefect.run(run_id)
    assert "Completed" == run["state"]["name"], log.read_text(encoding="utf-8")[-3000:]
    assert list((story.home / "warehouse/data").glob("profiles/*"))
