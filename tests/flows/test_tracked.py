"""Batch runs in MLflow: a resumed run goes on in its MLflow run, and MLflow never stops a run."""

from __future__ import annotations

from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

FIXED = ("--router", "fixed:small@@none")


@pytest.fixture
def tracking(atlas, monkeypatch):
    """Tracking switched on, into a store in the folder."""
    monkeypatch.setenv("ATLAS_TRACKING", "yes")
    monkeypatch.setenv("ATLAS_MLFLOW_URI", f"sqlite:///{atlas.folder}/mlflow.db")
    monkeypatch.setenv("ATLAS_ARTIFACTS", str(atlas.folder / "artifacts"))

    def runs():
        from mlflow import MlflowClient

        client = MlflowClient(f"sqlite:///{atlas.folder}/mlflow.db")
        experiment = client.get_experiment_by_name("atlas")
        return client.search_runs([experiment.experiment_id])

    return runs


def test_a_resumed_run_goes_on_in_the_mlflow_run_it_began(atlas, backlog, tracking):
    words = ("route", backlog(40), *FIXED, "--name", "run", "--chunk-size", 10)

    stopped = atlas(*words, "--max-cost", "0.001")
    (first,) = tracking()
    finished = atlas(*words, "--max-cost", "1")
    again = atlas(*words, "--max-cost", "1")

    assert [3, 0, 0] == [stopped.code, finished.code, again.code]
    assert "KILLED" == first.info.status
    (run,) = tracking()
    assert first.info.run_id == run.info.run_id
    assert "FINISHED" == run.info.status
    assert 40 == run.data.metrics["answered"]
    assert "fixed:small@@none" == run.data.params["router"]
    shown = atlas("runs", "show", "run", "--json").json()
    assert run.info.run_id == shown["mlflow_run_id"]


def test_a_profile_is_logged_once_with_its_files(atlas, tracking):
    lines = (
        f'{{"prompt": "Number {number}?", "reference": "42", "grader": "numeric", '
        f'"split": "{"train" if number < 6 else "test"}"}}'
        for number in range(8)
    )
    questions = atlas.write("labelled.jsonl", "\n".join(lines))

    first = atlas("profile", "run", questions, "--clusters", 2)
    again = atlas("profile", "run", questions, "--clusters", 2)

    assert [0, 0] == [first.code, again.code], first.err
    (run,) = tracking()
    assert "FINISHED" == run.info.status
    assert 1.0 == run.data.metrics["accuracy/all/small--none"]
    kept = Path(run.info.artifact_uri.removeprefix("file://"))
    assert "ATLAS profile" in (kept / "profile.html").read_text(encoding="utf-8")
    assert (kept / "figures" / "clusters.svg").exists()


def test_an_mlflow_that_cannot_be_reached_is_said_and_the_run_goes_on(
    atlas, backlog, tracking, monkeypatch, caplog
):
    monkeypatch.setenv("ATLAS_MLFLOW_URI", "sqlite:////proc/nowhere/mlflow.db")

    result = atlas("route", backlog(3), *FIXED, "--json")

    assert (0, 3) == (result.code, result.json()["answered"])
    assert "MLflow" in caplog.text
    assert "--no-tracking" in caplog.text
