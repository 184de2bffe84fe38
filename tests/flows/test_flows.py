"""The flows under a real Prefect server: chunks are tasks, reports are artifacts, no secrets."""

from __future__ import annotations

import asyncio
import json
import sqlite3

import pytest

from flows.settings import ProfileSettings, RouteSettings

pytestmark = [pytest.mark.flow, pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


@pytest.fixture(autouse=True)
def _runner(atlas, monkeypatch):
    monkeypatch.delenv("ATLAS_RUNNER")


@pytest.fixture(scope="module")
def prefect_server():
    """A Prefect server of its own, started once."""
    from prefect.testing.utilities import prefect_test_harness

    with prefect_test_harness(server_startup_timeout=120):
        yield


def seen(flow_run_id):
    """What the server knows of a flow run: the run, its task runs, its artifacts."""
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import (
        ArtifactFilter,
        ArtifactFilterFlowRunId,
        FlowRunFilter,
        FlowRunFilterId,
    )

    async def ask():
        wanted = FlowRunFilter(id=FlowRunFilterId(any_=[flow_run_id]))
        made = ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[flow_run_id]))
        async with get_client() as client:
            return (
                await client.read_flow_run(flow_run_id),
                await client.read_task_runs(flow_run_filter=wanted),
                await client.read_artifacts(artifact_filter=made),
            )

    return asyncio.run(ask())


def ledger_row(atlas, run_id):
    """The run's row in the ledger."""
    with sqlite3.connect(atlas.folder / "warehouse/data/ledger.db") as ledger:
        ledger.row_factory = sqlite3.Row
        return ledger.execute("SELECT * FROM runs WHERE run_id = ?", [run_id]).fetchone()


def test_a_backlog_is_one_flow_with_one_task_a_chunk_and_a_report(atlas, backlog, prefect_server):
    from flows import route_backlog

    settings = RouteSettings(
        backlog=backlog(25),
        router="fixed:small@@none",
        chunk_size=10,
        tracking=False,
        name="flowing",
        mlflow_uri="postgresql://me:hush@db/mlflow",
    )
    report = route_backlog(settings)

    assert ("complete", 25) == (report.status, report.answered)
    flow_run, tasks, artifacts = seen(ledger_row(atlas, "flowing")["flow_run_id"])
    assert "COMPLETED" == flow_run.state.type.value
    assert f"route {settings.backlog}" == flow_run.name
    assert ["chunk-000000", "chunk-000001", "chunk-000002"] == sorted(t.name for t in tasks)
    assert ["route-report"] == [artifact.key for artifact in artifacts]
    assert "25 answered" in artifacts[0].data
    assert "hush" not in str(flow_run.parameters)
    assert [{}] * 3 == [task.task_inputs.get("settings", {}) for task in tasks]


def test_a_profile_is_one_flow_and_its_table_an_artifact(atlas, prefect_server):
    from flows import profile_pool

    rows = [
        json.dumps(
            {
                "prompt": f"What is {number} times two?",
                "reference": "42",
                "grader": "numeric",
                "split": "train" if number < 6 else "test",
            }
        )
        for number in range(8)
    ]
    questions = atlas.write("labelled.jsonl", "\n".join(rows) + "\n")
    outcome = profile_pool(
        ProfileSettings(questions=questions, clusters=2, encoder="hashing", tracking=False)
    )

    assert "complete" == outcome.status
    _, tasks, artifacts = seen(ledger_row(atlas, outcome.run_id)["flow_run_id"])
    assert ["chunk-000000"] == [task.name for task in tasks]
    assert {"profile-report", "profile-page"} == {artifact.key for artifact in artifacts}
    assert outcome.profile.profile_id in artifacts[0].data


def test_the_command_runs_the_flow_and_resumes_what_it_left(
    atlas, backlog, prefect_server, monkeypatch
):
    words = ("route", backlog(40), "--router", "fixed:small@@none", "--name", "capped")
    words = (*words, "--chunk-size", 10, "--runner", "prefect", "--json")

    stopped = atlas(*words, "--max-cost", "0.001")
    finished = atlas(*words, "--max-cost", "1")

    assert 3 == stopped.code, stopped.err
    assert 0 == finished.code, finished.err
    assert 40 == finished.json()["answered"]


def test_flows_are_found_by_their_module_entrypoints():
    from prefect.flows import load_flow_from_entrypoint

    import flows

    for name in ("route_backlog", "profile_pool", "evaluate_routers"):
        found = load_flow_from_entrypoint(f"flows.{name}.{name}")
        assert name.replace("_", "-") == found.name
        assert getattr(flows, name) is found
