"""A training: identity, what it leaves, going on after a kill, the held-out table."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from profiles.policies.policy_file import read_policy
from tasks.learn.held_out_play import play_policy
from tasks.learn.held_out_table import ROUTERS, held_out_table
from tasks.learn.learning_set import held_out
from tasks.learn.reliability import reliability
from tasks.learn.train_policy import Finished, begin_training, read_curves, run_training
from tasks.profiling.store import find_profile
from tasks.registry.cards import read_card
from tasks.registry.registry import policy_folder
from tests.tasks.learn.made_answers import QUICK, TEST, TRAIN, answered_root
from tests.tasks.learn.small_environment import small_environment

NOW = datetime(2026, 3, 4, tzinfo=UTC)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return answered_root(tmp_path_factory.mktemp("answered"))


@pytest.fixture(scope="module")
def trained(root):
    """A training that nothing disturbed."""
    return run_training(begin_training(root, find_profile(root), QUICK, "first"), now=NOW)


def test_a_training_leaves_a_policy_at_home_and_a_card(root, trained):
    policy = read_policy(policy_folder(root, trained.policy.policy_id))
    card = read_card(root, policy.policy_id)

    assert policy.policy_id == trained.policy.policy_id
    assert card == trained.card
    assert (card["name"], card["estimator"], card["questions"]) == ("first", "exact", TRAIN)
    assert card["profile_id"] == find_profile(root).profile_id
    assert [point["price"] for point in card["guard"]] == [point.price for point in policy.points]
    assert card["settings"]["exact"]["epochs"] == 3
    assert set(card["data"]) == {"training", "held_out"}


def test_curves_are_kept_for_every_network(root, trained):
    networks = {curve.network for curve in trained.curves}

    assert networks == {"policy-0", "guard-0", "guard-1"}
    last = max((one for one in trained.curves if one.network == "policy-0"), key=lambda c: c[1])
    assert last.iteration == last.iterations
    assert {"validation_utility", "mean_return", "entropy"} <= set(last.metrics)


def test_the_identity_is_what_decides_the_weights(root):
    profile = find_profile(root)
    one = begin_training(root, profile, QUICK)

    assert one.identity == begin_training(root, profile, QUICK, "a name").identity
    others = [
        begin_training(root, profile, replace(QUICK, seed=1)),
        begin_training(root, profile, replace(QUICK, estimator="ppo")),
        replace(one, keys=np.where(one.keys == 1, 0, one.keys)),
    ]
    assert len({one.identity, *(other.identity for other in others)}) == 4


class _StoppedError(Exception):
    pass


def _stopping_at(number):
    looks = []

    def report(network, look):
        looks.append((network, look.iteration))
        if len(looks) == number:
            raise _StoppedError

    return report


@pytest.mark.parametrize("number", [2, 5])
def test_a_training_that_was_stopped_goes_on_to_the_same_weights(root, trained, tmp_path, number):
    copied = tmp_path / "data"
    shutil.copytree(root, copied, ignore=shutil.ignore_patterns("policies"))
    training = begin_training(copied, find_profile(copied), QUICK)
    with pytest.raises(_StoppedError):
        run_training(training, now=NOW, report=_stopping_at(number))
    assert training.begun()
    assert training.finished() is None
    again = run_training(training, now=NOW)

    assert again.policy.policy_id == trained.policy.policy_id
    assert again.curves == trained.curves


_KILLED = """
import os, signal, sys
from datetime import UTC, datetime
from pathlib import Path
from tasks.learn.train_policy import begin_training, run_training
from tasks.profiling.store import find_profile
from tests.tasks.learn.made_answers import QUICK
looks = []
def report(network, look):
    looks.append(look)
    if len(looks) == int(sys.argv[2]):
        os.kill(os.getpid(), signal.SIGKILL)
