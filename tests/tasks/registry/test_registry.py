"""Policies in MLflow's model registry: versions, aliases, notes, and what is refused."""

from __future__ import annotations

import itertools
import json
import shutil
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from profiles.errors import ProfileError
from profiles.policies.policy import check_policy
from profiles.policies.policy_file import WEIGHTS, PolicyFileError, write_policy
from profiles.profile_file import save_profile
from tasks.registry.registry import NAME, PolicyRegistry, policy_folder
from tasks.registry.sqlite_versions import read_versions, sqlite_file
from tasks.registry.versions import PolicyNotFoundError, RegistryError
from tasks.tracking import Tracker
from tests.profiles.made_profiles import random_profile
from tests.profiles.policies.made_policies import made_policy

# MLflow and its dependencies warn about each other, which is not ours to mend.
pytestmark = pytest.mark.filterwarnings("ignore")

_names = itertools.count()


@pytest.fixture(scope="session")
def store(tmp_path_factory):
    """One SQLite store for all tests: creating its tables takes seconds."""
    folder = tmp_path_factory.mktemp("mlflow")
    uri = f"sqlite:///{folder / 'mlflow.db'}"
    Tracker(uri, folder / "artifacts").start("warm-up", "first", {})
    return uri, folder / "artifacts"


@pytest.fixture
def registry(store):
    """A registered model of its own."""
    return PolicyRegistry(*store, name=f"policy-{next(_names)}")


@pytest.fixture(scope="module")
def profile():
    return random_profile(60, 3, 2)


def policy_of(profile, seed=0):
    return made_policy(
        seed,
        pairs=tuple(pair.pair_id for pair in profile.pairs),
        width=profile.clusters.centroids.shape[1],
        profile_id=profile.profile_id,
        pool_fingerprint=profile.pool_fingerprint,
    )


CARD = {
    "name": "nightly",
    "estimator": "exact",
    "seed": 7,
    "training": "abc",
    "data": {"training": "1f", "held_out": "2e"},
    "front": [{"price": 0.01, "accuracy": 0.7}],
}


def test_a_version_says_what_it_is(registry, store):
    run = Tracker(*store).start("atlas", "training", {})
    policy = made_policy(1)
    made = registry.register(policy, run_id=run, card=CARD)

    assert (made.name, made.version, made.run_id) == (registry.name, 1, run)
    assert (made.policy_id, made.profile_id) == (policy.policy_id, policy.profile_id)
    assert made.pool_fingerprint == policy.pool_fingerprint
    assert made.aliases == ()
    assert abs((datetime.now(UTC) - made.created_at).total_seconds()) < 600
    wanted = {"estimator": "exact", "seed": "7", "training": "abc", "name": "nightly"}
    wanted |= {"data.training": "1f", "data.held_out": "2e"}
    assert wanted.items() <= made.tags.items()
    assert made.tags["code_version"]


def test_the_model_folder_holds_no_pickle_and_says_what_it_takes(registry, store, tmp_path):
    from mlflow import MlflowClient
    from mlflow.artifacts import download_artifacts
    from mlflow.models import get_model_info

    policy = made_policy(2)
    run = Tracker(*store).start("atlas", "training", {})
    made = registry.register(policy, run_id=run, card=CARD)
    client = MlflowClient(store[0])
    address = client.get_model_version_download_uri(registry.name, str(made.version))
    folder = Path(download_artifacts(address, dst_path=str(tmp_path), tracking_uri=store[0]))
    files = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}

    assert {
        "artifacts/policy/policy.json", "artifacts/policy/weights.safetensors",
        "artifacts/card.json", "served_policy.py", "requirements.txt", "MLmodel",
    } <= files  # fmt: skip
    assert not [name for name in files if Path(name).suffix in {".pkl", ".pickle", ".pt", ".bin"}]
    pickled = [path for path in folder.rglob("*") if path.is_file() and _pickled(path)]
    assert pickled == []
    assert json.loads((folder / "artifacts" / "card.json").read_text()) == CARD
    assert "atlas-routing==" in (folder / "requirements.txt").read_text()
    signature = get_model_info(str(folder)).signature
    assert signature.inputs.input_names() == ["text", "embedding"]
    assert [spec.required for spec in signature.inputs.inputs] == [True, False]
    assert signature.outputs.input_names() == [
        "pair_id", "expected_accuracy", "expected_cost_usd", "strategy",
    ]  # fmt: skip
    (output,) = client.get_run(run).outputs.model_outputs
    model = client.get_logged_model(output.model_id)
    assert (str(model.status), model.name) == ("READY", policy.policy_id)


