"""What the gate says of a challenger: every figure with its n and interval, and why.

`tasks.learn.gate.judge` makes it; here is what it consists of and how it is written down.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

from tasks.learn.paired_tests import NOTHING, Estimate


@dataclass(frozen=True, slots=True)
class GateSettings:
    """What a challenger must show.

    Attributes:
        price: points of accuracy (1 is all of it) that one unit of cost is worth to the user.
        unit_usd: dollars of a unit of cost; None where a unit is a call.
        margin: accuracy that may be lost for money; the interval must exclude a greater loss.
        harm_margin: utility that a dataset, or the questions out of distribution, may lose.
        harm_level: chance of finding harm in any of them where there is none.
        confidence: of every two-sided interval. A policy of equal worth passes with half of the
            rest, (1 − confidence) / 2, at most; see docs/gate.md for what simulations say of it.
        draws: of the bootstrap and of the sign changes.
        least_questions: below this many questions with both outcomes nothing is promoted.
        least_in_group: datasets with fewer questions are shown and not tested.
        most_left_out: share of the questions that may lack an outcome one of the two wanted.
        seed: of the draws.
    """

    price: float = 0.01
    unit_usd: float | None = None
    margin: float = 0.02
    harm_margin: float = 0.02
    harm_level: float = 0.05
    confidence: float = 0.95
    draws: int = 4_000
    least_questions: int = 100
    least_in_group: int = 10
    most_left_out: float = 0.2
    seed: int = 0

    def __post_init__(self) -> None:
        shares = ("margin", "harm_margin", "harm_level", "confidence", "most_left_out")
        for name in shares:
            value = getattr(self, name)
            if not 0 <= value <= 1:
                msg = f"{name} is {value}, and must lie between 0 and 1"
                raise ValueError(msg)
        if not (math.isfinite(self.price) and self.price >= 0):
            msg = f"the price is {self.price}, and must be 0 or more"
            raise ValueError(msg)
        if min(self.draws, self.least_questions, self.least_in_group) < 1:
            msg = "draws, least_questions and least_in_group must be 1 or more"
            raise ValueError(msg)


class Figure(NamedTuple):
    """One measure of both policies over the same questions.

    Attributes:
        name: utility, accuracy, cost or calls; cost is in units.
        change: challenger − champion.
    """

    name: str
    challenger: Estimate
    champion: Estimate
    change: Estimate


class Group(NamedTuple):
    """A dataset, or the questions out of distribution, looked at for harm.

    Attributes:
        gain: of utility.
        accuracy: its change.
        p_value: of no harm beyond the margin; NaN where there are too few questions to test.
        adjusted: the same after Holm's correction over all groups tested.
        harmed: whether the corrected one is at or below the level.
    """

    name: str
    gain: Estimate
    accuracy: Estimate
    p_value: float
    adjusted: float
    harmed: bool

    @property
    def tested(self) -> bool:
        """Whether there were questions enough."""
        return math.isfinite(self.p_value)


class Check(NamedTuple):
    """One condition of a promotion."""

    name: str
    passed: bool
    sentence: str


@dataclass(frozen=True, slots=True)
class GateDecision:
    """Whether a challenger should replace the champion, and everything that was looked at.

    Attributes:
        accepted: every check passed.
        checks: conditions, in the order they were looked at.
        figures: utility, accuracy, cost, calls over the questions in distribution that have both
            outcomes; empty without any.
        cost_ratio: relative change of the mean cost; NaN where the champion's cost is nothing.
        datasets: in distribution, by name.
        beyond: the questions out of distribution; None where there are none.
        everything: gain over all questions, in distribution or not.
        questions: how many were played.
        left_out: of these, without an outcome that the challenger, the champion, either wanted.
        alike: questions that both answered with the same score, cost and calls.
        settings: what was asked.
    """

    accepted: bool
    checks: tuple[Check, ...]
    figures: tuple[Figure, ...]
    cost_ratio: Estimate
    datasets: tuple[Group, ...]
    beyond: Group | None
    everything: Estimate
    questions: int
    left_out: tuple[int, int, int]
    alike: int
    settings: GateSettings

    @property
    def verdict(self) -> str:
        """`accepted` or `refused`."""
        return "accepted" if self.accepted else "refused"

    @property
    def reasons(self) -> tuple[str, ...]:
        """Sentences: what failed of a refused one, what was shown of an accepted one."""
        return tuple(one.sentence for one in self.checks if self.accepted or not one.passed)

    @property
    def gain(self) -> Estimate:
        """Of utility, in distribution; the figure that is decided by."""
        return self.figures[0].change if self.figures else NOTHING

    def as_json(self) -> dict[str, Any]:
        """Plain values; null is unknown."""
        plain: dict[str, Any] = _plain(
            {
                "verdict": self.verdict,
                "accepted": self.accepted,
                "reasons": list(self.reasons),
                "checks": [one._asdict() for one in self.checks],
                "gain": self.gain._asdict(),
                "figures": {
                    one.name: {
                        "challenger": one.challenger._asdict(),
                        "champion": one.champion._asdict(),
                        "change": one.change._asdict(),
                    }
                    for one in self.figures
                },
                "cost_ratio": self.cost_ratio._asdict(),
                "datasets": [_group(one) for one in self.datasets],
                "out_of_distribution": None if self.beyond is None else _group(self.beyond),
                "all_questions": self.everything._asdict(),
                "questions": self.questions,
                "left_out": dict(
                    zip(("challenger", "champion", "either"), self.left_out, strict=True)
                ),
                "alike": self.alike,
                "settings": asdict(self.settings),
            }
        )
        return plain

    def as_markdown(self) -> str:
        """Verdict, reasons and tables, for people."""
        lines = [f"## Gate: {self.verdict}", ""]
        lines += [f"- {'✓' if one.passed else '✗'} {one.sentence}" for one in self.checks]
        if self.figures:
            lines += ["", *self._comparison(), "", *self._groups()]
        return "\n".join([*lines, "", self._footnote()]) + "\n"

    def _comparison(self) -> list[str]:
        rows = [
            [
                _TITLES[one.name],
                *(self._figure(one.name, side) for side in (one.challenger, one.champion)),
                self._figure(one.name, one.change, signed=True),
                f"{one.change.n:,}",
            ]
            for one in self.figures
            # Where a unit is a call, the calls say it.
            if one.name != "cost" or self.settings.unit_usd is not None
        ]
        return markdown_table(["", "challenger", "champion", "change", "n"], rows)

    def _groups(self) -> list[str]:
        shown = [*self.datasets, *([self.beyond] if self.beyond else [])]
        rows = [
            [
                one.name,
                points(one.gain, signed=True),
                points(one.accuracy, signed=True),
                f"{one.adjusted:.3f}" if one.tested else "–",
                "harmed" if one.harmed else "no harm shown" if one.tested else "too few to test",
                f"{one.gain.n:,}",
            ]
            for one in shown
        ]
        if self.beyond is not None:
            rows.append(["all questions", points(self.everything, signed=True), "", "", "",
                         f"{self.everything.n:,}"])  # fmt: skip
        return markdown_table(
            ["questions of", "utility gain", "accuracy", "p (Holm)", "harm", "n"], rows
        )

    def _figure(self, name: str, found: Estimate, *, signed: bool = False) -> str:
        if name in ("utility", "accuracy"):
            return points(found, signed=signed)
        if name == "cost" and self.settings.unit_usd is not None:
            return dollars(found.scaled(self.settings.unit_usd), signed=signed)
        sign = "+" if signed else ""
        return f"{found.value:{sign}.2f} [{found.low:{sign}.2f}, {found.high:{sign}.2f}]"

    def _footnote(self) -> str:
        asked = self.settings
        unit = "a call" if asked.unit_usd is None else f"${asked.unit_usd:.3g}"
        return (
            f"Points of 100; intervals of {100 * asked.confidence:g} %, {asked.draws:,} bootstrap "
            f"draws over questions. Utility is score − price × cost, at a price of {asked.price:g} "
            f"a unit of cost; a unit is {unit}."
        )


_TITLES = {
    "utility": "utility",
    "accuracy": "accuracy",
    "cost": "cost a question",
    "calls": "calls",
}


def points(found: Estimate, *, signed: bool = False) -> str:
    """Such as `+1.2 [−0.3, +2.7]`, in points of 100."""
    if not found.n:
        return "–"
    sign = "+" if signed else ""
    value, low, high = (100 * one for one in found[:3])
    return f"{value:{sign}.1f} [{low:{sign}.1f}, {high:{sign}.1f}]".replace("-", "−")


def dollars(found: Estimate, *, signed: bool = False) -> str:
    """Such as `$0.00123 [0.00119, 0.00127]`, or `−$0.00012 [−0.00014, −0.00010]`."""
    if not found.n:
        return "–"
    digits = _digits(max(abs(one) for one in found[:3]))
    plus = "+" if signed else ""
    value = f"{abs(found.value):.{digits}f}"
    sign = "-" if found.value < 0 and float(value) else plus
    low, high = (f"{end:{plus}.{digits}f}" for end in (found.low, found.high))
    return f"{sign}${value} [{low}, {high}]".replace("-", "−")


def _digits(largest: float) -> int:
    """Decimals that show three digits of the largest figure."""
    return 2 if largest <= 0 else min(9, max(2, 2 - math.floor(math.log10(largest))))


def markdown_table(headers: list[str], rows: list[list[str]]) -> list[str]:
    """Lines of a Markdown table whose columns stand under each other, to be read as text too."""
    widths = [max(map(len, column)) for column in zip(headers, *rows, strict=True)]
    cells = [headers, ["-" * width for width in widths], *rows]
    return [
        f"| {' | '.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))} |"
        for row in cells
    ]


def _group(one: Group) -> dict[str, Any]:
    return {
        **one._asdict(),
        "gain": one.gain._asdict(),
        "accuracy": one.accuracy._asdict(),
        "tested": one.tested,
    }


def _plain(value: Any) -> Any:  # noqa: ANN401
    """The value with null for what is no number."""
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_plain(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