root = Path(sys.argv[1])
run_training(begin_training(root, find_profile(root), QUICK), now=datetime.now(UTC), report=report)
"""


@pytest.mark.long
@pytest.mark.crash
def test_a_training_killed_by_sigkill_goes_on_to_the_same_weights(root, trained, tmp_path):
    copied = tmp_path / "data"
    shutil.copytree(root, copied, ignore=shutil.ignore_patterns("policies"))
    for number in ("2", "3"):
        killed = subprocess.run([sys.executable, "-c", _KILLED, str(copied), number], check=False)
        assert killed.returncode == -9
    again = run_training(begin_training(copied, find_profile(copied), QUICK), now=NOW)

    assert again.policy.policy_id == trained.policy.policy_id
    assert again.curves == trained.curves


def test_a_finished_training_says_so_and_keeps_no_checkpoint(root, trained):
    training = begin_training(root, find_profile(root), QUICK)
    assert training.begun()
    training.finish(Finished(trained.policy.policy_id, 3, "run"))

    assert training.finished() == Finished(trained.policy.policy_id, 3, "run")
    assert not training.begun()
    assert [path.name for path in training.folder.iterdir()] == ["finished.json"]
    gone = begin_training(root, find_profile(root), replace(QUICK, seed=9))
    gone.finish(Finished("policy-gone", 1, ""))
    assert gone.finished() is None


def test_a_torn_line_of_the_curves_costs_that_look_alone(tmp_path):
    path = tmp_path / "looks.jsonl"
    whole = json.dumps(["policy-0", 3, 9, {"entropy": 0.5}])
    path.write_text(f'\n{whole}\n\n["policy-0", 6, 9, {{"entr\n{whole.replace("3", "9")}\n')

    assert [curve.iteration for curve in read_curves(path)] == [3, 9]


def test_the_held_out_table_is_what_its_routers_do(root, trained):
    profile = find_profile(root)
    held = held_out(root, profile)
    table = held_out_table(trained.policy, profile, held, prices=(0.002, 0.01, 5.0))

    assert (table.questions, table.left_out) == (TEST, 0)
    # A price that it was not trained for is no row.
    wanted = [(price, router) for price in (0.002, 0.01) for router in ROUTERS]
    assert [(row.price, row.router) for row in table.rows] == wanted
    for row in table.rows:
        assert row.accuracy.low <= row.accuracy.value <= row.accuracy.high
        assert row.gain.value == pytest.approx(
            row.utility.value - _row(table, row.price, "best-single").utility.value
        )
        if row.router != "cluster":
            played = play_policy(
                trained.policy, profile, held, strategy=row.router, price=row.price
            )
            assert row.accuracy.value == pytest.approx(played.score.mean())
            assert row.calls == played.calls.mean()
            spent = row.price * played.cost.mean() / trained.policy.cost_unit_usd
            assert row.utility.value == pytest.approx(row.accuracy.value - spent)
    hybrid = _row(table, 0.01, "hybrid")
    assert hybrid.accuracy == _row(table, 0.01, hybrid.decided).accuracy


def _row(table, price, router):
    return next(row for row in table.rows if (row.price, row.router) == (price, router))


def test_a_question_with_a_missing_cell_is_left_out_for_all(root, trained):
    profile = find_profile(root)
    held = held_out(root, profile)
    scores = held.scores.copy()
    scores[4] = np.nan
    table = held_out_table(trained.policy, profile, held._replace(scores=scores), prices=(0.01,))

    assert (table.questions, table.left_out) == (TEST - 1, 1)
    none = held_out_table(
        trained.policy, profile, held._replace(scores=np.full_like(scores, np.nan)), prices=(0.01,)
    )
    assert (none.rows, none.questions, none.left_out) == ((), 0, TEST)


def test_reliability_is_the_distance_from_the_diagonal():
    environment = small_environment()
    found = reliability(environment)
    confidence = environment.observations.confidence.double().numpy()
    right = environment.answer_reward.double().numpy()
    counted = confidence > 0

    assert sum(one.n for one in found.bins) == counted.sum()
    by_hand = 0.0
    for tenth in range(10):
        last = confidence <= 1 if tenth == 9 else confidence < (tenth + 1) / 10
        here = counted & (confidence >= tenth / 10) & last
        if here.any():
            by_hand += here.mean() * abs(confidence[here].mean() - right[here].mean())
    assert found.error == pytest.approx(by_hand * confidence.size / counted.sum())