def _pickled(path: Path) -> bool:
    """Whether a file begins as a pickle does, or is a zip that may hold one."""
    return path.read_bytes()[:2] in (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05", b"PK")


def test_mlflow_alone_serves_a_version_that_holds_its_profile(registry, store, profile, tmp_path):
    import mlflow
    import pandas as pd

    folder = save_profile(profile, tmp_path / "profiles")
    policy = policy_of(profile)
    made = registry.register(policy, run_id="", card=CARD, profile=folder)
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(store[0])
    try:
        model = mlflow.pyfunc.load_model(f"models:/{registry.name}/{made.version}")
    finally:
        mlflow.set_tracking_uri(before)
    rows = np.array([0, 17, 40])
    embeddings = profile.train.embeddings[rows]
    texts = [f"question {row}" for row in rows]
    asked = pd.DataFrame({"text": texts, "embedding": embeddings.tolist()})

    for price in (0.002, 0.02, 0.3):
        told = model.predict(asked, params={"price": price, "strategy": "predictor"})
        priors = policy.priors(profile, texts, embeddings)
        wanted = (priors - price * policy.costs).argmax(axis=1)
        assert told["pair_id"].tolist() == [policy.pairs[column] for column in wanted]
        assert told["expected_accuracy"].tolist() == pytest.approx(
            priors[np.arange(3), wanted].tolist()
        )
        dollars = (policy.costs * policy.cost_unit_usd)[wanted]
        assert told["expected_cost_usd"].tolist() == pytest.approx(dollars.tolist())
    with pytest.raises(ProfileError, match="there is no strategy 'wrong'"):
        model.predict(asked, params={"strategy": "wrong"})


def test_a_version_without_its_profile_says_that_it_cannot_decide(registry, store, tmp_path):
    import mlflow
    import pandas as pd

    registry.register(made_policy(12), run_id="", card=CARD)
    source = registry._client().get_model_version_download_uri(registry.name, "1")
    model = mlflow.pyfunc.load_model(source)
    with pytest.raises(ProfileError, match="was registered without its profile profile-0"):
        model.predict(pd.DataFrame({"text": ["a question"]}))


def test_one_policy_is_one_version_however_often_it_is_registered(registry):
    first = registry.register(made_policy(3), run_id="", card=CARD)
    again = registry.register(made_policy(3), run_id="", card={})
    other = registry.register(made_policy(4), run_id="", card=CARD)

    assert again == first
    assert [one.version for one in registry.versions()] == [1, 2]
    assert other.version == 2


def test_a_version_is_found_by_alias_number_and_id(registry):
    one = registry.register(made_policy(5), run_id="", card={})
    two = registry.register(made_policy(6), run_id="", card={})
    registry.set_alias("champion", one.version)
    registry.set_alias("challenger", two.version)

    assert registry.resolve("champion").policy_id == one.policy_id
    assert registry.resolve("challenger").policy_id == two.policy_id
    assert registry.resolve("2").policy_id == two.policy_id
    assert registry.resolve(one.policy_id).aliases == ("champion",)
    registry.set_alias("champion", two.version)
    assert registry.resolve("champion").version == two.version
    assert registry.resolve("1").aliases == ()
    assert registry.resolve("2").aliases == ("challenger", "champion")
    registry.remove_alias("champion")
    registry.remove_alias("champion")
    with pytest.raises(PolicyNotFoundError, match=r"no policy 'champion'; there is: version 1, "):
        registry.resolve("champion")
    with pytest.raises(PolicyNotFoundError, match="no policy '9'"):
        registry.set_alias("champion", 9)


def test_an_empty_registry_says_what_to_do(store, tmp_path):
    for uri in (store[0], f"sqlite:///{tmp_path / 'none.db'}"):
        registry = PolicyRegistry(uri, tmp_path, name="nothing")
        assert registry.versions() == []
        with pytest.raises(PolicyNotFoundError, match=r"none is registered .*atlas train"):
            registry.resolve("champion")
    assert not (tmp_path / "none.db").exists()


def test_notes_are_kept_and_replaced(registry):
    made = registry.register(made_policy(7), run_id="", card={})
    registry.annotate(made.version, {"gate": "refused", "reason": "not better"})
    registry.annotate(made.version, {"gate": "passed"})

    tags = registry.resolve("1").tags
    assert (tags["gate"], tags["reason"]) == ("passed", "not better")
    with pytest.raises(PolicyNotFoundError):
        registry.annotate(8, {"gate": "passed"})


def test_a_policy_is_fetched_once_and_then_read_at_home(registry, store, tmp_path):
    policy = made_policy(8)
    made = registry.register(policy, run_id="", card={})
    fetched = registry.fetch(made, tmp_path)

    assert fetched.policy_id == policy.policy_id
    home = policy_folder(tmp_path, policy.policy_id)
    assert {path.name for path in home.iterdir()} == {"policy.json", "weights.safetensors"}
    # Nobody is asked for what is at home.
    away = PolicyRegistry("sqlite:////nowhere/mlflow.db", tmp_path)
    assert away.fetch(made, tmp_path).policy_id == policy.policy_id


def test_a_damaged_home_is_said_and_not_papered_over(registry, tmp_path):
    made = registry.register(made_policy(9), run_id="", card={})
    registry.fetch(made, tmp_path)
    weights = policy_folder(tmp_path, made.policy_id) / WEIGHTS
    weights.write_bytes(weights.read_bytes()[:-1])

    with pytest.raises(PolicyFileError, match="is damaged"):
        registry.fetch(made, tmp_path)
    shutil.rmtree(weights.parent)
    assert registry.fetch(made, tmp_path).policy_id == made.policy_id


def test_another_policy_in_its_place_is_refused(registry, tmp_path):
    made = registry.register(made_policy(10), run_id="", card={})
    write_policy(made_policy(11), policy_folder(tmp_path, made.policy_id))

    with pytest.raises(RegistryError, match=f"but version 1 is {made.policy_id}; remove"):
        registry.fetch(made, tmp_path)


def test_a_policy_of_another_profile_or_pool_is_refused(profile):
    policy = policy_of(profile)
    check_policy(policy, profile)
    with pytest.raises(ProfileError, match=r"was trained on profile-0.*train again"):
        check_policy(made_policy(0), profile)
    other = made_policy(0, profile_id=profile.profile_id, pool_fingerprint="other")
    with pytest.raises(ProfileError, match="belongs to another pool"):
        check_policy(other, profile)


def test_the_direct_look_and_mlflow_agree(registry, store):
    for seed in range(3):
        registry.register(made_policy(20 + seed), run_id="", card=CARD)
    registry.set_alias("champion", 2)
    registry.annotate(3, {"gate": "refused"})
    registry._client().delete_model_version(registry.name, "1")

    direct = read_versions(sqlite_file(store[0]), registry.name)
    assert direct == registry._listed()
    assert [one.version for one in direct] == [2, 3]


def test_tables_that_look_otherwise_are_left_to_mlflow(tmp_path):
    with closing(sqlite3.connect(tmp_path / "other.db")) as connection:
        connection.execute("CREATE TABLE model_versions (name TEXT)")

    assert read_versions(tmp_path / "other.db", NAME) is None
    assert sqlite_file("https://mlflow.example") is None


class _Broken:
    """A client of a server that went away."""

    def __getattr__(self, _name):
        from mlflow.exceptions import MlflowException

        def gone(*_args, **_named):
            raise MlflowException("API request to https://me:secret@mlflow.example failed")

        return gone


def test_a_registry_that_cannot_be_reached_is_a_sentence(tmp_path):
    registry = PolicyRegistry("https://me:secret@mlflow.example", tmp_path)
    registry._made = _Broken()

    with pytest.raises(RegistryError, match=r"could not list policies .*check the address") as told:
        registry.versions()
    assert "secret@" not in str(told.value)
