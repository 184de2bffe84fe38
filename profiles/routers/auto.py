"""The router `auto`: per profile and alpha, the router that did best on questions left out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from profiles.deferred import is_there
from profiles.predictor.calibration import Platt, fit_platt
from profiles.profile import Profile
from profiles.routers.base import Decisions, Router, RoutingContext
from profiles.routers.baselines import BestUtilityRouter
from profiles.routers.cluster import ClusterRouter, ClusterRouterSettings
from profiles.routers.predictor import PredictorRouter
from profiles.routers.ranking import chosen
from profiles.selection import (
    BEST_SINGLE,
    CLUSTER,
    PREDICTOR,
    Choice,
    Choices,
    choose,
    known_choices,
    trial_choices,
    trial_expectations,
)

Matrix = NDArray[np.float64]

_LEAST_SCORED = 100
"""Calibrating expected scores takes this many scored training questions."""


class AutoRouter:
    """Decides as best single pair, cluster router or predictor: whichever its profile found best.

    What is best depends on alpha, so the choice is made when the alpha is known: `resolved(alpha)`
    is this router with its choice in its name, such as `auto:predictor`. Clusters are recorded
    with every decision, whoever made it.
    """

    needs_embeddings = True

    def __init__(self, profile: Profile, *, name: str = "auto") -> None:
        self.name = name
        self._profile = profile
        self._choices: dict[float, Choice] = {}
        self._routers: dict[float, Router] = {}

    def resolved(self, alpha: float) -> AutoRouter:
        """This router, named by what it chose.

        Raises:
            RouterError: alpha is above 0 and no pair has a known cost.
        """
        named = AutoRouter(self._profile, name=f"{self.name}:{self.choice(alpha).router}")
        named._choices, named._routers = self._choices, self._routers
        return named

    def choice(self, alpha: float) -> Choice:
        """Which router decides at this alpha, and why.

        Raises:
            RouterError: alpha is above 0 and no pair has a known cost.
        """
        if alpha not in self._choices:
            self._choices[alpha] = choice_for(self._profile, alpha)
        return self._choices[alpha]

    def decide(self, embeddings: NDArray[np.float32] | None, context: RoutingContext) -> Decisions:
        """Decide for n queries as the chosen router does.

        Raises:
            RouterError: without embeddings, or where no pair can be chosen.
            ProfileError: if the embeddings are of another width or not finite.
        """
        choice = self.choice(context.alpha)
        if context.alpha not in self._routers:
            self._routers[context.alpha] = _router(self._profile, choice)
        decisions = self._routers[context.alpha].decide(embeddings, context)
        if choice.router == BEST_SINGLE and embeddings is not None:
            labels, distances = self._profile.clusters.assign(embeddings)
            beyond = self._profile.clusters.is_out_of_distribution(distances)
            decisions = replace(
                decisions, cluster=labels, distance=distances, out_of_distribution=beyond
            )
        start = f"auto took {choice.router}: "
        spoken = {reason: start + reason for reason in set(decisions.reason)}
        return replace(decisions, reason=tuple(spoken[reason] for reason in decisions.reason))


def choice_for(profile: Profile, alpha: float) -> Choice:
    """The router that `auto` uses with a profile at an alpha.

    Raises:
        RouterError: alpha is above 0 and no pair has a known cost.
    """
    selection = profile.selection
    if selection is not None:
        return choose(selection, alpha, _others(profile, alpha))
    if profile.settings.selection:
        sentence = "best-single: the training questions are too few to compare routers on"
        return Choice(BEST_SINGLE, None, None, alpha, (), sentence)
    sentence = (
        f"cluster (K = {profile.k}): {profile.profile_id} does not say what routers are worth on"
        " questions left out of their fit, so they cannot be compared; profile again to have it"
    )
    return Choice(CLUSTER, profile.k, 1, alpha, (), sentence)


def _others(profile: Profile, alpha: float) -> dict[str, Choices]:
    """What routers beside best single and clusters chose out of fold."""
    if not (is_there(profile, "predictor") and is_there(profile, "train")):
        return {}
    if alpha == 0 and profile.selection is not None and len(profile.selection.predictor_pairs):
        return known_choices(profile.selection)
    return {PREDICTOR: PredictorRouter(profile).out_of_fold(alpha)}


def _router(profile: Profile, choice: Choice) -> Router:
    if choice.router == PREDICTOR:
        return PredictorRouter(profile)
    if choice.router == BEST_SINGLE:
        return BestUtilityRouter(profile)
    return _CalibratedClusters(profile, choice)


class _CalibratedClusters:
    """The cluster router, with expected scores as they proved to be on questions left out.

    A cluster has one figure for all its questions. Where the profile has a predictor, the mean of
    that figure and of the predictor's probability for the very question is given.
    """

    name = CLUSTER
    needs_embeddings = True

    def __init__(self, profile: Profile, choice: Choice) -> None:
        settings = ClusterRouterSettings(neighbours=choice.nearest or 1)
        self._router = ClusterRouter(profile, settings)
        self._predictor = profile.predictor
        self._curve = cluster_calibration(profile, choice.alpha, choice.nearest or 1)

    def decide(self, embeddings: NDArray[np.float32] | None, context: RoutingContext) -> Decisions:
        """Decide as the cluster router does."""
        decisions = self._router.decide(embeddings, context)
        expected = decisions.expected_score
        if self._curve is not None:
            expected = self._curve(_logit(expected)[:, None])[:, 0]
        if self._predictor is not None and embeddings is not None:
            own = chosen(
                self._predictor.predict(context.texts, embeddings).probability, decisions.pair
            )
            expected = np.where(np.isfinite(own), (expected + own) / 2.0, expected)
        return replace(decisions, expected_score=expected)


def cluster_calibration(profile: Profile, alpha: float, nearest: int = 1) -> Platt | None:
    """Curve from a cluster's score of the chosen pair, as log odds, to what it came to.

    The chosen pair's figure is the highest of several noisy ones, and so flattered; out of fold
    one sees by how much. None where that is not known, or too few chosen cells have a score.
    """
    selection, train = profile.selection, profile.train
    if selection is None or train is None:
        return None
    at = (selection.k, nearest)
    own = [trial for trial in selection.trials if (trial.k, trial.nearest) == at]
    if not own:
        return None
    pair = trial_choices(selection, own[0], alpha)
    expected = trial_expectations(selection, own[0], pair)
    rows = np.arange(selection.n)
    came_to = train.scores[rows, pair]
    known = np.isfinite(came_to) & np.isfinite(expected)
    if known.sum() < _LEAST_SCORED:
        return None
    return fit_platt(_logit(expected[known])[:, None], came_to[known][:, None])


def _logit(share: Matrix) -> Matrix:
    clipped = np.clip(share, 1e-3, 1.0 - 1e-3)
    odds: Matrix = np.log(clipped / (1.0 - clipped))
    return odds
