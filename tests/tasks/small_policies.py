"""A policy made by hand on a small profile: nothing is trained, every decision can be foretold."""

from __future__ import annotations

import numpy as np
import torch

from profiles.policies.aggregator import Aggregator, AggregatorSettings
from profiles.policies.evidence import ANSWER_FEATURES
from profiles.policies.network import NetworkSettings, PolicyNetwork
from profiles.policies.policy import CASCADE, Policy, PricePoint
from profiles.policies.priors import Components
from profiles.profile import Profile

COMPONENTS = 2
UNIT_USD = 0.001


def small_policy(
    profile: Profile,
    *,
    strategy: str = CASCADE,
    order: tuple[int, ...] = (0, 1, 2),
    agree: int = 2,
    costs: tuple[float, ...] = (2.0, 1.5, 1.0),
    seed: int = 0,
) -> Policy:
    """Calls the profile's first pairs in that order until so many agree, at every price.

    An answer is as probable as calls gave it; the first one of equal support leads.

    Args:
        profile: over at least as many pairs as the order names.
        strategy: that the guard took, at every price.
        costs: units that a question takes at prices 0.002, 0.01 and 0.3; a unit is `UNIT_USD`.
        seed: of the network's weights, which decide where the strategy is `policy`.
    """
    pairs = len(profile.pairs)
    width = profile.clusters.centroids.shape[1]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        aggregator = Aggregator(AggregatorSettings(hidden=4, components=COMPONENTS)).eval()
        network = PolicyNetwork(NetworkSettings(hidden=8, components=COMPONENTS)).eval()
    with torch.no_grad():
        for weights in aggregator.parameters():
            weights.zero_()
        aggregator.answer_linear.weight[0, ANSWER_FEATURES.index("supporters")] = 4.0
    random = np.random.default_rng(seed)
    return Policy(
        profile_id=profile.profile_id,
        pool_fingerprint=profile.pool_fingerprint,
        pairs=tuple(pair.pair_id for pair in profile.pairs),
        max_calls=min(3, pairs),
        cost_unit_usd=UNIT_USD,
        costs=np.linspace(0.5, 1.0, pairs),
        accuracy=np.nan_to_num(profile.train_micro),
        accuracy_sd=np.full(pairs, 0.05),
        correlation=np.eye(pairs),
        components=Components(
            np.zeros(width), random.normal(size=(COMPONENTS, width)) / np.sqrt(width)
        ),
        aggregator=aggregator,
        networks=(network,),
        points=tuple(
            PricePoint(price, strategy, (order, agree, 2.0), 0.8, cost, 1.0 + cost / 2)
            for price, cost in zip((0.002, 0.01, 0.3), costs, strict=True)
        ),
    )
