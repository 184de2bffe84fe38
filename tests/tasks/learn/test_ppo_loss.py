"""PPO's loss against plain numpy, its slopes against automatic differentiation and by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tasks.learn.ppo_loss import (
    Losses,
    Minibatch,
    Slopes,
    clipped_losses,
    entropy_of,
    normalised,
)


def losses_of(
    log_policy: np.ndarray,
    value: np.ndarray,
    batch: Minibatch,
    clip: float = 0.2,
    value_clip: float = 0.2,
    value_weight: float = 1.0,
    bonus: float = 0.0,
) -> tuple[Losses, Slopes]:
    return clipped_losses(
        log_policy, value, batch,
        clip=clip, value_clip=value_clip, value_weight=value_weight, bonus=bonus,
    )  # fmt: skip


def made(seed: int, count: int, actions: int) -> tuple[np.ndarray, np.ndarray, Minibatch]:
    """Logits, some of them not allowed, values and a minibatch."""
    random = np.random.default_rng(seed)
    logits = random.normal(size=(count, actions))
    chosen = random.integers(0, actions, count)
    # Never the action that was taken.
    barred = (random.random(logits.shape) < 0.3) & (np.arange(actions) != chosen[:, None])
    logits[barred] = -np.inf
    log_policy = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    old = log_policy[np.arange(count), chosen] + random.normal(0, 0.3, count)
    batch = Minibatch(chosen, old, *(random.normal(size=count) for _ in range(3)))
    return logits, random.normal(size=count), batch


def reference_losses(
    log_policy: np.ndarray, value: np.ndarray, batch: Minibatch, clip: float, value_clip: float
) -> dict[str, float]:
    """Schulman et al. (2017), Eq. 7 and 9, one step after the other."""
    surrogate, error, entropy, divergence, clipped = [], [], [], [], []
    for n in range(len(value)):
        advantage, old = float(batch.advantages[n]), float(batch.values[n])
        ratio = np.exp(log_policy[n, int(batch.actions[n])] - float(batch.log_policy[n]))
        held = min(max(ratio, 1 - clip), 1 + clip)
        surrogate.append(min(ratio * advantage, held * advantage))
        moved = old + min(max(value[n] - old, -value_clip), value_clip)
        target = float(batch.returns[n])
        error.append(max((value[n] - target) ** 2, (moved - target) ** 2))
        shares = np.exp(log_policy[n])
        entropy.append(-sum(p * np.log(p) for p in shares if p > 0))
        divergence.append(ratio - 1 - np.log(ratio))
        clipped.append(abs(ratio - 1) > clip)
    return {
        "policy": -np.mean(surrogate),
        "value": 0.5 * np.mean(error),
        "entropy": np.mean(entropy),
        "approximate_kl": np.mean(divergence),
        "clipped_share": np.mean(clipped),
    }


CONSTANTS = {
    "seed": st.integers(0, 10_000),
    "count": st.integers(1, 12),
    "actions": st.integers(2, 6),
    "clip": st.floats(0.05, 0.5),
    "value_clip": st.floats(0.05, 1.0),
}


def log_softmax(logits: np.ndarray) -> np.ndarray:
    return torch.from_numpy(logits).log_softmax(dim=1).numpy()


@settings(max_examples=50)
@given(**CONSTANTS)
def test_losses_are_those_of_the_paper(
    seed: int, count: int, actions: int, clip: float, value_clip: float
) -> None:
    logits, value, batch = made(seed, count, actions)
    log_policy = log_softmax(logits)
    wanted = reference_losses(log_policy, value, batch, clip, value_clip)

    losses, _ = losses_of(log_policy, value, batch, clip, value_clip)

    for name, number in wanted.items():
        assert getattr(losses, name) == pytest.approx(number, abs=1e-6), name
    assert losses.approximate_kl >= 0


@settings(max_examples=50)
@given(**CONSTANTS, value_weight=st.floats(0, 2), bonus=st.floats(0, 1))
def test_slopes_are_those_of_automatic_differentiation(
    seed: int,
    count: int,
    actions: int,
    clip: float,
    value_clip: float,
    value_weight: float,
    bonus: float,
) -> None:
    logits, value, batch = made(seed, count, actions)
    leaf, guess = torch.from_numpy(logits), torch.from_numpy(value)
    leaf.requires_grad_()
    guess.requires_grad_()
    old = Minibatch(*(torch.from_numpy(array) for array in batch))
    log_policy = leaf.log_softmax(dim=1)
    ratio = (log_policy.gather(1, old.actions[:, None])[:, 0] - old.log_policy).exp()
    held = ratio.clamp(1 - clip, 1 + clip)
    surrogate = torch.min(ratio * old.advantages, held * old.advantages).mean()
    moved = old.values + (guess - old.values).clamp(-value_clip, value_clip)
    error = 0.5 * torch.max((guess - old.returns) ** 2, (moved - old.returns) ** 2).mean()
    entropy = -(log_policy.exp() * log_policy.clamp(min=-50.0)).sum(dim=1).mean()
    (value_weight * error - surrogate - bonus * entropy).backward()

    _, slopes = losses_of(
        log_policy.detach().numpy(), value, batch, clip, value_clip, value_weight, bonus
    )

    assert np.allclose(slopes.logits, leaf.grad.numpy(), atol=1e-12)
    assert np.allclose(slopes.value, guess.grad.numpy(), atol=1e-12)
    assert (slopes.logits[np.isinf(logits)] == 0).all()


@pytest.mark.parametrize(
    ("ratio", "advantage", "surrogate", "slope"),
    [
        (1.0, 2.0, 2.0, 2.0),
        (1.1, 2.0, 2.2, 2.2),
        (1.5, 2.0, 2.4, 0.0),
        (0.5, 2.0, 1.0, 1.0),
        (0.5, -2.0, -1.6, 0.0),
        (1.5, -2.0, -3.0, -3.0),
    ],
)
def test_a_ratio_earns_and_teaches_nothing_beyond_the_clip(
    ratio: float, advantage: float, surrogate: float, slope: float
) -> None:
    """With ε = 0.2, from an old probability of 0.5; `slope` is ∂/∂ log π of the action."""
    share = 0.5 * ratio
    log_policy = np.log([[share, 1 - share]])
    one = np.ones(1)
    batch = Minibatch(np.zeros(1, np.int64), one * np.log(0.5), one, one * advantage, one)

    losses, slopes = losses_of(log_policy, one, batch)

    assert -losses.policy == pytest.approx(surrogate)
    # A logit moves its own log-probability by 1 − π, and that of the other action by −π.
    assert -slopes.logits[0].tolist()[0] == pytest.approx(slope * (1 - share))
    assert slopes.logits[0].sum() == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize(
    ("value", "error", "slope"),
    [(0.1, 0.81, -0.9), (0.5, 0.64, 0.0), (1.3, 0.64, 0.0), (-0.5, 2.25, -1.5), (2.5, 2.25, 1.5)],
)
def test_a_value_earns_nothing_beyond_the_clip(value: float, error: float, slope: float) -> None:
    """From an old value of 0 with a clip of 0.2, towards a return of 1; by hand."""
    zero = np.zeros(1)
    batch = Minibatch(np.zeros(1, np.int64), zero, zero, zero, np.ones(1))

    losses, slopes = losses_of(np.zeros((1, 1)), np.array([value]), batch)

    assert losses.value == pytest.approx(error / 2)
    assert slopes.value.tolist() == pytest.approx([slope])


@given(st.integers(1, 7), st.integers(0, 5))
def test_entropy_of_an_even_choice_is_its_logarithm(allowed: int, barred: int) -> None:
    log_policy = np.array([[-np.log(allowed)] * allowed + [-np.inf] * barred])
    entropy, slope = entropy_of(log_policy, np.exp(log_policy))

    assert entropy.tolist() == pytest.approx([np.log(allowed)], abs=1e-6)
    assert np.allclose(slope, 0, atol=1e-12)


@given(
    hnp.arrays(
        np.float64,
        st.integers(1, 30),
        elements=st.floats(-100, 100).map(lambda number: round(number, 3)),
    )
)
def test_normalised_advantages_have_mean_nought_and_deviation_one(values: np.ndarray) -> None:
    result = normalised(values)

    assert result.mean() == pytest.approx(0.0, abs=1e-6)
    if np.ptp(values):
        assert result.std() == pytest.approx(1.0, abs=1e-3)
        assert (np.argsort(result, kind="stable") == np.argsort(values, kind="stable")).all()
    else:
        assert (result == 0).all()
