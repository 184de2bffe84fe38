"""The predictor router: every question by its own estimates, guarded against doing harm."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from profiles.errors import RouterError
from profiles.predictor.calibration import ChosenCurve, fit_chosen_curve
from profiles.predictor.guard import Gate, guarded, judge_gate
from profiles.predictor.predictor import Predictor
from profiles.profile import Profile, TrainingRows
from profiles.routers.base import Decisions, RoutingContext
from profiles.routers.ranking import (
    TIE,
    check_context,
    chosen,
    one_step,
    rank_pairs,
    sentences,
    tie_order,
)
from profiles.routers.utility import utilities

Matrix = NDArray[np.float64]

_FEW = 5
"""A cluster with fewer scored outcomes of a pair uses the pair's overall cost."""


class PredictorRouter:
    """Keeps the best single pair unless the predictor says clearly that another one is better.

    The best single pair at an alpha is the one of the highest training utility there (at alpha 0:
    the highest training macro). A question leaves it for the pair of the largest advantage less
    `margin` standard errors, if that is positive. A question that resembles no training dataset
    keeps the best single pair, and so does every question while the gate is closed.
    """

    needs_embeddings = True

    def __init__(self, profile: Profile, *, name: str = "predictor") -> None:
        self.name = name
        self._predictor, self._train = _needed(profile, name)
        self._profile = profile
        self._ties = tie_order(profile.train_micro)
        self._costs = _cost_table(profile)
        overall = profile.statistics.cost_mean_usd[-1]
        known = overall[np.isfinite(overall)]
        self._largest_cost = float(known.max()) if len(known) else float("nan")
        self._held: dict[float, _Held] = {}

    def decide(self, embeddings: NDArray[np.float32] | None, context: RoutingContext) -> Decisions:
        """Decide for n queries by their own estimates.

        Raises:
            RouterError: without embeddings, or where no pair can be chosen.
            ProfileError: if the embeddings are of another width or not finite.
        """
        n = check_context(context, len(self._profile.pairs), embeddings)
        if embeddings is None:
            msg = f"router {self.name!r} needs the embeddings of the queries"
            raise RouterError(msg)
        labels, distances = self._profile.clusters.assign(embeddings)
        beyond = self._profile.clusters.is_out_of_distribution(distances)
        costs = self._costs[np.where(beyond, self._profile.k, labels)]
        prediction = self._predictor.predict(context.texts, embeddings)
        single = self._single(context.alpha)
        gate = self.gate(context.alpha)
        bases = rank_pairs(np.broadcast_to(single, (n, len(single))), context.allowed, self._ties)
        base = bases[:, 0]
        if gate.open:
            raw = self._utility(prediction.scores, costs, context.alpha)
            utility = self._guarded(raw, prediction.leverage, base, context.alpha)
            utility[~prediction.familiar] = single
            ranking = _prefer(rank_pairs(utility, context.allowed, self._ties), utility, base)
        else:
            utility = np.tile(single, (n, 1))
            ranking = bases
        pair = ranking[:, 0]
        expected = self._at(context.alpha).curve(chosen(prediction.probability, pair))
        return one_step(
            ranking=ranking,
            utility=utility,
            expected_score=expected,
            expected_cost_usd=chosen(costs, pair),
            cluster=labels,
            distance=distances,
            out_of_distribution=beyond,
            reason=self._reasons(pair, base, expected, prediction.familiar, context, gate),
        )

    def gate(self, alpha: float) -> Gate:
        """Whether routing pays at this alpha, judged on out-of-fold estimates; kept once asked."""
        return self._at(alpha).gate

    def out_of_fold(self, alpha: float) -> NDArray[np.int64]:
        """(n,) pair that would have been chosen for every training question, out of fold.

        The gate decides with them, so where it is closed all are the best single pair.

        Raises:
            RouterError: if alpha is above 0 and no pair has a known cost.
        """
        held = self._at(alpha)
        return held.chosen if held.gate.open else np.full(len(held.chosen), held.base, np.int64)

    def _at(self, alpha: float) -> _Held:
        if alpha not in self._held:
            self._held[alpha] = self._hold_out(alpha)
        return self._held[alpha]

    def _hold_out(self, alpha: float) -> _Held:
        train, oof = self._train, self._predictor
        labels, distances = self._profile.clusters.assign(train.embeddings)
        beyond = self._profile.clusters.is_out_of_distribution(distances)
        costs = self._costs[np.where(beyond, self._profile.k, labels)]
        single = self._single(alpha)
        base = int(rank_pairs(single[None], None, self._ties)[0, 0])
        bases = np.full(len(labels), base, np.int64)
        utility = self._utility(oof.oof_scores, costs, alpha)
        lowered = self._guarded(utility, oof.oof_leverage, bases, alpha)
        lowered[~oof.oof_familiar] = single
        pairs = _prefer(rank_pairs(lowered, None, self._ties), lowered, bases)[:, 0]
        spent = np.where(np.isfinite(train.costs_usd), train.costs_usd, costs)
        realised = self._utility(train.scores, spent, alpha)
        least = oof.settings.gate_points, oof.settings.gate_errors
        gate = judge_gate(pairs, base, realised, oof.groups, *least)
        kept = pairs if gate.open else bases
        probability = chosen(oof.calibration(oof.oof_scores), kept)
        curve = fit_chosen_curve(probability, chosen(train.scores, kept))
        return _Held(base, pairs, gate, curve)

    def _single(self, alpha: float) -> Matrix:
        """(P,) utilities of the pairs over the whole training split."""
        overall = self._profile.statistics.cost_mean_usd[-1]
        single: Matrix = self._utility(self._profile.train_macro[None], overall[None], alpha)[0]
        return single

    def _utility(self, scores: Matrix, costs: Matrix, alpha: float) -> Matrix:
        return utilities(scores, costs, alpha, "global", self._largest_cost)

    def _guarded(
        self, utility: Matrix, leverage: Matrix, base: NDArray[np.int64], alpha: float
    ) -> Matrix:
        """Utilities less the margin against each question's own base pair."""
        z = (1.0 - alpha) * self._predictor.settings.margin
        lowered = np.empty_like(utility)
        for pair in np.unique(base):
            rows = base == pair
            errors = z * np.sqrt(leverage[rows])[:, None] * self._predictor.advantage_sd[:, pair]
            lowered[rows] = guarded(utility[rows], int(pair), errors)
        return lowered

    def _reasons(
        self,
        pair: NDArray[np.int64],
        base: NDArray[np.int64],
        expected: Matrix,
        familiar: NDArray[np.bool_],
        context: RoutingContext,
        gate: Gate,
    ) -> tuple[str, ...]:
        percent = np.where(np.isfinite(expected), np.rint(100 * expected), -1).astype(np.int64)
        names = [p.pair_id for p in self._profile.pairs]
        pairs = len(names)
        restricted = np.zeros(len(pair), np.int64)
        if context.allowed is not None:
            restricted += ~context.allowed.all(axis=1)
        verdict = _verdict(gate, context.alpha)

        def describe(row: int) -> str:
            shown = f"expected score {percent[row] / 100:.2f}" if percent[row] >= 0 else "no score"
            if not gate.open:
                text = f"gate closed: {verdict}; best single pair {names[pair[row]]}, {shown}"
            elif not familiar[row]:
                text = (
                    "unlike every training dataset, so by overall figures:"
                    f" {names[pair[row]]}, {shown}"
                )
            elif pair[row] == base[row]:
                text = f"no pair is clearly better than {names[pair[row]]}, {shown}"
            else:
                text = (
                    f"{names[pair[row]]} is predicted clearly better here than the best single"
                    f" pair {names[base[row]]}, {shown}"
                )
            return text + ("; among the pairs allowed for it" if restricted[row] else "")

        keys = (((pair * pairs + base) * 128 + percent + 1) * 2 + restricted) * 2 + familiar
        return sentences(keys, describe)


