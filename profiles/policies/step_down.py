"""Off the training distribution a multi-step strategy steps down to a more cautious one.

What a policy or a predictor says of a question rests on training questions like it. One that lies
farther from its nearest centroid than 99 % of those (the radius by which the cluster router, too,
falls back to overall figures) has none. There the policy steps down to the cascade of its price
point, which goes by agreement between answers alone; where the policy has no cascade, and from
the predictor, it is the single pair of best overall utility at the price, as the cluster router
chooses where no cluster speaks for a question. Single pairs and cascades are left as they are:
neither looks at the question before it calls.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from profiles.policies.guide import Guide, Prospect, Whereabouts
from profiles.policies.policy import CASCADE, POLICY, PREDICTOR, SINGLE

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from profiles.policies.policy import Policy
    from profiles.policies.strategies import Live, Strategy
    from profiles.profile import Profile

_LEAST_CASCADE = 2
"""Pairs of a cascade: one alone is a single pair under another name."""


@dataclass(frozen=True, slots=True)
class StepDown:
    """One strategy for questions like the training ones, a more cautious one for all others.

    Attributes:
        near: decides the former; its name is this strategy's.
        far: decides the latter.
    """

    near: Strategy
    far: Strategy

    @property
    def name(self) -> str:
        """How reports call it."""
        return self.near.name

    def act(self, live: Live) -> NDArray[np.int64]:
        """What either strategy does with its own rows; all are near where nobody looked."""
        if live.away is None or not live.away.any():
            return self.near.act(live)
        actions = np.empty(len(live.called), np.int64)
        for rows, strategy in ((~live.away, self.near), (live.away, self.far)):
            if rows.any():
                actions[rows] = strategy.act(_some(live, rows))
        return actions


def step_down(guide: Guide, policy: Policy, profile: Profile) -> Guide:
    """The guide, looking where each question lies, and stepping down where that is away.

    Args:
        guide: of one of the policy's strategies, see `profiles.policies.guide.policy_guide`.
        policy: names the cascade of the guide's price.
        profile: the policy's own; its clusters and their radius say what is away.
    """
    far = _more_cautious(guide, policy)
    foresee = guide.foresee

    def look(texts: Sequence[str], embeddings: NDArray[np.float32] | None) -> Prospect:
        assert embeddings is not None
        return foresee(texts, embeddings)._replace(where=whereabouts(profile, embeddings))

    strategy = guide.strategy if far is None else StepDown(guide.strategy, far)
    return replace(guide, foresee=look, needs_embeddings=True, strategy=strategy)


def whereabouts(profile: Profile, embeddings: NDArray[np.float32]) -> Whereabouts:
    """Where n questions lie among a profile's training questions.

    Raises:
        ProfileError: the (n, D) embeddings are of another width or not finite.
    """
    cluster, distance = profile.clusters.assign(embeddings)
    return Whereabouts(cluster, distance, profile.clusters.is_out_of_distribution(distance))


def decided_by(guide: Guide, *, away: bool) -> tuple[str, str]:
    """The strategy that decides a row, and a clause on why it is not the guide's; empty if it is.

    Args:
        guide: of the run.
        away: whether the row's question is unlike anything in training.
    """
    strategy = guide.strategy
    if not away or not isinstance(strategy, StepDown):
        return strategy.name, ""
    return strategy.far.name, (
        "farther from its cluster than 99 % of the training questions, so by "
        f"{strategy.far.name} instead of {strategy.near.name}"
    )


def _more_cautious(guide: Guide, policy: Policy) -> Strategy | None:
    """What a guide steps down to; None where its strategy is as cautious as any."""
    if guide.price is None or guide.strategy.name not in (PREDICTOR, POLICY):
        return None
    order = policy.point(guide.price).cascade[0]
    named = guide.strategy.name == POLICY and len(order) >= _LEAST_CASCADE
    return policy.strategy(CASCADE if named else SINGLE, guide.price)


def _some(live: Live, rows: NDArray[np.bool_]) -> Live:
    """The rows of a mask, which all lie on one side."""
    return live._replace(
        called=live.called[rows],
        allowed=live.allowed[rows],
        features=live.features[rows],
        confidence=live.confidence[rows],
        supporters=live.supporters[rows],
        priors=live.priors[rows],
        components=live.components[rows],
        away=None,
    )
