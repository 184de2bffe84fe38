"""Masks of the cells that a sampler would have run."""

import numpy as np
import pytest

from profiles.allocation import SAMPLERS, AllocationSettings, allocate_offline
from profiles.errors import ProfileError

RNG = np.random.default_rng(0)
SCORES = (RNG.random((200, 4)) < 0.6).astype(float)
LABELS = np.arange(200) % 3
NEVER = AllocationSettings(epsilon=0.0, rounds=10)


def masked(sampler="adaptive", share=0.25, seed=0, **told):
    told = {"scores": SCORES, "labels": LABELS, "settings": NEVER} | told
    return allocate_offline(sampler, share=share, seed=seed, **told)


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("share", [0.0, 0.05, 0.25, 1.0])
def test_every_sampler_runs_its_share_of_the_cells(sampler, share):
    assert share * SCORES.size == masked(sampler, share).sum()


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_seed_is_a_mask(sampler):
    assert (masked(sampler, seed=5) == masked(sampler, seed=5)).all()
    assert (masked(sampler, seed=5) != masked(sampler, seed=6)).any()


def test_whole_questions_are_whole():
    assert {0, 4} == set(masked("queries").sum(axis=1).tolist())


def test_a_cell_outside_the_mask_is_never_looked_at():
    mask = masked()
    other = np.where(mask, SCORES, 1.0 - SCORES)

    assert (mask == masked(scores=other)).all()


def test_a_share_of_the_dollars_is_spent_in_dollars():
    costs = np.tile([0.001, 0.002, 0.004, 0.008], (200, 1))

    mask = masked(costs=costs, unit="dollars")

    assert 0.24 < (costs * mask).sum() / costs.sum() <= 0.25 + 1e-9
    assert mask[:, 0].sum() > mask[:, 3].sum()


def test_costs_do_not_matter_to_a_share_of_the_cells():
    assert (masked() == masked(costs=RNG.random(SCORES.shape))).all()


@pytest.mark.parametrize(
    ("told", "complaint"),
    [
        pytest.param({"sampler": "oracle"}, "there is no sampler 'oracle'; .* adaptive", id="name"),
        pytest.param({"share": 1.5}, "must lie between 0 and 1", id="share"),
        pytest.param({"unit": "euros"}, "'cells' or 'dollars'", id="unit"),
        pytest.param({"unit": "dollars"}, "no cost is recorded", id="no-costs"),
    ],
)
def test_impossible_arguments_are_refused(told, complaint):
    with pytest.raises(ProfileError, match=complaint):
        masked(**told)
