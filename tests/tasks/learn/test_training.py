"""The training loop: killed trainings go on bit by bit, damaged checkpoints are refused."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from profiles.policies.network import NetworkSettings, PolicyNetwork
from tasks.learn import checkpoint as checkpoints
from tasks.learn.checkpoint import CheckpointError
from tasks.learn.exact_gradient import train_exact
from tasks.learn.ppo import train_ppo
from tasks.learn.training import (
    Loop,
    holds_its_own,
    learning_rate,
    learning_rows,
    price_grid,
    split_rows,
)
from tests.tasks.learn.small_environment import EXACT, PPO, small_environment

TRAININGS = {"exact": (train_exact, EXACT), "ppo": (train_ppo, PPO)}


class KilledError(Exception):
    """Stands for a kill between two looks."""


def train(name: str, path: Path | None = None, **changed: object) -> PolicyNetwork:
    run, settings = TRAININGS[name]
    report = changed.pop("report", lambda _look: None)
    environment = changed.pop("environment", None) or small_environment()
    return run(environment, replace(settings, **changed), checkpoint=path, report=report)


def same(one: PolicyNetwork, other: PolicyNetwork) -> bool:
    mine, theirs = one.state_dict(), other.state_dict()
    return all(torch.equal(mine[name], theirs[name]) for name in mine)


@pytest.mark.parametrize("name", TRAININGS)
def test_the_same_seed_gives_the_same_weights_and_another_seed_others(name: str) -> None:
    assert same(train(name), train(name))
    assert not same(train(name), train(name, seed=1))


@pytest.mark.parametrize("name", TRAININGS)
def test_a_training_leaves_the_global_generator_alone(name: str) -> None:
    before = torch.random.get_rng_state()
    train(name)

    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize("name", TRAININGS)
@pytest.mark.parametrize("look", [1, 4])
def test_a_training_stopped_at_a_look_goes_on_to_the_same_bits(
    name: str, look: int, tmp_path: Path
) -> None:
    file = tmp_path / "policy.safetensors"
    seen: list[int] = []

    def stop(_look: object) -> None:
        seen.append(1)
        if len(seen) == look:
            raise KilledError

    with pytest.raises(KilledError):
        train(name, file, report=stop)
    assert same(train(name, file), train(name))


@pytest.mark.parametrize("name", TRAININGS)
def test_a_finished_training_is_not_repeated(name: str, tmp_path: Path) -> None:
    file = tmp_path / "policy.safetensors"
    looks: list[object] = []
    first = train(name, file)

    assert same(train(name, file, report=looks.append), first)
    assert not looks


@pytest.mark.parametrize("name", TRAININGS)
def test_a_kill_while_a_checkpoint_is_written_costs_one_look(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "policy.safetensors"
    written: list[Path] = []

    def die(path: Path) -> None:
        written.append(path)
        if len(written) == 3:
            path.write_bytes(path.read_bytes()[:100])
            raise KilledError

    with monkeypatch.context() as patch:
        patch.setattr(checkpoints, "sync_file", die)
        with pytest.raises(KilledError):
            train(name, file)
    assert same(train(name, file), train(name))


_VICTIM = """
import os, signal, sys
from pathlib import Path
import torch
torch.set_num_threads(1)
from tasks.learn.exact_gradient import ExactGradient, train_exact
from tasks.learn.ppo import PPO, train_ppo
from tests.tasks.learn.test_training import TRAININGS
from tests.tasks.learn.small_environment import small_environment

name, file = sys.argv[1], Path(sys.argv[2])
estimator = {"exact": ExactGradient, "ppo": PPO}[name]
whole = estimator.iterate

def iterate(self, network, optimizer, iteration):
    if iteration == 5:
        os.kill(os.getpid(), signal.SIGKILL)
    return whole(self, network, optimizer, iteration)

