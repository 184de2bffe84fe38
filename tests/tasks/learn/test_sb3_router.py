"""Stable-Baselines3 is measured on the very same problem; skipped without the extra `bench`."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from profiles.policies.network import PolicyNetwork
from tests.tasks.learn.small_environment import PPO, SMALL, small_environment

pytest.importorskip("stable_baselines3")

from benchmarks.sb3_router import Layout, RecordedEnv, baseline


def test_a_flat_observation_is_read_back_as_the_same_situation() -> None:
    environment = small_environment(without=(4, 1))
    layout = Layout(environment)
    rows, states = torch.arange(7), torch.arange(7) % len(environment.lattice)
    situation = environment.situation(rows, states, torch.linspace(-4, -1, 7))

    read = layout.unpack(torch.from_numpy(layout.pack(situation)))

    for name, tensor in situation._asdict().items():
        assert torch.equal(getattr(read, name), tensor), name
    torch.manual_seed(0)
    network = PolicyNetwork(SMALL)
    assert torch.equal(network(read).log_policy, network(situation).log_policy)


def test_a_single_environment_observes_and_earns_what_the_batch_does() -> None:
    environment = small_environment()
    single = RecordedEnv(environment, PPO)
    seen, _ = single.reset(seed=3)
    rows, state = torch.tensor([single._row]), torch.tensor([0])
    log_price = torch.tensor([single._log_price], dtype=torch.float32)

    for action in (1, 0, environment.answer):
        wanted = environment.situation(rows, state, log_price)
        assert np.allclose(seen, single.layout.pack(wanted)[0])
        taken = environment.step(rows, state, torch.tensor([action]), log_price.exp())
        seen, reward, done, _, _ = single.step(action)
        assert reward == pytest.approx(float(taken.reward))
        assert done == bool(taken.done)
        state = taken.state


def test_an_iteration_of_theirs_trains_our_network() -> None:
    model, steps = baseline(small_environment(), replace(PPO, batch=12), singly=4)
    before = {name: weight.clone() for name, weight in model.policy.router.state_dict().items()}

    model.learn(steps)

    assert model.num_timesteps == steps == 24
    after = model.policy.router.state_dict()
    assert any(not torch.equal(after[name], weight) for name, weight in before.items())
