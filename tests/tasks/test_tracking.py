"""Runs reach MLflow whole; a broken MLflow reaches nobody's run."""

from __future__ import annotations

import logging
import sqlite3
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from profiles.clusters import Clusters, ClusterSettings
from profiles.outcomes import OutcomeMatrices
from profiles.pool import Pair
from profiles.profile import DatasetTable, Profile, ProfileSettings
from profiles.statistics import cluster_statistics
from tasks.report.facts import (
    PairUse,
    ProfileFacts,
    RouteFacts,
    SpendPoint,
)
from tasks.tracking import NullTracker, Tracker, open_tracker
from tasks.tracking.redaction import without_secrets
from tasks.tracking.runs import log_profile, log_route
from tasks.tracking.tracker import metric_name

# MLflow and its dependencies warn about each other, which is not ours to mend.
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="session")
def store(tmp_path_factory):
    """One SQLite store for all tests: creating its tables takes seconds."""
    folder = tmp_path_factory.mktemp("mlflow")
    uri = f"sqlite:///{folder / 'deep' / 'mlflow.db'}"
    Tracker(uri, folder / "artifacts").start("warm-up", "first", {})
    return uri, folder / "artifacts"


@pytest.fixture
def tracker(store):
    return Tracker(*store, clock=lambda: 1_700_000_000.0)


def read(store, run_id):
    from mlflow import MlflowClient

    return MlflowClient(store[0]).get_run(run_id)


def small_profile(pairs=3, k=2):
    rng = np.random.default_rng(0)
    scores = rng.integers(0, 2, (40, pairs)).astype(float)
    blank = np.full(scores.shape, np.nan)
    outcomes = OutcomeMatrices(
        scores,
        blank,
        blank,
        blank,
        blank,
        np.ones(scores.shape, bool),
        np.zeros(scores.shape, bool),
    )
    labels = np.arange(40, dtype=np.int64) % k
    means = scores.mean(axis=0)
    return Profile(
        profile_id="profile-1",
        pool_fingerprint="pool-1",
        pairs=tuple(Pair(f"m{i}", "none") for i in range(pairs)),
        encoder_fingerprint="encoder-1",
        clusters=Clusters(
            np.eye(k, 4, dtype=np.float32), 1.0, np.bincount(labels), ClusterSettings(k)
        ),
        statistics=cluster_statistics(labels, k, outcomes),
        train_micro=means,
        train_macro=means,
        datasets=DatasetTable(("all",), means[None, :]),
        top_terms=(("a",),) * k,
        example_query_ids=((),) * k,
        settings=ProfileSettings(),
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
    )


ROUTE = RouteFacts(
    run_id="run-1", state="paused_budget", source="b.jsonl", destination="out", router="cluster",
    rows=10, answered=6, pending=4, spent_usd=Decimal("0.5"), elapsed_s=3.0, session_rows=6,
    pairs=(PairUse("m0@@none", 6, 4, 0.75, 0.3, 0.9, Decimal("0.5")),),
    spend=(SpendPoint(0.0, Decimal(0)), SpendPoint(3.0, Decimal("0.5"))),
)  # fmt: skip


def test_a_run_has_its_params_metrics_tags_files_and_end(store, tracker, tmp_path):
    file = tmp_path / "note.txt"
    file.write_text("hello")

    run_id = tracker.start("one", "name", {"alpha": 0.3}, {"kind": "test"})
    tracker.log(run_id, {"accuracy/cluster 1/m@@t": 0.5, "unknown": float("nan")}, step=4)
    tracker.artifact(run_id, file)
    tracker.finish(run_id, "FINISHED")

    run = read(store, run_id)
    assert {"alpha": "0.3"} == run.data.params
    assert {"accuracy/cluster 1/m--t": 0.5} == run.data.metrics
    assert ("FINISHED", "name", "test") == (
        run.info.status,
        run.info.run_name,
        run.data.tags["kind"],
    )
    kept = Path(run.info.artifact_uri.removeprefix("file://")) / "note.txt"
    assert "hello" == kept.read_text()
    assert store[1] in kept.parents


def test_a_page_and_its_pictures_are_kept_as_text_under_their_names(store, tracker):
    run_id = tracker.start("one", "page", {})

    tracker.text(run_id, "<svg>é</svg>", "figures/front.svg")
    tracker.text("", "nothing", "lost.txt")

    kept = Path(read(store, run_id).info.artifact_uri.removeprefix("file://"))
    assert "<svg>é</svg>" == (kept / "figures" / "front.svg").read_text(encoding="utf-8")
    assert ["front.svg"] == [path.name for path in kept.rglob("*") if path.is_file()]


def test_more_metrics_and_params_than_one_request_takes_all_arrive(store, tracker):
    run_id = tracker.start("many", "name", {f"p{i}": i for i in range(230)})
    tracker.log(run_id, {f"m{i}": float(i) for i in range(2_100)})

    run = read(store, run_id)
    assert 230 == len(run.data.params)
    assert 2_099.0 == run.data.metrics["m2099"]
    assert 2_100 == len(run.data.metrics)


def test_a_resumed_run_goes_on_under_its_id_and_keeps_its_first_params(store, tracker):
    run_id = tracker.start("again", "name", {"alpha": 0.1})
    tracker.finish(run_id, "KILLED")

    again = tracker.start("again", "name", {"alpha": 0.2, "new": 1}, run_id=run_id)

    run = read(store, run_id)
    assert run_id == again
    assert "RUNNING" == run.info.status
    assert {"alpha": "0.1", "new": "1"} == run.data.params


