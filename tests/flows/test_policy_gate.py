"""Promotion, refusal, force and rollback, from the registry to the exit code."""

from __future__ import annotations

import json
import shutil

import pytest

from flows.failures import UsageError, explain
from flows.promote_policy import LOCK, promote_policy, roll_back_policy
from flows.settings import PromoteSettings
from profiles.policies.policy_file import PolicyFileError
from profiles.profile_file import save_profile
from tasks.learn.promotion import RollbackError
from tasks.registry.registry import PolicyRegistry
from tasks.registry.versions import CHALLENGER, CHAMPION, PolicyNotFoundError
from tasks.tracking import Tracker
from tests.flows.policy_shelf import FAIR, GOOD, NOW, POOR, TWIN, N, Shelf, always, held_out_of
from tests.profiles.made_profiles import random_profile
from warehouse.errors import LedgerBusyError
from warehouse.run_lock import run_lock

# MLflow and its dependencies warn about each other, which is not ours to mend.
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def profile():
    return random_profile(pairs=3)


class House:
    """A warehouse with its registry."""

    def __init__(self, folder, profile, registry):
        self.settings = PromoteSettings(root=folder / "data", mlflow_uri="sqlite:///none.db")
        self.root, self.registry = self.settings.root, registry
        save_profile(profile, self.root / "profiles")

    @property
    def champion(self):
        return self.registry.aliases.get(CHAMPION)

    def promote(self, version, **how):
        return promote_policy(self.settings, str(version), clock=lambda: NOW, **how)

    def tags(self, version):
        return self.registry.resolve(str(version)).tags


@pytest.fixture(scope="module")
def policies(profile):
    return [always(profile, pair, seed) for seed, pair in ((1, 0), (2, 1), (3, 2), (4, 1))]


@pytest.fixture
def known_questions(monkeypatch):
    monkeypatch.setattr(
        "tasks.learn.learning_set.held_out", lambda _root, known: held_out_of(known)
    )


@pytest.fixture
def house(tmp_path, profile, policies, known_questions, monkeypatch):
    shelf = Shelf(policies)
    monkeypatch.setattr("tasks.registry.registry.PolicyRegistry", lambda *_where: shelf)
    return House(tmp_path, profile, shelf)


def test_the_first_champion_must_beat_the_one_step_router(house):
    refused = house.promote(POOR)
    accepted = house.promote(GOOD)

    assert (refused.verdict, refused.against, refused.moved) == ("refused", "router auto", False)
    assert (accepted.verdict, accepted.against, accepted.moved) == ("accepted", "router auto", True)
    assert house.champion == GOOD
    assert accepted.compared.decision.gain.low > 0


def test_a_refused_policy_leaves_the_champion_alone_and_says_why(house):
    house.promote(GOOD)

    found = house.promote(FAIR)

    assert found.refused
    assert house.champion == GOOD
    assert "version 3 stays champion" in found.sentence
    tags = house.tags(FAIR)
    assert tags["gate"] == "refused"
    assert tags["gate_at"] == "2026-11-21T03:04:05+00:00"
    assert "No gain is shown" in tags["gate_reason"]
    assert "@" in tags["gate_by"]


def test_a_policy_of_equal_worth_is_refused(house):
    house.promote(FAIR, force=True, reason="a start")

    found = house.promote(TWIN)

    assert found.refused
    assert found.compared.decision.gain.value == 0.0
    assert house.champion == FAIR


def test_an_accepted_policy_takes_over_and_remembers_whom_it_replaced(house):
    house.promote(FAIR, force=True, reason="a start")

    found = house.promote(GOOD)

    assert (found.verdict, house.champion) == ("accepted", GOOD)
    assert found.before.version == FAIR
    assert house.tags(GOOD)["previous_champion"] == "2"
    assert house.tags(GOOD)["promoted_at"] == "2026-11-21T03:04:05+00:00"


