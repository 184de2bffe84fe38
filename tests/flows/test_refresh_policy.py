"""A refresh that trains: once for every knowledge, judged, and never at the refresh's expense."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace

import pytest

from flows.refresh_policy import refresh_policy
from flows.settings import RefreshSettings
from profiles.errors import ProfileError
from profiles.profile_file import save_profile
from tasks.registry.versions import CHAMPION
from tests.flows.policy_shelf import Shelf, always, held_out_of
from tests.profiles.made_profiles import random_profile


@pytest.fixture(scope="module")
def profile():
    return random_profile(pairs=3)


class Night:
    """A warehouse whose trainings put the next of some policies on the shelf."""

    def __init__(self, folder, profile, shelf, policies):
        self.profile, self.shelf, self.left = profile, shelf, list(policies)
        self.trained = []
        self.settings = RefreshSettings(
            questions="labelled.jsonl", root=folder / "data", train=True, price=0.02, seed=5
        )
        save_profile(profile, self.settings.root / "profiles")

    def train(self, settings):
        self.trained.append(settings)
        if not self.left:
            raise ProfileError("the training questions are too few to learn a policy from")
        self.shelf.policies.append(self.left.pop(0))
        return SimpleNamespace(version=self.shelf.versions()[-1])

    def refresh(self, in_use=True):
        return refresh_policy(self.settings, self.profile, in_use=in_use)


@pytest.fixture
def night_of(tmp_path, profile, monkeypatch):
    """A night that trains policies which call these pairs."""

    def make(*pairs):
        shelf = Shelf([])
        made = [always(profile, pair, seed) for seed, pair in enumerate(pairs)]
        night = Night(tmp_path, profile, shelf, made)
        monkeypatch.setattr("tasks.registry.registry.PolicyRegistry", lambda *_where: shelf)
        monkeypatch.setattr(
            "tasks.learn.learning_set.held_out", lambda _root, known: held_out_of(known)
        )
        monkeypatch.setattr("flows.training.train_session", night.train)
        return night

    return make


def test_a_policy_is_trained_on_the_knowledge_in_use_judged_and_promoted(night_of):
    night = night_of(2)

    news = night.refresh()

    assert news.promotion.verdict == "accepted"
    assert night.shelf.aliases == {CHAMPION: 1}
    assert news.sentence.startswith("version 1 was trained and is accepted, against router auto")
    (asked,) = night.trained
    assert (asked.profile, asked.seed) == (night.profile.profile_id, 5)
    assert news.promotion.compared.price == 0.02


def test_a_policy_that_is_not_better_is_kept_and_not_used(night_of):
    night = night_of(0)

    news = night.refresh()

    assert news.promotion.refused
    assert night.shelf.aliases == {}
    assert "is refused, against router auto: No gain is shown" in news.sentence


@pytest.mark.parametrize(("pair", "said"), [(2, "as before"), (0, "the gate said: refused")])
def test_on_the_same_knowledge_nothing_is_trained_or_judged_twice(night_of, pair, said):
    night = night_of(pair, 1)
    night.refresh()

    again = night.refresh()

    assert len(night.trained) == 1
    assert again.promotion is None
    assert said in again.sentence


@pytest.mark.parametrize(
    "step",
    [
        "flows.refresh_policy.promote_policy",
        "tasks.learn.promotion.promote",
        "tests.flows.policy_shelf.Shelf.set_alias",
    ],
    ids=["before the gate", "before the notes", "before the move"],
)
def test_a_policy_whose_judging_was_cut_off_is_judged_without_another_training(
    night_of, monkeypatch, step
):
    night = night_of(2)
    with monkeypatch.context() as patch:
        patch.setattr(step, lambda *_a, **_k: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            night.refresh()

    news = night.refresh()

    assert len(night.trained) == 1
    assert news.promotion.verdict == "accepted"
    assert night.shelf.aliases == {CHAMPION: 1}


def test_a_champion_that_was_left_is_not_brought_back_by_the_next_night(night_of):
    night = night_of(1, 2)
    night.refresh()
    night.shelf.policies.append(night.left.pop())
    night.shelf.policies[-1] = replace(night.shelf.policies[-1], profile_id="profile-other")
    night.shelf.aliases[CHAMPION] = 2
    night.shelf.annotate(2, {"previous_champion": "1"})

    again = night.refresh()

    assert again.promotion is None
    assert night.shelf.aliases == {CHAMPION: 2}


def test_knowledge_that_is_not_in_use_trains_nothing(night_of):
    night = night_of(2)

    news = night.refresh(in_use=False)

    assert night.trained == []
    assert "is not in use" in news.sentence


def test_a_training_that_fails_is_said_and_costs_the_refresh_nothing(night_of):
    news = night_of().refresh()

    assert news.trained is None
    assert news.sentence.startswith("none was trained: the training questions are too few")


def test_a_policy_that_cannot_be_judged_is_said_and_kept(night_of, monkeypatch):
    night = night_of(2)

    def gone(_root, _profile):
        raise ProfileError("the answers behind it were not kept")

    monkeypatch.setattr("tasks.learn.learning_set.held_out", gone)

    news = night.refresh()

    assert news.trained.version == 1
    assert news.sentence == "version 1 was not judged: the answers behind it were not kept"
    assert night.shelf.aliases == {}


def test_the_news_are_plain_json(night_of):
    plain = json.loads(json.dumps(night_of(2).refresh().as_json(), allow_nan=False))

    assert plain["version"] == 1
    assert plain["promotion"]["decision"]["accepted"]