estimator.iterate = iterate
run, settings = TRAININGS[name]
run(small_environment(), settings, checkpoint=file)
"""


@pytest.mark.long
@pytest.mark.crash
@pytest.mark.parametrize("name", TRAININGS)
def test_a_training_killed_by_sigkill_goes_on_to_the_same_bits(name: str, tmp_path: Path) -> None:
    file = tmp_path / "policy.safetensors"
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        dead = subprocess.run(
            [sys.executable, "-c", _VICTIM, name, str(file)],
            cwd=Path(__file__).parents[3],
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            check=False,
        )

        assert dead.returncode == -signal.SIGKILL, dead.stderr
        assert file.exists()
        assert same(train(name, file), train(name))
    finally:
        torch.set_num_threads(threads)


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-40])


def flip(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[-5] ^= 1
    file.write_bytes(data)


def pickle_instead(file: Path) -> None:
    torch.save({"network": torch.zeros(3)}, file)


def empty(file: Path) -> None:
    file.write_bytes(b"")


def bare(file: Path) -> None:
    from safetensors.torch import save_file

    save_file({"best": torch.zeros(3)}, file)


@pytest.mark.parametrize("damage", [cut, flip, pickle_instead, empty, bare])
def test_a_damaged_checkpoint_is_refused_with_a_way_out(
    damage: Callable[[Path], None], tmp_path: Path
) -> None:
    file = tmp_path / "policy.safetensors"
    train("exact", file)
    damage(file)

    with pytest.raises(CheckpointError, match=r"policy\.safetensors is no checkpoint .* remove it"):
        train("exact", file)


@pytest.mark.parametrize(
    "changed",
    [
        {"seed": 1},
        {"learning_rate": 1e-3},
        {"network": NetworkSettings(hidden=16)},
        {"environment": small_environment(seed=1)},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_the_checkpoint_of_another_training_is_refused(
    changed: dict[str, object], tmp_path: Path
) -> None:
    file = tmp_path / "policy.safetensors"
    train("exact", file)

    with pytest.raises(CheckpointError, match="belongs to another training"):
        train("exact", file, **changed)


def test_the_checkpoint_of_the_other_estimator_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "policy.safetensors"
    train("exact", file)

    with pytest.raises(CheckpointError, match="belongs to another training"):
        train("ppo", file)


def test_looks_tell_how_far_a_training_is() -> None:
    looks: list[tuple[int, int]] = []
    train("ppo", report=lambda look: looks.append((look.iteration, look.iterations)))

    assert looks == [(number, 6) for number in range(1, 7)]


def test_one_cycle_rises_for_three_tenths_and_falls_to_nothing() -> None:
    loop = Loop(NetworkSettings(), learning_rate=1.0)
    rates = [learning_rate(loop, iteration, 100) for iteration in range(1, 101)]

    assert rates[29] == max(rates) == 1.0
    assert rates[14] == pytest.approx((1 / 25 + 1) / 2)
    assert rates[99] == pytest.approx(1 / 250_000)
    assert (np.diff(rates[:30]) > 0).all()
    assert (np.diff(rates[29:]) < 0).all()


def test_a_falling_rate_is_a_line() -> None:
    loop = Loop(NetworkSettings(), learning_rate=1.0, schedule="falling")

    assert [learning_rate(loop, k, 4) for k in (1, 2, 3, 4)] == [1.0, 0.75, 0.5, 0.25]


@given(n=st.integers(2, 300), share=st.floats(0.01, 0.9), seed=st.integers(0, 9))
def test_every_question_is_learnt_from_or_held_out(n: int, share: float, seed: int) -> None:
    learn, hold = split_rows(n, share, seed)

    assert sorted([*learn, *hold]) == list(range(n))
    assert len(hold) == max(1, round(n * share))


def test_questions_that_no_pair_can_be_called_on_are_left_out() -> None:
    environment = small_environment()
    environment.available[[3, 7]] = False
    learn, hold = learning_rows(environment, 0.2, 0)

    assert sorted([*learn, *hold]) == [row for row in range(20) if row not in (3, 7)]


def test_a_training_without_usable_questions_is_refused() -> None:
    environment = small_environment()
    environment.available[1:] = False

    with pytest.raises(ValueError, match="1 of 20 questions have a scored outcome"):
        train("exact", environment=environment)


def test_a_network_within_a_standard_error_of_the_best_holds_its_own() -> None:
    best = torch.tensor([1.0, 0.0, 1.0, 0.0])

    assert holds_its_own(best, torch.full((4,), -torch.inf))
    assert holds_its_own(best, best)
    assert holds_its_own(torch.tensor([1.0, 0.0, 0.0, 0.0]), best)  # 0.25 behind, error 0.25
    assert not holds_its_own(torch.tensor([0.5, -0.5, 0.4, -0.5]), best)


def test_the_price_grid_is_even_in_logarithm() -> None:
    grid = price_grid((0.01, 1.0), 3)

    assert grid.tolist() == pytest.approx([0.01, 0.1, 1.0])
