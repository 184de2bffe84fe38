"""A trained policy as one frozen, versioned bundle: aggregator, networks and what they look at."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from profiles.errors import ProfileError
from profiles.fingerprint import canonical_json
from profiles.policies.priors import Components, query_priors
from profiles.policies.strategies import CallOnce, Cascade, Learnt, Strategy

if TYPE_CHECKING:
    from profiles.policies.aggregator import Aggregator
    from profiles.policies.network import PolicyNetwork
    from profiles.profile import Profile

Matrix = NDArray[np.float64]

SINGLE, PREDICTOR, CASCADE, POLICY = "best-single", "predictor", "cascade", "policy"
"""Strategies of the guarded hybrid, from the most cautious to the boldest."""


@dataclass(frozen=True, slots=True)
class PricePoint:
    """What a policy does at one price, and what it was worth out of fold.

    Attributes:
        price: points of accuracy for one unit of cost.
        strategy: the guarded choice.
        cascade: order, agreement and threshold of the best cascade at this price.
        score: mean out-of-fold score of the guarded choice on training questions.
        cost: mean cost in units.
        calls: mean number of calls.
    """

    price: float
    strategy: str
    cascade: tuple[tuple[int, ...], int, float]
    score: float
    cost: float
    calls: float


@dataclass(frozen=True)
class Policy:
    """Everything a multi-step run needs beside its profile.

    Attributes:
        profile_id: of the profile whose priors it was trained on.
        pool_fingerprint: of that profile's pool.
        pairs: ids of the candidate pairs, in pair order; C of them.
        max_calls: T.
        cost_unit_usd: dollars of one unit of cost; NaN where a unit is a call.
        costs: (C,) expected cost of a call, in units.
        accuracy: (C,) training accuracy; `accuracy_sd` its standard error.
        macro: (C,) mean over datasets of the training accuracy, by which the single pair is chosen,
            as the router `best-single` does: on a kind of question that training had not, the best
            pair of the largest dataset lost up to 20 points. None takes `accuracy`.
        correlation: (C, C) of correctness.
        components: of the embedding, as the aggregator and the networks see it.
        aggregator: judges answers.
        networks: trained alike from different seeds.
        points: the guarded choice along the price grid, by rising price.
    """

    profile_id: str
    pool_fingerprint: str
    pairs: tuple[str, ...]
    max_calls: int
    cost_unit_usd: float
    costs: Matrix
    accuracy: Matrix
    accuracy_sd: Matrix
    correlation: Matrix
    components: Components
    aggregator: Aggregator
    networks: tuple[PolicyNetwork, ...]
    points: tuple[PricePoint, ...]
    macro: Matrix | None = None

    @property
    def policy_id(self) -> str:
        """`policy-` and 16 hexadecimal digits of the hash of all contents."""
        digest = hashlib.sha256()
        words = {
            "format": 1,
            "profile": self.profile_id,
            "pool": self.pool_fingerprint,
            "pairs": list(self.pairs),
            "max_calls": self.max_calls,
            "unit": float(self.cost_unit_usd).hex(),
            "points": [
                [
                    p.price.hex(),
                    p.strategy,
                    list(p.cascade[0]),
                    p.cascade[1],
                    *(float(x).hex() for x in (p.cascade[2], p.score, p.cost, p.calls)),
                ]
                for p in self.points
            ],
        }
        digest.update(canonical_json(words).encode())
        for array in self.arrays().values():
            digest.update(f"{array.dtype.str}{array.shape}".encode())
            digest.update(np.ascontiguousarray(array).tobytes())
        return f"policy-{digest.hexdigest()[:16]}"

    def arrays(self) -> dict[str, NDArray[np.generic]]:
        """Every array and weight by name, in a fixed order."""
        named: dict[str, NDArray[np.generic]] = {
            "costs": self.costs,
            "accuracy": self.accuracy,
            "accuracy_sd": self.accuracy_sd,
            "correlation": self.correlation,
            "components.mean": self.components.mean,
            "components.basis": self.components.basis,
        }
        if self.macro is not None:
            named["macro"] = self.macro
        for name, tensor in sorted(self.aggregator.state_dict().items()):
            named[f"aggregator.{name}"] = tensor.numpy()
        for number, network in enumerate(self.networks):
            for name, tensor in sorted(network.state_dict().items()):
                named[f"network{number}.{name}"] = tensor.numpy()
        return named

    def single(self, price: float) -> int:
        """Column of the pair that is best alone at a price, whatever the question."""
        alone = self.accuracy if self.macro is None else self.macro
        return int((alone - price * self.costs).argmax())

    def point(self, price: float) -> PricePoint:
        """The point of the grid nearest to a price, in logarithm."""
        away = [abs(np.log(point.price) - np.log(price)) for point in self.points]
        return self.points[int(np.argmin(away))]

    def strategy(self, name: str, price: float) -> Strategy:
        """One of the strategies at a price; `hybrid` is the guarded choice.

        Raises:
            ProfileError: there is no such strategy.
        """
        point = self.point(price)
        kind = point.strategy if name == "hybrid" else name
        if kind == SINGLE:
            return CallOnce(self.costs, price, fixed=self.single(price), name=SINGLE)
        if kind == PREDICTOR:
            return CallOnce(self.costs, price)
        if kind == CASCADE:
            order, agree, threshold = point.cascade
            return Cascade(order, agree, threshold)
        if kind == POLICY:
            return Learnt(
                self.networks, self.costs, self.accuracy, self.accuracy_sd, self.correlation, price
            )
        msg = f"there is no strategy {name!r}; strategies are hybrid, {', '.join(_STRATEGIES)}"
        raise ProfileError(msg)

    def priors(
        self, profile: Profile, texts: Sequence[str], embeddings: NDArray[np.float32]
    ) -> Matrix:
        """(n, C) priors of the candidate pairs on new questions.

        Raises:
            ProfileError: the profile is not the one the policy was trained on.
        """
        check_policy(self, profile)
        columns = [profile.index()[pair] for pair in self.pairs]
        return query_priors(profile, texts, embeddings)[:, columns]


_STRATEGIES = (SINGLE, PREDICTOR, CASCADE, POLICY)


def check_policy(policy: Policy, profile: Profile) -> None:
    """Refuse to act on another profile's knowledge.

    Raises:
        ProfileError: saying what differs.
    """
    if policy.profile_id != profile.profile_id:
        msg = (
            f"{policy.policy_id} was trained on {policy.profile_id}, not on {profile.profile_id}:"
            " train again (`atlas train`), or route with the profile it belongs to"
        )
        raise ProfileError(msg)
    if policy.pool_fingerprint != profile.pool_fingerprint:
        msg = f"{policy.policy_id} belongs to another pool than {profile.profile_id}; train again"
        raise ProfileError(msg)
