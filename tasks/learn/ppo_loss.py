"""The clipped loss of PPO and its derivative, in closed form (Schulman et al., 2017, Eq. 7 and 9).

    L = −mean(min(ρ·A, clip(ρ, 1 ± ε)·A)) + c_v·L_value − β·H,     ρ = π(a|s) / π_old(a|s)

What counts for an action's logit z_j, with π_j its probability, is

    ∂(−min(ρ·A, …))/∂z_j = −ρ·A·([j = a] − π_j)     where the clip does not hold, 0 where it does,
    ∂H/∂z_j = −π_j·(log π_j + H).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.floating]


class Minibatch(NamedTuple):
    """N sampled steps; every array is (N,)."""

    actions: NDArray[np.int64]
    log_policy: Floats
    """Of the action, under the policy that sampled it."""
    values: Floats
    advantages: Floats
    returns: Floats


class Losses(NamedTuple):
    """Of one minibatch, its means."""

    policy: float
    value: float
    entropy: float
    approximate_kl: float
    clipped_share: float


class Slopes(NamedTuple):
    """Derivatives of the whole loss."""

    logits: Floats
    """(N, A) after the logits of all actions; 0 for those that are not allowed."""
    value: Floats
    """(N,)."""


def clipped_losses(
    log_policy: Floats,
    value: Floats,
    batch: Minibatch,
    *,
    clip: float,
    value_clip: float,
    value_weight: float,
    bonus: float,
) -> tuple[Losses, Slopes]:
    """The clipped surrogate and its companions, and the derivative of their weighted sum.

    The divergence is estimated as the mean of (ρ − 1) − log ρ, which is never negative.

    Args:
        log_policy: (N, A) under the policy being improved; -inf where an action is not allowed.
        value: (N,) of its critic.
        batch: what was sampled.
        clip: ε of the ratio.
        value_clip: largest change of the value that earns.
        value_weight: c_v.
        bonus: weight β of the entropy.
    """
    count = len(value)
    every = np.arange(count)
    log_ratio = log_policy[every, batch.actions] - batch.log_policy
    ratio = np.exp(log_ratio)
    plain, held = ratio * batch.advantages, ratio.clip(1 - clip, 1 + clip) * batch.advantages
    surrogate = np.minimum(plain, held)
    # Inside the clip both are equal, and the plain one's slope is that of either.
    slope = np.where(plain <= held, -plain, 0.0) / count

    error = value - batch.returns
    change = (value - batch.values).clip(-value_clip, value_clip)
    moved = batch.values + change - batch.returns
    worse = np.maximum(error**2, moved**2)
    free = (np.abs(value - batch.values) <= value_clip) | (error**2 > moved**2)

    shares = np.exp(log_policy)
    entropy, slopes = entropy_of(log_policy, shares)
    slopes *= -bonus / count
    slopes -= slope[:, None] * shares
    slopes[every, batch.actions] += slope

    apart = ratio - 1
    losses = Losses(
        policy=-float(surrogate.mean()),
        value=0.5 * float(worse.mean()),
        entropy=float(entropy.mean()),
        approximate_kl=float((apart - log_ratio).mean()),
        clipped_share=float((np.abs(apart) > clip).mean()),
    )
    return losses, Slopes(slopes, np.where(free, error, 0.0) * (value_weight / count))


def entropy_of(log_policy: Floats, shares: Floats) -> tuple[Floats, Floats]:
    """(N,) −Σ π·log π and its (N, A) derivative after the logits; a barred action adds nothing."""
    # 0 · −inf would be undefined; at −50 the product is 0.
    own = np.maximum(log_policy, -50.0)
    entropy = -(shares * own).sum(axis=1)
    return entropy, -shares * (own + entropy[:, None])


def normalised(values: Floats) -> Floats:
    """Mean 0 and deviation 1; only centred where all are alike or there is one."""
    centred = values - values.mean()
    deviation = float(np.sqrt(centred.dot(centred) / len(centred)))
    result: Floats = centred / (deviation + 1e-8)
    return result
