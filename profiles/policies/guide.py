"""A strategy with all it needs to guide live trajectories: what was seen in, what to do next out.

The same judge and the same features as in training, so that a backlog is routed exactly as its
recorded twin was played.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from profiles.policies.strategies import ANSWER, Live, Strategy

if TYPE_CHECKING:
    from torch import Tensor

    from profiles.policies.aggregator import Posterior
    from profiles.policies.evidence import Evidence
    from profiles.policies.policy import Policy
    from profiles.profile import Profile

Matrix = NDArray[np.float64]


class Judge(Protocol):
    """Says how probable each answer gathered so far is."""

    def posterior(self, evidence: Evidence, components: Tensor) -> Posterior:
        """Of B sets of called pairs, see `profiles.policies.aggregator.Aggregator.posterior`."""
        ...


class Whereabouts(NamedTuple):
    """Where n questions lie among the training questions; every array is (n,)."""

    cluster: NDArray[np.int64]
    """Of the nearest centroid."""
    distance: Matrix
    """Euclidean, to that centroid."""
    away: NDArray[np.bool_]
    """Farther from it than 99 % of the training questions are."""


class Prospect(NamedTuple):
    """What is expected of n questions before any pair was called."""

    priors: Matrix
    """(n, C) probability that each pair answers right."""
    components: Matrix
    """(n, K) of their embeddings."""
    where: Whereabouts | None = None
    """None where nobody looked."""


Foresee = Callable[[Sequence[str], "NDArray[np.float32] | None"], Prospect]
"""From n texts and their (n, D) embeddings, None where nobody looks at them."""


@dataclass(frozen=True, slots=True)
class Guide:
    """What a multi-step run follows.

    Attributes:
        name: of the strategy, for reports.
        pairs: ids of the C pairs that may be called, in pair order.
        max_calls: T.
        judge: weighs answers.
        strategy: decides.
        foresee: what is expected of new questions.
        needs_embeddings: whether `foresee` looks at embeddings.
        costs_usd: (C,) expected dollars of a call; NaN unknown.
        price: of a unit of cost, None where the strategy knows none.
        policy_id: of the policy it belongs to, None without one.
    """

    name: str
    pairs: tuple[str, ...]
    max_calls: int
    judge: Judge
    strategy: Strategy
    foresee: Foresee
    needs_embeddings: bool
    costs_usd: Matrix
    price: float | None = None
    policy_id: str | None = None


class Seen(NamedTuple):
    """What N trajectories have seen so far; all arrays are (N, C) but the last two."""

    called: NDArray[np.bool_]
    keys: NDArray[np.int64]
    """A number per distinct answer key of the question, -1 for a call without a key."""
    allowed: NDArray[np.bool_]
    """Pairs that may be called next."""
    priors: Matrix
    components: Matrix
    """(N, K)."""
    away: NDArray[np.bool_] | None = None
    """(N,) questions unlike anything in training; None where nobody looked."""


class Advice(NamedTuple):
    """What N trajectories do next, and what they believe; every array is (N,)."""

    action: NDArray[np.int64]
    """Column of the pair to call, or `ANSWER`."""
    leader: NDArray[np.int64]
    """Column of a pair that gave the leading answer; -1 without one."""
    confidence: Matrix
    """Probability of the leading answer; 0 without one."""
    none: Matrix
    """Probability that no answer gathered is right."""
    supporters: NDArray[np.int64]
    """Calls that gave the leading answer."""


def advise(guide: Guide, seen: Seen) -> Advice:
    """Judge what was gathered and decide.

    A trajectory that made `max_calls` calls answers, whatever `allowed` says.
    """
    import torch

    from profiles.policies.evidence import gather_evidence
    from profiles.policies.situation import prior_logits, state_features

    calls = seen.called.sum(axis=1)
    slots = np.argsort(~seen.called, axis=1, kind="stable")[:, : guide.max_calls]
    held = np.arange(slots.shape[1]) < calls[:, None]
    with torch.no_grad():
        evidence = gather_evidence(
            torch.from_numpy(np.take_along_axis(seen.keys, slots, axis=1)),
            prior_logits(torch.from_numpy(np.take_along_axis(seen.priors, slots, axis=1)).float()),
            torch.from_numpy(held),
        )
        posterior = guide.judge.posterior(evidence, torch.from_numpy(seen.components).float())
        features = state_features(posterior, evidence, guide.max_calls).numpy()
    slot = posterior.leader.numpy()[:, None]
    confidence = posterior.first.double().numpy()
    answered = confidence > 0
    supporters = np.take_along_axis(evidence.supporters.numpy(), slot, axis=1)[:, 0]
    supporters = np.where(answered, supporters, 0)
    allowed = seen.allowed & ~seen.called & (calls < guide.max_calls)[:, None]
    action = guide.strategy.act(
        Live(
            called=seen.called,
            allowed=allowed,
            features=features,
            confidence=confidence,
            supporters=supporters.astype(np.float64),
            priors=seen.priors,
            components=seen.components,
            away=seen.away,
        )
    )
    leader = np.take_along_axis(slots, slot, axis=1)[:, 0]
    return Advice(
        np.where(allowed.any(axis=1), action, ANSWER),
        np.where(answered, leader, -1),
        confidence,
        posterior.none.double().numpy(),
        supporters.astype(np.int64),
    )


def policy_guide(policy: Policy, profile: Profile, name: str, price: float) -> Guide:
    """One of a policy's strategies at a price; `hybrid` is the guarded choice.

    Raises:
        ProfileError: there is no such strategy, or the policy belongs to another profile.
    """
    from profiles.policies.policy import check_policy

    check_policy(policy, profile)
    return strategy_guide(policy, profile, policy.strategy(name, price), name, price)


def strategy_guide(
    policy: Policy, profile: Profile, strategy: Strategy, name: str, price: float | None
) -> Guide:
    """Any strategy over a policy's candidate pairs, its answers judged by its aggregator."""
    policy.aggregator.eval()
    for network in policy.networks:
        network.eval()

    def foresee(texts: Sequence[str], embeddings: NDArray[np.float32] | None) -> Prospect:
        assert embeddings is not None
        return Prospect(policy.priors(profile, texts, embeddings), policy.components.of(embeddings))

    return Guide(
        name=name,
        pairs=policy.pairs,
        max_calls=policy.max_calls,
        judge=policy.aggregator,
        strategy=strategy,
        foresee=foresee,
        needs_embeddings=True,
        costs_usd=policy.costs * policy.cost_unit_usd,
        price=price,
        policy_id=policy.policy_id,
    )