def test_a_version_without_a_run_keeps_the_whole_decision_itself(house):
    house.promote(GOOD)

    record = json.loads(house.tags(GOOD)["gate_decision"])

    assert (record["verdict"], record["version"], record["champion_before"]) == (
        "accepted", GOOD, None,
    )  # fmt: skip
    assert record["decision"]["gain"]["n"] == N
    assert record["price"] == 0.01
    assert record["decided_at"] == NOW.isoformat()


@pytest.mark.long
def test_in_mlflow_the_decision_is_a_file_of_the_run_and_the_alias_moves(
    tmp_path, profile, policies, known_questions
):
    where = f"sqlite:///{tmp_path / 'mlflow.db'}", tmp_path / "artifacts"
    run = Tracker(*where).start("atlas", "training", {})
    registry = PolicyRegistry(*where)
    for policy in (policies[FAIR - 1], policies[GOOD - 1]):
        registry.register(policy, run_id=run, card={})
    settings = PromoteSettings(root=tmp_path / "data", mlflow_uri=where[0], artifacts=str(where[1]))
    save_profile(profile, settings.root / "profiles")
    promote_policy(settings, "1", force=True, reason="a start")

    found = promote_policy(settings, "2", clock=lambda: NOW)

    assert found.verdict == "accepted"
    assert registry.resolve(CHAMPION).version == 2
    tags = registry.resolve("2").tags
    assert tags["gate_record"] == "gate/20261121T030405Z.json"
    (plain,) = where[1].rglob(tags["gate_record"])
    assert json.loads(plain.read_text())["decision"]["gain"]["n"] == N
    text = plain.with_suffix(".md").read_text()
    assert "## Gate: accepted" in text
    assert text.rstrip().endswith("Version 2 is champion now.")

    roll_back_policy(settings, reason="it answers worse")

    assert registry.resolve(CHAMPION).version == 1


def test_what_is_champion_already_is_left_alone(house):
    house.promote(GOOD)
    before = house.tags(GOOD)

    found = house.promote(GOOD)

    assert (found.verdict, found.moved) == ("champion already", False)
    assert found.as_markdown() == "Version 3 is champion already: nothing was changed.\n"
    assert house.tags(GOOD) == before


def test_a_dry_run_judges_and_keeps_nothing(house):
    found = house.promote(GOOD, dry_run=True)

    assert found.verdict == "accepted"
    assert house.champion is None
    assert "gate" not in house.tags(GOOD)


def test_force_needs_a_reason_and_keeps_it(house):
    house.promote(GOOD)

    with pytest.raises(UsageError, match="--force needs --reason"):
        house.promote(POOR, force=True)
    found = house.promote(POOR, force=True, reason="the provider of version 3 is gone")

    assert (found.verdict, house.champion) == ("forced", POOR)
    assert house.tags(POOR)["gate"] == "forced"
    assert house.tags(POOR)["promoted_reason"] == "the provider of version 3 is gone"


def test_what_cannot_be_judged_is_promoted_by_force_only(house):
    shutil.rmtree(house.root / "profiles")

    with pytest.raises(Exception, match="profile") as refused:
        house.promote(GOOD)
    found = house.promote(GOOD, force=True, reason="moving house")

    assert explain(refused.value, ["policy", "promote"]).exit_code == 1
    assert house.champion == GOOD
    assert found.compared is None
    assert "could not be judged" in found.sentence


def test_a_champion_that_cannot_be_played_is_said_and_auto_takes_its_place(house):
    house.promote(GOOD)
    house.registry.damaged.add(GOOD)

    found = house.promote(FAIR)

    assert found.against == "router auto"
    assert "version 3, cannot be played" in found.compared.notes[0]


def test_two_promotions_never_interleave(house):
    with run_lock(house.root, LOCK), pytest.raises(LedgerBusyError):
        house.promote(GOOD)

    assert house.champion is None


