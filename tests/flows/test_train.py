"""`atlas train` and `atlas policy list|show`: what is registered, tracked and not repeated."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from flows import training
from flows.cli import main
from flows.settings import TrainSettings
from flows.training import policy_settings, train_session
from tasks.registry.registry import PolicyRegistry
from tasks.registry.versions import RegistryError
from tests.tasks.learn.made_answers import QUICK, TRAIN, answered_root

# MLflow and its dependencies warn about each other, which is not ours to mend.
pytestmark = pytest.mark.filterwarnings("ignore")

LOOKS = 12
"""Looks at validation that a training takes, and points of its curve."""


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Settings of a warehouse with recorded answers and an MLflow of its own."""
    folder = tmp_path_factory.mktemp("train")
    answered_root(folder)
    return {
        "root": folder / "data",
        "mlflow_uri": f"sqlite:///{folder / 'mlflow.db'}",
        "artifacts": str(folder / "artifacts"),
        "runner": "plain",
    }


@pytest.fixture(scope="module")
def quick():
    """Every training takes a second."""
    patch = pytest.MonkeyPatch()
    patch.setattr(training, "policy_settings", lambda _settings: QUICK)
    yield
    patch.undo()


@pytest.fixture(scope="module")
def outcome(home, quick):
    return train_session(
        TrainSettings(**home, name="first"), clock=lambda: datetime(2026, 3, 4, tzinfo=UTC)
    )


def registry_of(home):
    return PolicyRegistry(home["mlflow_uri"], home["artifacts"])


def test_a_training_ends_as_a_registered_challenger(home, outcome):
    version = outcome.version

    assert (outcome.did_work, outcome.resumed) == (True, False)
    assert (version.version, version.aliases) == (1, ("challenger",))
    assert registry_of(home).resolve("challenger") == version
    assert version.tags["name"] == "first"
    assert version.tags["training"] == outcome.card["training"]
    assert {path.name for path in outcome.folder.iterdir()} == {
        "policy.json", "weights.safetensors",
    }  # fmt: skip


def test_mlflow_has_its_params_curves_table_and_figures(home, outcome):
    from mlflow import MlflowClient

    client = MlflowClient(home["mlflow_uri"])
    run = client.get_run(outcome.version.run_id)
    files = {one.path for one in client.list_artifacts(run.info.run_id)}
    files |= {one.path for one in client.list_artifacts(run.info.run_id, "figures")}

    assert run.info.status == "FINISHED"
    assert run.info.run_name == "first"
    assert run.data.params["profile"] == outcome.version.profile_id
    assert run.data.params["data"] == outcome.card["data"]["training"]
    curve = client.get_metric_history(run.info.run_id, "validation_utility")
    assert [point.step for point in curve] == sorted({point.step for point in curve})
    assert len(curve) == LOOKS
    assert "guard-1/entropy" in run.data.metrics
    held = next(row for row in outcome.card["held_out"]["rows"] if row["router"] == "hybrid")
    logged = run.data.metrics[f"held_out/hybrid/price {held['price']:g}/accuracy"]
    assert logged == pytest.approx(held["accuracy"][0])
    assert {
        "card.json", "held_out.json", "held_out.txt", "figures/front.png",
        "figures/reliability.png",
    } <= files  # fmt: skip
    assert run.outputs.model_outputs


def test_the_same_command_again_says_so_and_does_nothing(home, outcome, capsys):
    words = ["train", "--root", str(home["root"]), "--mlflow-uri", home["mlflow_uri"]]
    words += ["--artifacts", home["artifacts"], "--runner", "plain", "--json"]
    assert main(words) == 0
    told = capsys.readouterr()

    assert f"this training is finished: version 1, {outcome.version.policy_id}" in told.err
    assert "next: atlas policy promote\n" in told.err
    assert json.loads(told.out)["did_work"] is False
    assert json.loads(told.out)["card"] == outcome.card


def test_a_registry_that_fails_costs_no_training(home, outcome, tmp_path, monkeypatch):
    """What was trained is kept: the same command goes on and ends as the same policy."""
    settings = TrainSettings(**home)
    monkeypatch.setattr(training, "policy_settings", lambda _settings: OTHER)
    register = PolicyRegistry.register

    def refuse(*_args, **_named):
        raise RegistryError("MLflow is away")

    monkeypatch.setattr(PolicyRegistry, "register", refuse)
    with pytest.raises(RegistryError, match="MLflow is away"):
        train_session(settings)
    monkeypatch.setattr(PolicyRegistry, "register", register)
    again = train_session(settings)

    assert again.resumed
    assert again.version.version == 2
    assert again.version.policy_id != outcome.version.policy_id
    assert registry_of(home).resolve("1").aliases == ()
    # The run of the first attempt is gone on with.
    from mlflow import MlflowClient

    runs = MlflowClient(home["mlflow_uri"]).search_runs(["1"])
    mine = [run for run in runs if run.data.tags["atlas.training"] == again.card["training"]]
    assert [run.info.status for run in mine] == ["FINISHED"]


OTHER = QUICK.__class__(
    candidates=2, max_calls=2, folds=0, aggregator=QUICK.aggregator, exact=QUICK.exact
)


def test_policies_are_listed_and_shown(home, outcome, capsys):
    where = ["--root", str(home["root"]), "--mlflow-uri", home["mlflow_uri"]]
    assert main(["policy", "list", *where]) == 0
    listed = capsys.readouterr().out.splitlines()
    assert listed[0].split()[:2] == ["version", "policy"]
    assert listed[-1].split()[:2] == ["1", outcome.version.policy_id]

    assert main(["policy", "show", "1", *where]) == 0
    shown = capsys.readouterr().out
    assert outcome.version.profile_id in shown
    assert f"{TRAIN} questions × 3 pairs" in shown
    for strategy in ("best-single", "cluster", "predictor", "cascade", "policy", "hybrid"):
        assert strategy in shown
    assert max(map(len, shown.splitlines())) <= 80

    assert main(["policy", "show", "1", "--json", *where]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["card"] == outcome.card
    assert main(["policy", "show", "nobody", *where]) == 1
    said = capsys.readouterr().err
    assert "no policy 'nobody'; there is: version 1" in said
    assert "next: atlas policy list" in said


def test_without_a_policy_the_next_step_is_named(tmp_path, capsys):
    where = ["--root", str(tmp_path), "--mlflow-uri", f"sqlite:///{tmp_path / 'none.db'}"]
    assert main(["policy", "list", *where]) == 0
    assert "next: atlas train" in capsys.readouterr().err
    assert main(["policy", "show", *where]) == 1
    assert "Train one with `atlas train`" in capsys.readouterr().err
    assert main(["train", "--runner", "plain", *where]) == 1
    assert "atlas profile run" in capsys.readouterr().err


def test_settings_become_the_constants_of_the_fit():
    fit = policy_settings(TrainSettings(estimator="ppo", epochs=7, max_calls=2, networks=3, seed=5))

    assert (fit.estimator, fit.ppo.iterations, fit.exact.epochs) == ("ppo", 7, 7)
    assert (fit.max_calls, fit.networks, fit.seed) == (2, 3, 5)
    assert policy_settings(TrainSettings()).ppo.iterations > 40
