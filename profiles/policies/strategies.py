"""Multi-step strategies that are not learnt by gradient: single calls, votes, cascades.

Each maps states of live trajectories to actions like a policy does, so that all are compared,
guarded and run in the same way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from profiles.policies.network import PolicyNetwork

ANSWER = -1
"""The action that answers; others are the number of the pair to call."""


class Live(NamedTuple):
    """N trajectories that still run, over P candidate pairs and at most T calls."""

    called: NDArray[np.bool_]
    """(N, P)."""
    allowed: NDArray[np.bool_]
    """(N, P) pairs that may be called: not called yet, not closed, affordable."""
    features: NDArray[np.float32]
    """(N, len(STATE_FEATURES)) what the aggregator says."""
    confidence: NDArray[np.float64]
    """(N,) probability of the leading answer; 0 without one."""
    supporters: NDArray[np.float64]
    """(N,) calls that gave the leading answer."""
    priors: NDArray[np.float64]
    """(N, P)."""
    components: NDArray[np.float64]
    """(N, C)."""
    away: NDArray[np.bool_] | None = None
    """(N,) questions unlike anything in training; None where nobody looked."""


class Strategy(Protocol):
    """Says what each live trajectory does next."""

    @property
    def name(self) -> str:
        """How reports call it."""
        ...

    def act(self, live: Live) -> NDArray[np.int64]:
        """(N,) pair to call, or `ANSWER`. Never a pair that is not allowed."""
        ...


@dataclass(frozen=True, slots=True)
class CallOnce:
    """One call to the pair of highest prior minus price × cost, then its answer.

    Attributes:
        costs: (P,) expected cost of a call, in units.
        price: of a unit.
        fixed: pair to call always; None chooses by question.
    """

    costs: NDArray[np.float64]
    price: float
    fixed: int | None = None
    name: str = "predictor"

    def act(self, live: Live) -> NDArray[np.int64]:
        """Call where nothing was called, answer elsewhere, whatever the answer was worth."""
        worth = live.priors - self.price * self.costs
        if self.fixed is not None:
            worth = worth + 10.0 * (np.arange(len(self.costs)) == self.fixed)
        called = np.asarray(live.called.any(axis=1), np.bool_)
        return _unless(called, worth, live)


@dataclass(frozen=True, slots=True)
class Vote:
    """Calls the same pairs for every question, in order, then answers with the leading answer.

    Attributes:
        order: pairs to call.
    """

    order: tuple[int, ...]
    name: str = "majority"

    def act(self, live: Live) -> NDArray[np.int64]:
        """The first pair of the order that is still to be called."""
        rank = _ranks(self.order, live.called.shape[1])
        left = live.allowed & (rank > 0)
        return _unless(np.logical_not(left.any(axis=1)), rank, live._replace(allowed=left))


@dataclass(frozen=True, slots=True)
class Cascade:
    """Calls pairs in order until the leading answer is agreed on, or probable enough.

    Attributes:
        order: pairs to call, cheap ones first as a rule.
        agree: calls that must give the leading answer; 0 does not count them.
        threshold: probability of the leading answer that is enough; above 1 it never is.
    """

    order: tuple[int, ...]
    agree: int = 0
    threshold: float = 2.0
    name: str = "cascade"

    def act(self, live: Live) -> NDArray[np.int64]:
        """The next pair of the order, unless there is enough."""
        rank = _ranks(self.order, live.called.shape[1])
        left = live.allowed & (rank > 0)
        enough = live.confidence >= self.threshold
        if self.agree:
            enough |= live.supporters >= self.agree
        done = np.logical_or(enough, np.logical_not(left.any(axis=1)))
        return _unless(done, rank, live._replace(allowed=left))


@dataclass(frozen=True, slots=True)
class Learnt:
    """One or more policy networks at one price; their mean log-probabilities decide.

    Attributes:
        networks: trained alike from different seeds.
        costs: (P,) expected cost of a call, in units.
        accuracy: (P,) training accuracy; `accuracy_sd` its standard error.
        correlation: (P, P) of correctness.
        price: of a unit.
    """

    networks: tuple[PolicyNetwork, ...]
    costs: NDArray[np.float64]
    accuracy: NDArray[np.float64]
    accuracy_sd: NDArray[np.float64]
    correlation: NDArray[np.float64]
    price: float
    name: str = "policy"

    def act(self, live: Live) -> NDArray[np.int64]:
        """The most probable action that is allowed; answering where nothing is."""
        import torch

        from profiles.policies.network import Situation
        from profiles.policies.situation import between_features, pair_features

        n, pairs = live.called.shape
        members = torch.from_numpy(live.called)
        costs = torch.from_numpy(self.costs).float().expand(n, pairs)
        # Without an answer that has a key, the likeliest pair's is given.
        may_answer = np.asarray(live.called.any(axis=1), np.bool_)
        legal = live.allowed | ~(may_answer | live.allowed.any(axis=1))[:, None]
        situation = Situation(
            states=torch.from_numpy(live.features)[:, None],
            components=torch.from_numpy(live.components).float(),
            pairs=pair_features(
                torch.from_numpy(live.priors).float(),
                costs,
                torch.from_numpy(self.accuracy).float(),
                torch.from_numpy(self.accuracy_sd).float(),
            ),
            between=between_features(members, torch.from_numpy(self.correlation).float())[:, None],
            members=members[:, None],
            legal=torch.from_numpy(legal)[:, None],
            may_answer=torch.from_numpy(may_answer)[:, None],
            cost=costs,
            log_price=torch.full((n,), float(np.log(self.price))),
        )
        with torch.no_grad():
            total = sum(network(situation).log_policy[:, 0] for network in self.networks)
        chosen: NDArray[np.int64] = torch.as_tensor(total).argmax(dim=1).numpy()
        stuck = ~live.allowed.any(axis=1)
        return np.where((chosen == pairs) | stuck, ANSWER, chosen)


def _ranks(order: Sequence[int], pairs: int) -> NDArray[np.float64]:
    """(P,) falling numbers along the order; 0 for pairs that are not in it."""
    rank = np.zeros(pairs)
    rank[list(order)] = np.arange(len(order), 0, -1)
    return rank


def _unless(done: NDArray[np.bool_], worth: NDArray[np.float64], live: Live) -> NDArray[np.int64]:
    """The allowed pair of highest worth, lower numbers first; `ANSWER` where done or stuck."""
    values = np.where(live.allowed, worth, -np.inf)
    best = values.argmax(axis=1)
    return np.where(done | ~live.allowed.any(axis=1), ANSWER, best).astype(np.int64)