def test_a_run_id_that_the_store_has_lost_begins_a_new_run(tracker):
    run_id = tracker.start("lost", "name", {}, run_id="0" * 32)

    assert run_id not in {"", "0" * 32}


def test_a_deleted_experiment_comes_back(store, tracker):
    from mlflow import MlflowClient

    client = MlflowClient(store[0])
    tracker.start("deleted", "name", {})
    client.delete_experiment(client.get_experiment_by_name("deleted").experiment_id)

    assert "" != tracker.start("deleted", "name", {})


def test_long_values_are_cut_and_secrets_are_not_written(store, tracker):
    params = {
        "long": "x" * 9_000,
        "api_key": "plain-looking",
        "api_key_env": "OPENAI_API_KEY",
        "max_tokens": 5,
        "note": "sk-abcdefghijklmnopqrstuv",
        "database": "postgresql://me:pass@host/db",
    }

    run = read(store, tracker.start("secrets", "name", params, {"url": "http://u:pass@h/"}))

    text = repr(run.data.params) + repr(run.data.tags)
    assert 6_000 == len(run.data.params["long"])
    assert ("[secret]", "OPENAI_API_KEY", "5") == (
        run.data.params["api_key"],
        run.data.params["api_key_env"],
        run.data.params["max_tokens"],
    )
    assert not [word for word in ("sk-abc", "pass@", "plain-looking") if word in text]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("accuracy/all/gpt-4@@none", "accuracy/all/gpt-4--none"),
        ("a//b", "a/_/b"),
        ("../up", "_/up"),
        ("50 % of it", "50 _ of it"),
    ],
)
def test_metric_names_are_made_acceptable(name, expected):
    from mlflow.utils.validation import _validate_metric_name

    _validate_metric_name(metric_name(name))
    assert expected == metric_name(name)


def test_a_dead_store_is_said_once_and_then_left_alone(tmp_path, caplog):
    blocker = tmp_path / "file"
    blocker.write_text("")
    tracker = Tracker(f"sqlite:///{blocker}/mlflow.db", tmp_path)

    with caplog.at_level(logging.WARNING, logger="tasks.tracking"):
        started = [tracker.start("one", "name", {}) for _ in range(5)]
        tracker.log("some-run", {"a": 1.0})
        tracker.finish("some-run", "FINISHED")

    assert [""] * 5 == started
    (record,) = caplog.records
    assert "The run goes on" in record.getMessage()


def test_a_server_that_refuses_stops_nothing_and_keeps_its_password(tmp_path, caplog):
    tracker = Tracker("http://me:hushhush@127.0.0.1:9", tmp_path)

    assert "earlier" == tracker.start("one", "name", {}, run_id="earlier")
    assert "hushhush" not in caplog.text


def test_a_damaged_store_stops_nothing(tmp_path, caplog):
    (tmp_path / "mlflow.db").write_bytes(b"not a database, far from it" * 100)

    assert "" == Tracker(f"sqlite:///{tmp_path}/mlflow.db", tmp_path).start("one", "name", {})
    assert 1 == len([r for r in caplog.records if r.name.startswith("tasks.tracking")])


def test_without_tracking_nothing_is_written(tmp_path):
    tracker = open_tracker(f"sqlite:///{tmp_path}/mlflow.db", tmp_path / "a", enabled=False)

    run_id = log_route(tracker, ROUTE)

    assert isinstance(tracker, NullTracker)
    assert "" == run_id
    assert [] == list(tmp_path.iterdir())


def test_a_profile_is_logged_by_cluster_and_pair_with_its_heat_map(store, tracker):
    profile = small_profile()

    run_id = log_profile(tracker, ProfileFacts(profile, "example", parameters={"seed": "0"}))

    run = read(store, run_id)
    statistics = profile.statistics
    assert statistics.score_mean[1, 2] == run.data.metrics["accuracy/cluster 01/m2--none"]
    assert statistics.score_mean[2, 0] == run.data.metrics["accuracy/all/m0--none"]
    assert not [name for name in run.data.metrics if name.startswith("cost_usd")]
    assert ("profile-1", "0") == (run.data.params["profile_id"], run.data.params["seed"])
    figure = Path(run.info.artifact_uri.removeprefix("file://")) / "figures" / "accuracy.png"
    assert figure.read_bytes().startswith(b"\x89PNG")


def test_a_route_is_logged_and_a_resumed_one_goes_on(store, tracker):
    run_id = log_route(tracker, ROUTE, params={"alpha": 0.3})
    again = log_route(tracker, replace(ROUTE, state="complete", answered=10), run_id=run_id)

    run = read(store, run_id)
    assert run_id == again
    assert "FINISHED" == run.info.status
    assert (10.0, 0.5, 0.75) == tuple(
        run.data.metrics[n] for n in ("answered", "cost_usd", "accuracy")
    )
    assert "complete" == run.data.tags["atlas.state"]


def test_the_store_is_the_file_the_address_names(store):
    with sqlite3.connect(store[0].removeprefix("sqlite:///")) as connection:
        (runs,) = connection.execute("select count(*) from runs").fetchone()

    assert runs >= 1


def test_addresses_keep_their_host_and_lose_their_password():
    assert "postgresql://…@db:5432/m" == without_secrets("postgresql://u:p@w@db:5432/m")
    assert "sqlite:///a@b.db" == without_secrets("sqlite:///a@b.db")
