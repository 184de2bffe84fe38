"""Reads questions on dates, weekdays, clock times and units."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import date, timedelta
from fractions import Fraction
from typing import TYPE_CHECKING

from tasks.simulate.solve.base import NO_ANSWER, Calculation, HeadWork, tidy
from tasks.simulate.solve.expressions import Expr, num, op
from tasks.simulate.solve.words import NUMBER, value

if TYPE_CHECKING:
    from random import Random

_MONTHS = "January|February|March|April|May|June|July|August|September|October|November|December"
_MONTH_NUMBER = {name: number for number, name in enumerate(_MONTHS.split("|"), 1)}
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_DATE = re.compile(
    rf"(?P<iso>\d{{4}}-\d\d-\d\d)|(?P<d>\d{{1,2}}) (?P<m>{_MONTHS}) (?P<y>\d{{4}})"
    rf"|(?P<m2>{_MONTHS}) (?P<d2>\d{{1,2}}), (?P<y2>\d{{4}})"
)
_SPAN = re.compile(rf"({NUMBER}) (days|weeks) (after|before|later|earlier|from now|ago)")
_CLOCK = re.compile(r"\b(\d{1,2}):(\d\d)\b")
_TAKES = re.compile(rf"(?:takes|lasts) (?:({NUMBER}) hours?)?(?: and )?(?:({NUMBER}) minutes)?")
_WEEKDAY = re.compile("|".join(WEEKDAYS))
_UNITS: dict[str, tuple[str, int | Fraction]] = {
    "kilometres": ("m", 1000), "metres": ("m", 1), "centimetres": ("m", Fraction(1, 100)),
    "tonnes": ("g", 1_000_000), "kilograms": ("g", 1000), "grams": ("g", 1),
    "litres": ("l", 1), "millilitres": ("l", Fraction(1, 1000)), "weeks": ("s", 604_800),
    "days": ("s", 86_400), "hours": ("s", 3600), "minutes": ("s", 60), "seconds": ("s", 1),
}  # fmt: skip
_UNIT = "|".join(_UNITS)
_CONVERT = (
    re.compile(rf"how many (?P<to>{_UNIT}) are (?P<n>{NUMBER}) (?P<of>{_UNIT})\b", re.IGNORECASE),
    re.compile(rf"convert (?P<n>{NUMBER}) (?P<of>{_UNIT}) (?:to|into) (?P<to>{_UNIT})", re.I),
    re.compile(rf"(?P<n>{NUMBER}) (?P<of>{_UNIT})\. express that in (?P<to>{_UNIT})", re.I),
)
_RATE = re.compile(rf"one ([a-z]+) (?:was|is|as) ({NUMBER}) ([a-z]+)")
_FAST = re.compile(rf"({NUMBER}) (kilometres per hour|metres per second)")


def read(text: str) -> Calculation | DayQuestion | None:
    """What is asked about dates, clocks or units, or None when the text asks no such thing."""
    return _calendar(text) or _clock(text) or _unit(text)


@dataclass(frozen=True, slots=True)
class DayQuestion:
    """A question whose answer takes a calendar.

    Attributes:
        asked: date | days | weekday | weekday_shift.
        start: the date it starts from; for `weekday_shift` any date of that weekday.
        end: the other date, for `days`.
        shift: days to go, signed.
    """

    asked: str
    start: date
    end: date | None = None
    shift: int = 0

    @property
    def domain(self) -> str:
        """Always `dates`."""
        return "dates"

    @property
    def load(self) -> float:
        """Long spans are harder."""
        span = abs((self.end - self.start).days) if self.end else abs(self.shift)
        return -0.3 + min(span, 900) / 900

    def misread(self, rng: Random) -> DayQuestion:
        """Off by one, the wrong direction, a day or month misread."""
        draw = rng.random()
        if self.asked in ("date", "weekday_shift") and draw < 0.3 and self.shift % 7:
            return replace(self, shift=-self.shift)
        if draw < 0.6:
            return replace(self, start=self.start + timedelta(days=rng.choice((1, -1))))
        return replace(self, start=self.start + timedelta(days=rng.choice((30, -31, 9, -10, 365))))

    def solve(self) -> str:
        """The exact answer."""
        try:
            target = self.start + timedelta(days=self.shift)
        except OverflowError:
            return NO_ANSWER
        if self.asked == "date":
            return target.isoformat()
        if self.asked == "days" and self.end is not None:
            return str(abs((self.end - self.start).days))
        return WEEKDAYS[target.weekday()]

    def by_head(self, rng: Random, slip: float) -> HeadWork:
        """Counting months by head: off by a day or so, more often for long spans."""
        span = abs((self.end - self.start).days) if self.end else abs(self.shift)
        hard = 0.5 if self.asked == "weekday" else 0.25 + min(span, 600) / 1200
        steps = [f"Starting from {self.start.isoformat()}, I count month by month."]
        if rng.random() >= slip * hard:
            return HeadWork(self.solve(), steps)
        off = rng.choice((1, -1, 1, -1, 2, -2, 3))
        return HeadWork(replace(self, start=self.start + timedelta(days=off)).solve(), steps)

    def calculation(self) -> str | None:
        """A calculator helps with weekdays after some days, and with nothing else here."""
        return None

    def program(self) -> str | None:
        """The question in terms of `datetime`."""
        head = "from datetime import date, timedelta\n\n"
        first = f"date({self.start.year}, {self.start.month}, {self.start.day})"
        if self.asked == "days" and self.end is not None:
            last = f"date({self.end.year}, {self.end.month}, {self.end.day})"
            return f"{head}print(({last} - {first}).days)\n"
        show = "isoformat()" if self.asked == "date" else 'strftime("%A")'
        return f"{head}day = {first} + timedelta(days={self.shift})\nprint(day.{show})\n"

    def conclude(self, output: str) -> str:
        """What the program printed."""
        return tidy(output)


def _dates(text: str) -> list[date]:
    found = []
    for match in _DATE.finditer(text):
        part = match.groupdict()
        if part["iso"]:
            year, month, day = map(int, part["iso"].split("-"))
        else:
            month = _MONTH_NUMBER[part["m"] or part["m2"]]
            year, day = int(part["y"] or part["y2"]), int(part["d"] or part["d2"])
        try:
            found.append(date(year, month, day))
        except ValueError:
            continue
    return found


def _calendar(text: str) -> DayQuestion | None:
    days, span = _dates(text), _SPAN.search(text)
    shift = 0
    if span:
        number, unit, way = span.groups()
        shift = int(value(number)) * (7 if unit == "weeks" else 1)
        shift = -shift if way in ("before", "earlier", "ago") else shift
    if len(days) >= 2 and "many days" in text.lower():
        return DayQuestion("days", days[0], end=days[1])
    if days and span:
        return DayQuestion("date", days[0], shift=shift)
    if days and "day of the week" in text:
        return DayQuestion("weekday", days[0])
    named = _WEEKDAY.search(text)
    if named and span and "day of the week" in text:
        start = date(2001, 1, 1) + timedelta(days=WEEKDAYS.index(named.group()))
        return DayQuestion("weekday_shift", start, shift=shift)
    return None


@dataclass(frozen=True, slots=True)
class ClockQuestion(Calculation):
    """A calculation in minutes whose answer is a time of day."""

    def solve(self) -> str:
        """The time as HH:MM."""
        return clock(super(ClockQuestion, self).solve())

    def by_head(self, rng: Random, slip: float) -> HeadWork:
        """The time, with slips."""
        answer, steps = super(ClockQuestion, self).by_head(rng, slip)
        return HeadWork(clock(answer), steps)

    def conclude(self, output: str) -> str:
        """The minutes that came out, as a time of day."""
        return clock(tidy(output))


def clock(minutes: str) -> str:
    """Minutes after midnight as HH:MM, whatever day they fall on."""
    try:
        whole = int(float(minutes)) % 1440
    except ValueError:
        return minutes
    return f"{whole // 60:02d}:{whole % 60:02d}"


def _clock(text: str) -> Calculation | None:
    times = [op("+", op("*", int(hour), 60), int(minute)) for hour, minute in _CLOCK.findall(text)]
    if len(times) >= 2 and "how many minutes" in text.lower():
        start, end = times[0], times[1]
        if "next day" in text:
            end = op("+", end, 1440)
        return Calculation("dates", op("-", end, start), -0.9)
    spans = (match for match in _TAKES.finditer(text) if match.group(1) or match.group(2))
    taken = next(spans, None)
    if len(times) != 1 or taken is None:
        return None
    hours, minutes = (value(part) if part else Fraction(0) for part in taken.groups())
    length: Expr = op("+", op("*", hours, 60), minutes)
    back = "latest time to set off" in text
    return ClockQuestion("dates", op("-" if back else "+", times[0], length), -0.9)


def _unit(text: str) -> Calculation | None:
    lower = text.lower()
    rate = _RATE.search(text)
    if rate:
        one, size, unit = rate.groups()
        amount = re.search(rf"({NUMBER}) ({one}s|{unit})\b(?! \()", text[rate.end() :])
        if amount:
            sign = "*" if amount.group(2) == f"{one}s" else "/"
            return Calculation("dates", op(sign, value(amount.group(1)), value(size)))
    fast = _FAST.search(text)
    if fast and "per" in lower[fast.end() :]:
        factor = op("/", 3600, 1000)
        sign = "/" if fast.group(2).startswith("k") else "*"
        return Calculation("dates", op(sign, value(fast.group(1)), factor))
    for pattern in _CONVERT:
        if match := pattern.search(text):
            of, to = _UNITS[match["of"].lower()], _UNITS[match["to"].lower()]
            if of[0] == to[0]:
                ratio = num(Fraction(of[1]) / Fraction(to[1]))
                return Calculation("dates", op("*", value(match["n"]), ratio))
    return None
