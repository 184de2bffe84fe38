"""The gate: a policy becomes champion only if it is measurably better, and harms nobody.

Both policies were played over the same held-out questions. Utility is score − price × cost at the
user's price. A challenger is accepted when all of this holds:

1. enough questions have an outcome of everything that both wanted to call;
2. utility: the lower end of the interval of the mean gain is above 0. A stratified paired
   bootstrap that reckons with one lost question more than it saw (`Resampling.unseen`), so that
   few differing questions prove nothing;
3. accuracy: the lower end of the interval of its change is not below −margin;
4. no dataset, and not the questions out of distribution either, shows harm beyond its margin:
   one-sided sign-change tests, corrected over all of them by Holm.

Questions beyond the training radius are judged by 4 alone: what a policy is worth is asked of
questions such as it was trained for. Pure: no clock, no files, numpy only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tasks.learn.gate_decision import (
    Check,
    Figure,
    GateDecision,
    GateSettings,
    Group,
    dollars,
    points,
)
from tasks.learn.paired_tests import NOTHING, Estimate, Resampling, harm_p_value, holm, interval

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tasks.learn.rollout import Played

Matrix = NDArray[np.float64]

BEYOND = "out of distribution"
"""Name of the group of questions beyond the training radius."""


def judge(
    challenger: Played,
    champion: Played,
    datasets: Sequence[str],
    ood: NDArray[np.bool_],
    settings: GateSettings,
) -> GateDecision:
    """Whether the challenger should replace the champion.

    Args:
        challenger: what it did on n held-out questions; score or cost NaN where there is no
            recorded outcome of a call that it wanted. Costs in units of `settings.unit_usd`.
        champion: the same of the one in use, on the same questions in the same order.
        datasets: n names; the strata of the bootstrap.
        ood: (n,) whether a question lies beyond the training radius.
        settings: what must be shown.

    Raises:
        ValueError: the two were not played over the same questions.
    """
    _same_length(challenger, champion, datasets, ood)
    known = _known(challenger) & _known(champion)
    inside = known & ~ood
    pair = _Pair(challenger, champion, settings)
    names = np.asarray(datasets, dtype=str)
    figures, ratio = _figures(pair, inside, names)
    groups = _groups(pair, known, ood, names)
    left_out = (
        int((~_known(challenger)).sum()), int((~_known(champion)).sum()), int((~known).sum())
    )  # fmt: skip
    checks = _checks(figures, ratio, groups, left_out, len(known), settings)
    return GateDecision(
        accepted=all(one.passed for one in checks),
        checks=checks,
        figures=figures,
        cost_ratio=ratio,
        datasets=tuple(one for one in groups if one.name != BEYOND),
        beyond=next((one for one in groups if one.name == BEYOND), None),
        everything=_mean_change(pair.gains[known], _strata(names[known], ood[known]), settings),
        questions=len(known),
        left_out=left_out,
        alike=int((pair.alike & known).sum()),
        settings=settings,
    )


class _Pair:
    """Both policies, question by question."""

    def __init__(self, challenger: Played, champion: Played, settings: GateSettings) -> None:
        self.settings = settings
        self.sides = tuple(
            np.column_stack(
                [one.score - settings.price * one.cost, one.score, one.cost, one.calls]
            ).astype(np.float64)
            for one in (challenger, champion)
        )
        self.changes = self.sides[0] - self.sides[1]
        self.gains = self.changes[:, 0]
        self.alike = (self.changes == 0).all(axis=1)


def gain_intervals(
    gains: Matrix, strata: NDArray[np.int64], settings: GateSettings
) -> list[Estimate]:
    """Mean gain of k challengers over n questions, from the same draws.

    Args:
        gains: (n, k) challenger − champion, within [−1, 1] or nearly so.
        strata: (n,) number of each question's dataset.
        settings: confidence, draws and seed.
    """
    drawn = Resampling(strata, draws=settings.draws, seed=settings.seed)
    return interval(drawn.sums(gains), gains, settings.confidence, drawn.unseen())


class _Figures(NamedTuple):
    figures: tuple[Figure, ...]
    ratio: Estimate


_MEASURES = ("utility", "accuracy", "cost", "calls")
_PROPORTIONS = np.array([1.0, 1.0, 0.0, 0.0])
"""Of which measures an unseen question may change the sum by 1."""


def _figures(pair: _Pair, inside: NDArray[np.bool_], names: NDArray[np.str_]) -> _Figures:
    """Every measure over the questions in distribution, and the relative change of the cost."""
    if not inside.any():
        return _Figures((), NOTHING)
    settings = pair.settings
    drawn = Resampling(_numbers(names[inside]), draws=settings.draws, seed=settings.seed)
    challenger, champion = (side[inside] for side in pair.sides)
    changes = pair.changes[inside]
    width = len(_MEASURES)
    sums = drawn.sums(np.hstack([challenger, champion]))
    unseen = drawn.unseen()[:, None] * _PROPORTIONS
    change_sums = sums[:, :width] - sums[:, width:]
    estimates = zip(
        _MEASURES,
        interval(sums[:, :width], challenger, settings.confidence),
        interval(sums[:, width:], champion, settings.confidence),
        interval(change_sums, changes, settings.confidence, unseen),
        strict=True,
    )
    cost = _MEASURES.index("cost")
    ratio = _ratio(sums[:, cost], sums[:, width + cost], challenger, champion, settings)
    return _Figures(tuple(Figure(*one) for one in estimates), ratio)


def _ratio(
    new: Matrix, old: Matrix, challenger: Matrix, champion: Matrix, settings: GateSettings
) -> Estimate:
    """Mean cost of the challenger over that of the champion, minus 1."""
    cost = _MEASURES.index("cost")
    n, total = len(champion), champion[:, cost].sum()
    if total <= 0 or (old <= 0).any():
        return NOTHING._replace(n=n)
    tail = (1.0 - settings.confidence) / 2
    low, high = np.quantile(new / old - 1.0, (tail, 1.0 - tail))
    return Estimate(float(challenger[:, cost].sum() / total - 1.0), float(low), float(high), n)


def _groups(
    pair: _Pair, known: NDArray[np.bool_], ood: NDArray[np.bool_], names: NDArray[np.str_]
) -> list[Group]:
    """Every dataset in distribution, then what is out of it, each tested for harm."""
    labels = np.where(ood, BEYOND, names)
    order = [*np.unique(names[known & ~ood]).tolist(), *([BEYOND] if (known & ood).any() else [])]
    groups = [_group(pair, name, known & (labels == name) & (ood == (name == BEYOND)))
              for name in order]  # fmt: skip
    tested = [number for number, one in enumerate(groups) if one.tested]
    adjusted = holm(np.array([groups[number].p_value for number in tested]))
    for number, p_value in zip(tested, adjusted.tolist(), strict=True):
        harmed = p_value <= pair.settings.harm_level
        groups[number] = groups[number]._replace(adjusted=p_value, harmed=harmed)
    return groups


def _group(pair: _Pair, name: str, rows: NDArray[np.bool_]) -> Group:
    settings = pair.settings
    gains = pair.gains[rows]
    both = gain_intervals(pair.changes[rows, :2], np.zeros(len(gains), np.int64), settings)
    p_value = float("nan")
    if len(gains) >= settings.least_in_group:
        p_value = harm_p_value(
            gains, settings.harm_margin, draws=settings.draws, seed=settings.seed
        )
    return Group(
        name,
        gain=both[0],
        accuracy=both[1],
        p_value=p_value,
        adjusted=float("nan"),
        harmed=False,
    )


def _checks(
    figures: tuple[Figure, ...],
    ratio: Estimate,
    groups: list[Group],
    left_out: tuple[int, int, int],
    questions: int,
    settings: GateSettings,
) -> tuple[Check, ...]:
    """Every condition; those that need figures only where there are any."""
    n = figures[0].change.n if figures else 0
    checks = [_enough(n, settings), _complete(left_out, questions, settings)]
    if figures:
        utility, accuracy, cost, _ = figures
        checks += [
            _gains(utility.change, cost, ratio, settings),
            _not_worse(accuracy.change, settings),
            _harmless(groups, settings),
        ]
    return tuple(checks)


def _enough(n: int, settings: GateSettings) -> Check:
    least = settings.least_questions
    sentence = f"{n:,} held-out questions in distribution can be compared"
    if n < least:
        sentence += f"; at least {least:,} are needed to tell two policies apart"
    return Check("questions", n >= least, f"{sentence}.")


def _complete(left_out: tuple[int, int, int], questions: int, settings: GateSettings) -> Check:
    by_challenger, by_champion, either = left_out
    if not either:
        return Check("outcomes", True, "Every call that either wanted has a recorded outcome.")
    passed = either <= settings.most_left_out * questions
    sentence = (
        f"{either:,} of {questions:,} questions are left out of both: an outcome that was wanted "
        f"is not recorded or not scored ({by_challenger:,} by the challenger, {by_champion:,} by "
        "the champion)"
    )
    if not passed:
        sentence += (
            f"; that is more than {100 * settings.most_left_out:g} %, and the rest may be another "
            "kind of question: record the missing cells first"
        )
    return Check("outcomes", passed, f"{sentence}.")


def _gains(gain: Estimate, cost: Figure, ratio: Estimate, settings: GateSettings) -> Check:
    passed = gain.low > 0
    shown = f"{points(gain, signed=True)} points of utility on {gain.n:,} questions"
    spent = _cost_words(cost, ratio, settings)
    if passed:
        return Check("utility", True, f"It gains {shown}: the interval lies above 0{spent}.")
    why = "it may be no better" if gain.value > 0 else "it is not better"
    return Check("utility", False, f"No gain is shown: {shown}; {why}{spent}.")


def _cost_words(cost: Figure, ratio: Estimate, settings: GateSettings) -> str:
    if np.isfinite(ratio.value):
        low, high = (f"{100 * end:+.1f}" for end in (ratio.low, ratio.high))
        what = "calls" if settings.unit_usd is None else "cost"
        words = f"; {what} {100 * ratio.value:+.1f} % [{low}, {high}]"
        return words.replace("-", "−")
    if settings.unit_usd is not None and cost.change.n:
        return f"; cost {dollars(cost.change.scaled(settings.unit_usd), signed=True)} a question"
    return ""


def _not_worse(change: Estimate, settings: GateSettings) -> Check:
    passed = change.low >= -settings.margin
    shown = f"accuracy changes by {points(change, signed=True)} points on {change.n:,} questions"
    margin = f"{100 * settings.margin:g} points"
    if passed:
        return Check("accuracy", True, f"{shown.capitalize()}: a loss beyond {margin} is excluded.")
    return Check(
        "accuracy", False, f"{shown.capitalize()}: a loss beyond {margin} cannot be excluded."
    )


def _harmless(groups: list[Group], settings: GateSettings) -> Check:
    tested = [one for one in groups if one.tested]
    harmed = [one for one in tested if one.harmed]
    margin = f"more than {100 * settings.harm_margin:g} points of utility"
    if not harmed:
        return Check(
            "harm",
            True,
            f"None of {len(tested)} groups tested (datasets, and what is out of distribution) is "
            f"shown to lose {margin}.",
        )
    named = "; ".join(
        f"{one.name} {points(one.gain, signed=True)} on {one.gain.n:,} questions, corrected p "
        f"{one.adjusted:.3f}"
        for one in harmed
    )
    return Check("harm", False, f"It loses {margin} on {named}.")


def _mean_change(changes: Matrix, strata: NDArray[np.int64], settings: GateSettings) -> Estimate:
    if not len(changes):
        return NOTHING
    return gain_intervals(changes[:, None], strata, settings)[0]


def _known(played: Played) -> NDArray[np.bool_]:
    """(n,) whether everything that was wanted is known."""
    known: NDArray[np.bool_] = np.isfinite(played.score) & np.isfinite(played.cost)
    return known


def _numbers(names: NDArray[np.str_]) -> NDArray[np.int64]:
    return np.unique(names, return_inverse=True)[1].astype(np.int64)


def _strata(names: NDArray[np.str_], ood: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Datasets in distribution, and one more for all that is out of it."""
    return np.where(ood, -1, _numbers(names) if len(names) else 0).astype(np.int64)


def _same_length(
    challenger: Played, champion: Played, datasets: Sequence[str], ood: NDArray[np.bool_]
) -> None:
    lengths = {
        "the challenger": [len(one) for one in challenger],
        "the champion": [len(one) for one in champion],
        "datasets": [len(datasets)],
        "ood": [len(ood)],
    }
    if len({length for each in lengths.values() for length in each}) > 1:
        found = ", ".join(f"{name} {each[0]:,}" for name, each in lengths.items())
        msg = f"two policies are compared question by question, and lengths differ: {found}"
        raise ValueError(msg)


__all__ = ["BEYOND", "GateDecision", "GateSettings", "gain_intervals", "judge"]