def majority_guide(profile: Profile, pairs: Sequence[int]) -> Guide:
    """Plain majority of the same pairs for every question; nothing is learnt of answers.

    Args:
        profile: its training accuracy breaks ties.
        pairs: columns of the profile's pairs; the vote calls them in this order.
    """
    from profiles.policies.plurality import Plurality
    from profiles.policies.strategies import Vote

    chosen = sorted(pairs)
    accuracy = np.nan_to_num(profile.train_micro[chosen])
    train = profile.train
    costs = np.full(len(chosen), np.nan)
    if train is not None:
        known = np.isfinite(train.costs_usd[:, chosen])
        sums = np.where(known, train.costs_usd[:, chosen], 0.0).sum(axis=0)
        count = known.sum(axis=0)
        costs = np.divide(sums, count, out=costs, where=count > 0)

    def foresee(texts: Sequence[str], embeddings: NDArray[np.float32] | None) -> Prospect:
        del embeddings
        n = len(texts)
        return Prospect(np.broadcast_to(accuracy, (n, len(chosen))).copy(), np.zeros((n, 0)))

    return Guide(
        name="majority",
        pairs=tuple(profile.pairs[column].pair_id for column in chosen),
        max_calls=len(chosen),
        judge=Plurality(),
        strategy=Vote(tuple(chosen.index(column) for column in pairs)),
        foresee=foresee,
        needs_embeddings=False,
        costs_usd=costs,
    )
