"""Small policies with random weights."""

from __future__ import annotations

import numpy as np
import torch

from profiles.policies.aggregator import Aggregator, AggregatorSettings
from profiles.policies.network import STATE_FEATURES, NetworkSettings, PolicyNetwork
from profiles.policies.policy import CASCADE, POLICY, PREDICTOR, SINGLE, Policy, PricePoint
from profiles.policies.priors import Components
from profiles.policies.strategies import Live

KINDS = (SINGLE, PREDICTOR, CASCADE, POLICY)


def made_policy(
    seed: int = 0,
    *,
    pairs: tuple[str, ...] = ("a@@none", "b@@none", "c@@search"),
    networks: int = 1,
    components: int = 3,
    width: int = 5,
    unit_usd: float = 0.0125,
    profile_id: str = "profile-0123456789abcdef",
    pool_fingerprint: str = "f" * 64,
) -> Policy:
    random = np.random.default_rng(seed)
    count = len(pairs)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        aggregator = Aggregator(AggregatorSettings(hidden=4, components=components)).eval()
        shape = NetworkSettings(hidden=6, components=components)
        nets = tuple(PolicyNetwork(shape).eval() for _ in range(networks))
    order = tuple(range(min(2, count)))
    points = tuple(
        PricePoint(
            price=float(price),
            strategy=KINDS[number % len(KINDS)],
            cascade=(order, 0, 0.7),
            score=float(random.random()),
            cost=float(random.random()),
            calls=1.0 + float(random.random()),
        )
        for number, price in enumerate(np.geomspace(0.002, 0.3, 5))
    )
    return Policy(
        profile_id=profile_id,
        pool_fingerprint=pool_fingerprint,
        pairs=pairs,
        max_calls=min(3, count),
        cost_unit_usd=unit_usd,
        costs=random.random(count),
        accuracy=random.random(count),
        accuracy_sd=random.random(count) * 0.1,
        correlation=np.eye(count),
        components=Components(random.normal(size=width), random.normal(size=(components, width))),
        aggregator=aggregator,
        networks=nets,
        points=points,
    )


def made_live(policy: Policy, rows: int = 64, seed: int = 1) -> Live:
    """Trajectories in random states."""
    random = np.random.default_rng(seed)
    called = random.random((rows, len(policy.pairs))) < 0.4
    return Live(
        called=called,
        allowed=~called,
        features=random.normal(size=(rows, len(STATE_FEATURES))).astype(np.float32),
        confidence=np.where(called.any(axis=1), random.random(rows), 0.0),
        supporters=called.sum(axis=1).astype(np.float64),
        priors=random.random((rows, len(policy.pairs))),
        components=random.normal(size=(rows, len(policy.components.basis))),
    )