class _Held(NamedTuple):
    """The training questions decided out of fold at one alpha."""

    base: int
    chosen: NDArray[np.int64]
    gate: Gate
    curve: ChosenCurve


def _verdict(gate: Gate, alpha: float) -> str:
    gain, needed, over = gate.gain, gate.needed, "questions"
    if gain > needed:
        gain, needed, over = gate.macro_gain, gate.macro_needed, "datasets"
    return (
        f"out of fold, leaving the best single pair gains {100 * gain:.2f} points of utility at"
        f" alpha {alpha:g} on the mean over {over}, and more than {100 * needed:.2f} are needed"
    )


def _prefer(
    ranking: NDArray[np.int64], utility: Matrix, base: NDArray[np.int64]
) -> NDArray[np.int64]:
    """The base first where nothing is better than it by more than a tie."""
    rows = np.arange(len(ranking))
    own, best = utility[rows, base], utility[rows, np.maximum(ranking[:, 0], 0)]
    stay = np.flatnonzero((ranking[:, 0] != base) & (own >= best - TIE))
    for row in stay:
        others = ranking[row][ranking[row] != base[row]]
        ranking[row] = np.concatenate([[base[row]], others])
    return ranking


def _cost_table(profile: Profile) -> Matrix:
    """(K + 1, P) expected dollars; a cluster that says too little of a pair uses its overall."""
    statistics = profile.statistics
    overall = np.broadcast_to(statistics.cost_mean_usd[-1], statistics.cost_mean_usd.shape)
    thin = (statistics.n_scored < _FEW) | np.isnan(statistics.cost_mean_usd)
    return np.where(thin, overall, statistics.cost_mean_usd)


def _needed(profile: Profile, name: str) -> tuple[Predictor, TrainingRows]:
    predictor: Predictor | None = getattr(profile, "predictor", None)
    if predictor is None:
        msg = (
            f"{profile.profile_id} has no predictor, which router {name!r} decides by;"
            " profile again with more scored training questions, or use router 'cluster'"
        )
        raise RouterError(msg)
    if profile.train is None:
        msg = (
            f"{profile.profile_id} keeps no training rows, by which router {name!r} judges itself;"
            " profile again with keep_train"
        )
        raise RouterError(msg)
    return predictor, profile.train
