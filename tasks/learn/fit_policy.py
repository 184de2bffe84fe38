"""From a profile and its recorded answers to a guarded, multi-step policy.

Every choice is made on training questions: candidate pairs, aggregator, networks, cascades, and
per price which strategy is trusted. What a strategy is worth is estimated by cross-fitting: the
networks that are judged on a fold were trained on the others, over observations that are out of
fold as well.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from profiles.errors import ProfileError
from profiles.policies.lattice import build_lattice
from profiles.policies.policy import CASCADE, POLICY, PREDICTOR, SINGLE, Policy, PricePoint
from profiles.policies.priors import Components, fit_components, training_priors
from profiles.policies.strategies import CallOnce, Learnt
from tasks.learn.cascades import best_cascade, play_cascades
from tasks.learn.environment import Environment, Observations
from tasks.learn.exact_gradient import ExactTraining, train_exact
from tasks.learn.fit_aggregator import AggregatorTraining, fit_aggregator, out_of_fold
from tasks.learn.guard import guard_along
from tasks.learn.live import play_strategy
from tasks.learn.ppo import PPOTraining, train_ppo
from tasks.learn.recorded import RecordedAnswers, candidate_pairs, cost_units
from tasks.learn.training import price_grid

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from profiles.policies.network import PolicyNetwork
    from profiles.profile import Profile, TrainingRows
    from tasks.learn.rollout import Played
    from tasks.learn.training import Look

Matrix = np.ndarray[tuple[int, ...], np.dtype[np.float64]]
Say = Callable[[str], None]
Report = Callable[[str, "Look"], None]


@dataclass(frozen=True, slots=True)
class PolicySettings:
    """How a policy is fitted.

    Attributes:
        candidates: pairs a lattice is built over; the most complementary ones of the pool.
        max_calls: T, calls a question.
        estimator: `exact` or `ppo`.
        folds: of the cross-fitting behind the guard; 0 trusts the policy without one. By three,
            networks trained on two thirds of the questions, a policy was judged 0.3 points too low
            at the prices where it gains; by five less.
        networks: trained from different seeds, and averaged.
        cascade_pairs: longest cascade that is looked for.
    """

    candidates: int = 6
    max_calls: int = 4
    components: int = 8
    estimator: str = "exact"
    folds: int = 5
    networks: int = 1
    cascade_pairs: int = 3
    aggregator: AggregatorTraining = field(default_factory=AggregatorTraining)
    exact: ExactTraining = field(default_factory=lambda: ExactTraining(epochs=40))
    ppo: PPOTraining = field(default_factory=PPOTraining)
    seed: int = 0


class Crossed(NamedTuple):
    """One fold of the cross-fitting."""

    held: NDArray[np.int64]
    """Training questions that the network was not trained on."""
    network: PolicyNetwork


@dataclass(frozen=True, slots=True)
class Follow:
    """Who follows the trainings of a fit.

    Attributes:
        folder: of their checkpoints; None keeps none.
        report: told the name of the network, at every look at validation.
    """

    folder: Path | None = None
    report: Report = lambda _network, _look: None

    def file(self, name: str) -> Path | None:
        """The checkpoint of one network."""
        return None if self.folder is None else self.folder / f"{name}.safetensors"


@dataclass(frozen=True, slots=True)
class Fitted:
    """A policy with what it was fitted on."""

    policy: Policy
    recorded: RecordedAnswers
    environment: Environment
    """Of the training questions, observed out of fold."""
    crossed: tuple[Crossed, ...] = ()
    """The networks behind the guard; none without folds."""


def fit_policy(
    profile: Profile,
    keys: NDArray[np.int64],
    settings: PolicySettings | None = None,
    say: Say = lambda _text: None,
    *,
    checkpoints: Path | None = None,
    report: Report = lambda _network, _look: None,
) -> Fitted:
    """Fit a policy on a profile's training questions.

    Args:
        profile: with its training rows and out-of-fold knowledge.
        keys: (n, P) answer keys of the training questions, see `tasks.learn.recorded.code_keys`,
            in the order of the profile's rows and pairs.
        settings: how.
        say: told in a sentence what is being done.
        checkpoints: folder that every network's training goes on from and writes to; of this
            training alone. None keeps none.
        report: told the name of the network in training, at every look at validation.

    Raises:
        ProfileError: the profile lacks what a policy learns from.
        ValueError: keys and profile disagree in shape.
        CheckpointError: a checkpoint is damaged.
    """
    settings = settings or PolicySettings()
    train = _training_rows(profile, keys)
    components = fit_components(train.embeddings, settings.components)
    whole = recorded_training(profile, train, keys, components)
    prices = price_grid(settings.exact.prices)
    chosen = candidate_pairs(whole.scores, whole.costs, prices, settings.candidates)
    recorded = whole.columns(chosen)
    lattice = build_lattice(recorded.pairs, settings.max_calls)
    folds = np.random.default_rng(settings.seed).permutation(len(recorded)) % (
        settings.aggregator.folds
    )
    say(f"aggregator over {recorded.pairs} pairs, {len(lattice)} called sets")
    training = replace(settings.aggregator, seed=settings.seed)
    observed = out_of_fold(recorded, lattice, folds, training)
    aggregator = fit_aggregator(recorded, lattice, training)
    environment = Environment(recorded, lattice, observed)
    say(f"policy: {settings.estimator}")
    follow = Follow(checkpoints, report)
    networks = tuple(
        train_networks(environment, settings, settings.seed + number, follow, f"policy-{number}")
        for number in range(settings.networks)
    )
    crossed = tuple(_cross_fit(environment, settings, say, follow))
    macro = np.nan_to_num(profile.train_macro[chosen])
    groups = np.zeros(len(recorded), np.int64)
    if profile.predictor is not None:
        groups = profile.predictor.groups
    points = _points(environment, settings, networks, crossed, _Guard(prices, macro, groups))
    policy = Policy(
        profile_id=profile.profile_id,
        pool_fingerprint=profile.pool_fingerprint,
        pairs=tuple(profile.pairs[column].pair_id for column in chosen),
        max_calls=lattice.max_calls,
        cost_unit_usd=recorded.cost_unit_usd,
        costs=recorded.costs.mean(axis=0),
        accuracy=recorded.accuracy,
        accuracy_sd=recorded.accuracy_sd,
        correlation=recorded.correlation,
        components=components,
        aggregator=aggregator,
        networks=networks,
        points=points,
        macro=macro,
    )
    return Fitted(policy, recorded, environment, crossed)


def _training_rows(profile: Profile, keys: NDArray[np.int64]) -> TrainingRows:
    train = profile.train
    if train is None:
        msg = f"{profile.profile_id} keeps no training rows, which a policy learns from"
        raise ProfileError(msg)
    if keys.shape != train.scores.shape:
        msg = f"answer keys are {keys.shape}, the profile's training rows {train.scores.shape}"
        raise ValueError(msg)
    return train


def recorded_training(
    profile: Profile, train: TrainingRows, keys: NDArray[np.int64], components: Components
) -> RecordedAnswers:
    """The training questions of a profile as a policy learns from them.

    Args:
        profile: with its out-of-fold knowledge.
        train: its training rows.
        keys: (n, P) answer keys of these rows.
        components: of their embeddings.

    Raises:
        ProfileError: the profile keeps no out-of-fold knowledge.
    """
    scale = cost_units(train.costs_usd, np.ones(len(keys), np.bool_))
    known = np.isfinite(train.scores)
    count = np.maximum(known.sum(axis=0), 1)
    accuracy = np.where(known, train.scores, 0.0).sum(axis=0) / count
    known_together = profile.correlation
    correlation = (
        np.eye(len(profile.pairs)) if known_together is None else known_together.correlation
    )
    return RecordedAnswers(
        keys=keys,
        scores=train.scores,
        costs=scale.units,
        priors=training_priors(profile),
        components=components.of(train.embeddings),
        accuracy=accuracy,
        accuracy_sd=np.sqrt(np.maximum(accuracy * (1 - accuracy), 0.01) / count),
        correlation=np.nan_to_num(correlation),
        cost_unit_usd=scale.unit_usd,
    )


def train_networks(
    environment: Environment,
    settings: PolicySettings,
    seed: int,
    follow: Follow | None = None,
    name: str = "policy",
) -> PolicyNetwork:
    """One network by the estimator that the settings name.

    Args:
        environment: of its training questions.
        settings: the estimator and its constants.
        seed: of this network.
        follow: keeps checkpoints and is told how it goes; nobody where None.
        name: of this network among those of one fit.
    """
    follow = follow or Follow()
    checkpoint, told = follow.file(name), partial(follow.report, name)
    if settings.estimator == "ppo":
        ppo = replace(settings.ppo, seed=seed)
        return train_ppo(environment, ppo, checkpoint=checkpoint, report=told)
    exact = replace(settings.exact, seed=seed)
    return train_exact(environment, exact, checkpoint=checkpoint, report=told)


def learnt(recorded: RecordedAnswers, networks: tuple[PolicyNetwork, ...], price: float) -> Learnt:
    """Networks as a strategy over recorded answers."""
    return Learnt(
        networks,
        recorded.costs.mean(axis=0),
        recorded.accuracy,
        recorded.accuracy_sd,
        recorded.correlation,
        price,
    )


class _Guard(NamedTuple):
    """What the guarded choice is made with."""

    prices: NDArray[np.float64]
    macro: Matrix
    """(P,) see `profiles.policies.policy.Policy.macro`."""
    groups: NDArray[np.int64]
    """(n,) dataset of every training question."""


def _points(
    environment: Environment,
    settings: PolicySettings,
    networks: tuple[PolicyNetwork, ...],
    crossed: tuple[Crossed, ...],
    by: _Guard,
) -> tuple[PricePoint, ...]:
    """The guarded choice along the price grid."""
    recorded = environment.recorded
    rows = np.arange(len(recorded))
    costs = recorded.costs.mean(axis=0)
    cascades = play_cascades(environment, settings.cascade_pairs)
    folds = [part.held for part in crossed]
    orders, table = [], []
    for price in by.prices.tolist():
        best = int((by.macro - price * costs).argmax())
        order, cascade = best_cascade(cascades, price, folds)
        orders.append(order)
        played = {
            SINGLE: play_strategy(environment, rows, CallOnce(costs, price, fixed=best)),
            PREDICTOR: play_strategy(environment, rows, CallOnce(costs, price)),
            CASCADE: cascade,
            POLICY: play_crossed(environment, crossed, price)
            if crossed
            else play_strategy(environment, rows, learnt(recorded, networks, price)),
        }
        table.append(played)
    names = [POLICY] * len(table)
    if crossed:
        names = guard_along(table, by.prices, by.groups)
    return tuple(
        PricePoint(
            price,
            name,
            order,
            float(played[name].score.mean()),
            float(played[name].cost.mean()),
            float(played[name].calls.mean()),
        )
        for price, name, order, played in zip(by.prices.tolist(), names, orders, table, strict=True)
    )


def _cross_fit(
    environment: Environment, settings: PolicySettings, say: Say, follow: Follow
) -> Iterator[Crossed]:
    """Networks, each trained without one fold of the questions."""
    recorded, lattice = environment.recorded, environment.lattice
    if not settings.folds:
        return
    fold = np.random.default_rng((settings.seed, 1)).permutation(len(recorded)) % settings.folds
    for number in range(settings.folds):
        say(f"guard: fold {number + 1} of {settings.folds}")
        kept = np.flatnonzero(fold != number)
        part = Environment(recorded.rows(kept), lattice, _some(environment.observations, kept))
        seed = settings.seed + 1000 + number
        network = train_networks(part, settings, seed, follow, f"guard-{number}")
        yield Crossed(np.flatnonzero(fold == number), network)


def play_crossed(environment: Environment, crossed: tuple[Crossed, ...], price: float) -> Played:
    """What networks do at a price on questions that they were not trained on.

    Args:
        environment: of the training questions.
        crossed: one or more folds, which hold every question once.
        price: of a unit of cost.
    """
    from tasks.learn.rollout import Played

    n = len(environment.recorded)
    score, cost, calls = np.zeros(n), np.zeros(n), np.zeros(n)
    leader = np.zeros(n, np.int64)
    for held, network in crossed:
        strategy = learnt(environment.recorded, (network,), price)
        played = play_strategy(environment, held, strategy)
        for target, values in zip((score, cost, calls, leader), played, strict=True):
            target[held] = values
    return Played(score, cost, calls, leader)


def _some(observations: Observations, rows: NDArray[np.int64]) -> Observations:
    return Observations(
        observations.states[rows], observations.leader[rows], observations.confidence[rows]
    )
