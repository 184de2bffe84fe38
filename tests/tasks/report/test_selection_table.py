"""What routers are worth out of fold reaches terminal, JSON and MLflow alike."""

from pathlib import Path

import pytest

from profiles.profile_file import load_profile
from tasks.report.facts import ProfileFacts
from tasks.report.profile_table import profile_table
from tasks.report.selection_table import selection_json, selection_metrics
from tasks.tracking.runs import profile_metrics
from tests.profiles.made_profiles import random_profile

FORMAT_1 = next((Path(__file__).parents[2] / "profiles" / "format_1").glob("profile-*"))


@pytest.fixture(scope="module")
def profile():
    return random_profile(n=200, pairs=3, k=2, fit_all=True)


def test_the_terminal_shows_the_sweep_and_what_auto_takes(profile):
    text = profile_table(ProfileFacts(profile, pool_name="pool")).plain()

    assert "routers on 200 training questions left out of their fit" in text
    assert "best-single" in text
    assert "cluster (K = 2) *" in text
    assert "cluster (K = 4)" in text
    assert "auto takes" in text


def test_json_holds_every_candidate_with_its_interval(profile):
    found = selection_json(profile)

    by_name = {(one["router"], one["k"], one["nearest"]): one for one in found["estimates"]}
    assert {("best-single", None, None), ("predictor", None, None)} <= set(by_name)
    assert {("cluster", 2, 1), ("cluster", 4, 1), ("cluster", 2, 2)} <= set(by_name)
    assert all(one["gain_low"] <= one["gain"] <= one["gain_high"] for one in by_name.values())
    assert found["auto"] in {"best-single", "cluster", "predictor"}
    assert found["why"].startswith(found["auto"])


def test_mlflow_gets_score_and_gain_of_every_candidate(profile):
    metrics = dict(selection_metrics(profile))

    assert {"out of fold/best-single/score", "out of fold/cluster K 04/gain"} <= set(metrics)
    assert metrics.items() <= dict(profile_metrics(ProfileFacts(profile, pool_name="p"))).items()
    assert 0.0 == metrics["out of fold/best-single/gain"]


def test_an_older_profile_shows_nothing_of_it():
    old = load_profile(FORMAT_1)

    assert selection_json(old) is None
    assert {} == dict(selection_metrics(old))
    assert "auto takes" not in profile_table(ProfileFacts(old, pool_name="pool")).plain()


def test_showing_a_profile_reads_no_predictor(profile, tmp_path, monkeypatch):
    from profiles import profile_file

    folder = profile_file.save_profile(profile, tmp_path)
    asked = []
    read = profile_file.read_part
    monkeypatch.setattr(
        profile_file, "read_part", lambda path: asked.append(path.name) or read(path)
    )

    profile_table(ProfileFacts(load_profile(folder), pool_name="pool"))

    assert ["selection.npz"] == asked
