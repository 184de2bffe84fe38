"""What pairs and routers are worth on training questions left out of the fit, from a profile alone.

`profiles.selection` holds what every router would have said of questions it was not fitted on.
Here that becomes points to draw: the front of accuracy and cost, the sweep over numbers of
clusters, and how far estimates can be believed.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tasks.report import formats as f
from tasks.report.comparison import Interval
from tasks.report.profile_page_facts import Front, FrontPoint, SweepPoint
from tasks.report.run_scores import Calibration, CalibrationBin

if TYPE_CHECKING:
    from profiles.profile import Profile
    from profiles.selection import Selection, Trial

ALPHAS = (0.0, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0)
"""Weights of cost that routers are shown at."""
MOST_MIX = 6
BINS = 15

Matrix = NDArray[np.float64]
Choices = NDArray[np.int64]


def front_of(profile: Profile, selection: Selection, alphas: Sequence[float] = ALPHAS) -> Front:
    """Every pair and router by accuracy and cost; where no cost is known, at alpha 0 alone."""
    from profiles import selection as select

    if not np.isfinite(selection.costs_usd).any():
        alphas = (0.0,)
    trial = _own_trial(selection)
    ahead = _predictor_choices(profile, alphas)
    paths: dict[str, list[FrontPoint]] = {select.CLUSTER: []}
    paths |= {select.PREDICTOR: []} if ahead else {}
    chosen, why, gains = {}, {}, {}
    single = []
    for alpha in alphas:
        others = {name: own[alpha] for name, own in ahead.items()}
        own_choice = select.choose(selection, alpha, others)
        chosen[alpha], why[alpha] = own_choice.router, own_choice.sentence
        gains[alpha] = {
            one.label: Interval(one.gain, *one.interval)
            for one in own_choice.estimates
            if one.router != select.BEST_SINGLE
        }
        taken = {
            select.CLUSTER: select.trial_choices(selection, trial, alpha),
            **others,
        }
        for name, pairs in taken.items():
            paths[name].append(_point(name, pairs, profile, selection, alpha))
        best = np.full(selection.n, select.single_choice(selection, alpha), np.int64)
        single.append(_point(select.BEST_SINGLE, best, profile, selection, alpha))
    drawn = {**{n: tuple(p) for n, p in paths.items()}, select.BEST_SINGLE: tuple(single)}
    return Front(
        pairs=tuple(_pair_points(profile, selection)),
        paths=drawn,
        chosen=chosen,
        why=why,
        gains=gains,
        measured=(
            f"Out of fold: measured on {f.count(selection.n)} training questions, each routed by "
            "what was learnt without it."
        ),
    )


def _own_trial(selection: Selection) -> Trial:
    own = [t for t in selection.trials if t.k == selection.k and t.nearest == 1]
    return own[0] if own else selection.trials[0]


def _predictor_choices(
    profile: Profile, alphas: Sequence[float]
) -> dict[str, Mapping[float, Choices]]:
    if profile.predictor is None or profile.train is None:
        return {}
    from profiles.routers.predictor import PredictorRouter
    from profiles.selection import PREDICTOR

    router = PredictorRouter(profile)
    return {PREDICTOR: {alpha: router.out_of_fold(alpha) for alpha in alphas}}


def _pair_points(profile: Profile, selection: Selection) -> Iterator[FrontPoint]:
    """Every pair alone. Nothing is fitted for it, so no question has to be left out."""
    n = selection.n
    for number, pair in enumerate(profile.pairs):
        if not selection.scored[:, number].any():
            continue
        every = np.full(n, number, np.int64)
        yield _point(f.pair_label(pair.pair_id), every, profile, selection, None)


def _point(
    name: str, pairs: Choices, profile: Profile, selection: Selection, alpha: float | None
) -> FrontPoint:
    rows = np.arange(len(pairs))
    scores = selection.values[rows, pairs].astype(np.float64)
    costs = selection.costs_usd[rows, pairs].astype(np.float64)
    counts = np.bincount(pairs, minlength=len(profile.pairs))
    order = np.argsort(-counts, kind="stable")[:MOST_MIX]
    mix = tuple(
        (f.pair_label(profile.pairs[i].pair_id), float(counts[i] / len(pairs)))
        for i in order
        if counts[i]
    )
    return FrontPoint(
        name=name,
        accuracy=mean_interval(scores),
        cost_usd=float(costs.mean()),
        n=len(pairs),
        alpha=alpha,
        mix=mix if alpha is not None else (),
    )


def mean_interval(values: Matrix) -> Interval:
    """Mean of n values with x̄ ± 1.96·s/√n, kept inside [0, 1]; a single value tells nothing."""
    mean = float(values.mean())
    half = 1.96 * float(values.std(ddof=1)) / math.sqrt(len(values)) if len(values) > 1 else 1.0
    inside = min(max(mean, 0.0), 1.0)
    return Interval(inside, max(mean - half, 0.0), min(mean + half, 1.0))


def sweep_of(selection: Selection, alpha: float = 0.0) -> tuple[SweepPoint, ...]:
    """Accuracy of the cluster router out of fold, by number of clusters; empty for one number."""
    from profiles.selection import trial_choices

    found = []
    for trial in selection.trials:
        if trial.nearest == 1:
            pairs = trial_choices(selection, trial, alpha)
            values = selection.values[np.arange(selection.n), pairs].astype(np.float64)
            found.append(SweepPoint(trial.k, mean_interval(values)))
    return tuple(found) if len(found) > 1 else ()


def calibrations_of(profile: Profile, selection: Selection) -> Iterator[tuple[str, Calibration]]:
    """How the estimates of the predictor and of clusters compare with what came, out of fold."""
    train = profile.train
    if train is None:
        return
    if profile.predictor is not None:
        predictor = profile.predictor
        found = calibration_of(predictor.calibration(predictor.oof_scores), train.scores)
        if found is not None:
            yield "predictor", found
    trial = _own_trial(selection)
    expected = trial.scores[selection.folds, trial.rows[:, 0]].astype(np.float64)
    found = calibration_of(expected, train.scores)
    if found is not None:
        yield "clusters", found


def calibration_of(expected: Matrix, scores: Matrix, bins: int = BINS) -> Calibration | None:
    """How (n, P) estimates compare with (n, P) scores; None without a cell that has both.

    Bins of equally many cells, as in `profiles.predictor.calibration.reliability`, which also
    gives the expected calibration error. A question has one cell a pair, and its cells rise and
    fall together: intervals are x̄ ± 1.96·√Σ_q (sum of q's deviations)² / n, by question.
    """
    from profiles.predictor.calibration import expected_calibration_error

    known = np.isfinite(expected) & np.isfinite(scores)
    if not known.any():
        return None
    rows = np.nonzero(known)[0]
    guess, came = expected[known], scores[known]
    order = np.argsort(guess, kind="stable")
    parts = [part for part in np.array_split(order, bins) if len(part)]
    made = tuple(
        CalibrationBin(
            low=float(guess[part[0]]),
            high=float(guess[part[-1]]),
            n=len(part),
            expected=float(guess[part].mean()),
            realised=_by_question(came[part], rows[part]),
        )
        for part in parts
    )
    gap = _by_question(came - guess, rows, low=-1.0)
    error = expected_calibration_error(guess, came, bins)
    return Calibration(len(guess), float(guess.mean()), gap, error, made)


def _by_question(values: Matrix, rows: Choices, *, low: float = 0.0) -> Interval:
    mean = float(values.mean())
    sums = np.bincount(rows, values - mean)
    half = 1.96 * float(np.sqrt((sums**2).sum())) / len(values)
    return Interval(mean, max(mean - half, low), min(mean + half, 1.0))