def test_an_alias_names_the_policy_too(house):
    house.registry.set_alias(CHALLENGER, GOOD)

    assert promote_policy(house.settings, dry_run=True).version.version == GOOD
    with pytest.raises(PolicyNotFoundError, match="no policy 'nobody'"):
        house.promote("nobody")


def back(house, to=None, reason="it answers worse"):
    return roll_back_policy(house.settings, to, reason=reason, clock=lambda: NOW)


def test_a_rollback_returns_to_the_champion_before_step_by_step(house):
    for version in (POOR, FAIR, GOOD):
        house.promote(version, force=True, reason="in turn")

    assert (back(house).champion.version, house.champion) == (FAIR, FAIR)
    assert (back(house).champion.version, house.champion) == (POOR, POOR)
    with pytest.raises(RollbackError, match="first champion"):
        back(house)
    assert house.tags(GOOD)["rolled_back_to"] == "2"
    assert house.tags(GOOD)["rolled_back_reason"] == "it answers worse"


def test_a_rollback_to_any_earlier_champion_but_to_no_other_version(house):
    for version in (POOR, FAIR, GOOD):
        house.promote(version, force=True, reason="in turn")

    with pytest.raises(RollbackError, match="Version 4 never was champion"):
        back(house, TWIN)
    with pytest.raises(RollbackError, match="champion already"):
        back(house, GOOD)
    with pytest.raises(PolicyNotFoundError):
        back(house, 99)
    with pytest.raises(UsageError, match="reason"):
        back(house, POOR, " ")
    assert house.champion == GOOD

    back(house, POOR)

    assert house.champion == POOR


def test_without_a_champion_there_is_nothing_to_roll_back(house):
    with pytest.raises(RollbackError, match="No policy is champion"):
        back(house)


def test_an_earlier_champion_that_cannot_be_read_stays_out_of_use(house):
    house.promote(FAIR, force=True, reason="a start")
    house.promote(GOOD)
    house.registry.damaged.add(FAIR)

    with pytest.raises(PolicyFileError, match="damaged"):
        back(house)

    assert house.champion == GOOD


@pytest.fixture
def command(house, atlas, monkeypatch):
    """The command, over the house's registry and warehouse."""
    monkeypatch.setenv("ATLAS_ROOT", str(house.root))
    return atlas


def test_the_command_prints_tables_and_says_refused_by_its_exit_code(house, command):
    accepted = command("policy", "promote", GOOD)
    refused = command("policy", "promote", FAIR)

    assert (0, 5) == (accepted.code, refused.code)
    assert "# Version 3 against router auto" in accepted.out
    assert "| accuracy        | 8" in accepted.out
    assert "## Gate: refused" in refused.out
    assert "Version 2 was refused; version 3 stays champion." in refused.out
    assert "next: " in refused.err


def test_the_command_gives_the_whole_decision_as_json(command):
    found = command("policy", "promote", GOOD, "--dry-run", "--json", "--price", "0.05").json()

    assert ("accepted", GOOD, 0.05) == (found["verdict"], found["version"], found["price"])
    assert N == found["decision"]["figures"]["utility"]["change"]["n"]


def test_the_command_forces_with_a_reason_and_rolls_back(house, command):
    command("policy", "promote", FAIR, "--force", "--reason", "a start")
    unexplained = command("policy", "promote", POOR, "--force")
    command("policy", "promote", POOR, "--force", "--reason", "to see")
    back = command("policy", "rollback", "--reason", "it is poor", "--json")

    assert 2 == unexplained.code
    assert {"champion": FAIR, "before": POOR} == back.json()
    assert "Version 2 is champion again" in back.err
    assert FAIR == house.champion


def test_a_rollback_without_a_reason_or_a_champion_is_an_error_in_a_sentence(house, command):
    unexplained, nowhere = (
        command("policy", "rollback"),
        command("policy", "rollback", "--reason", "x"),
    )

    assert (2, 1) == (unexplained.code, nowhere.code)
    assert "error: No policy is champion" in nowhere.err
    assert "next: atlas policy list" in nowhere.err
