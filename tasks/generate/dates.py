"""Dates, clocks and units: days between dates, weekdays, timetables, conversions."""

from __future__ import annotations

import json
from datetime import date, timedelta
from typing import TYPE_CHECKING

from tasks.generate.item import Body
from tasks.generate.wording import cast, count, plain

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    from tasks.generate.world import World

MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September",
    "October", "November", "December",
)  # fmt: skip
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")

_METRIC = (
    ("kilometres", "metres", 1000), ("metres", "centimetres", 100), ("kilograms", "grams", 1000),
    ("tonnes", "kilograms", 1000), ("litres", "millilitres", 1000), ("hours", "minutes", 60),
    ("minutes", "seconds", 60), ("days", "hours", 24), ("weeks", "days", 7),
    ("hours", "seconds", 3600),
)  # fmt: skip
_OLD = (
    ("ells", "centimetres"), ("leagues", "kilometres"), ("stones", "kilograms"),
    ("bushels", "litres"), ("rods", "metres"), ("firkins", "litres"),
)  # fmt: skip


def date_or_unit(rng: Random, world: World) -> Body:
    """One question on dates, clock times or units, of one of eight forms."""
    form: Callable[[Random, dict[str, str]], Body] = rng.choices(
        (_shift, _between, _weekday, _weekday_later, _arrival, _duration, _convert, _speed),
        (3, 3, 2, 2, 2, 2, 4, 1),
    )[0]
    return form(rng, cast(rng, world))


def _day(rng: Random) -> date:
    return date(1985, 1, 1) + timedelta(days=rng.randrange(18_000))


def say_date(rng: Random, day: date) -> str:
    """A date as a text gives it."""
    month = MONTHS[day.month - 1]
    return rng.choice(
        (f"{day.day} {month} {day.year}", f"{month} {day.day}, {day.year}", day.isoformat())
    )


def _shift(rng: Random, parts: dict[str, str]) -> Body:
    day, days = _day(rng), rng.randint(9, 420)
    unit = "days"
    if rng.random() < 0.3:
        weeks = rng.randint(2, 40)
        days, unit = weeks * 7, "weeks"
    n = count(rng, days // 7 if unit == "weeks" else days)
    text, sign = rng.choice(
        (
            (f"What is the date {n} {unit} after {say_date(rng, day)}?", 1),
            (f"Which date falls {n} {unit} before {say_date(rng, day)}?", -1),
            (
                (
                    f"The bridge of {parts['town']} opened on {say_date(rng, day)} and was "
                    "repainted "
                    f"{n} {unit} later. On what date was it repainted?"
                ),
                1,
            ),
            (
                (
                    f"{parts['person']} signed a contract with {parts['company']} on "
                    f"{say_date(rng, day)}. The work must be done {n} {unit} after that. By "
                    "what date?"
                ),
                1,
            ),
            (
                (
                    f"A jubilee takes place on {say_date(rng, day)}. The invitations go out "
                    f"{n} {unit} "
                    f"earlier. On what date do they go out?"
                ),
                -1,
            ),
        )
    )
    answer = day + timedelta(days=sign * days)
    return Body(text + " Write it as YYYY-MM-DD.", answer.isoformat(), "exact")


def _between(rng: Random, parts: dict[str, str]) -> Body:
    first = _day(rng)
    second = first + timedelta(days=rng.randint(12, 900))
    a, b = say_date(rng, first), say_date(rng, second)
    text = rng.choice(
        (
            f"How many days are there from {a} to {b}?",
            f"How many days lie between {a} and {b}?",
            (
                f"{parts['company']} began digging on {a} and finished on {b}. How many days "
                "passed "
                f"from start to finish?"
            ),
            (
                f"{parts['person']} left {parts['town']} on {a} and came back on {b}. After "
                "how many "
                f"days was that?"
            ),
        )
    )
    return Body(text, str((second - first).days), "numeric", "Count the start day out.")


def _weekday(rng: Random, parts: dict[str, str]) -> Body:
    day = _day(rng)
    shown = say_date(rng, day)
    text = rng.choice(
        (
            f"On which day of the week does {shown} fall?",
            f"What day of the week was {shown}?",
            (
                f"The town hall of {parts['town']} was opened on {shown}. Which day of the "
                "week was "
                f"that?"
            ),
        )
    )
    return Body(text, WEEKDAYS[day.weekday()], "exact", "Name the weekday.")


def _weekday_later(rng: Random, parts: dict[str, str]) -> Body:
    start, days = rng.randrange(7), rng.randint(8, 600)
    sign = rng.choice((1, 1, -1))
    word = "after" if sign > 0 else "before"
    asked = f"is it {days} days from now" if sign > 0 else f"was it {days} days ago"
    text = rng.choice(
        (
            f"Today is {WEEKDAYS[start]}. What day of the week {asked}?",
            (
                f"The ferry to {parts['town']} sank on a {WEEKDAYS[start]}. Which day of the "
                "week came "
                f"{days} days {word} that?"
            ),
        )
    )
    return Body(text, WEEKDAYS[(start + sign * days) % 7], "exact", "Name the weekday.")


def _clock(minutes: int) -> str:
    return f"{minutes // 60 % 24:02d}:{minutes % 60:02d}"


def _span(rng: Random, minutes: int) -> str:
    hours, rest = divmod(minutes, 60)
    if hours and rest:
        return f"{count(rng, hours)} hours and {rest} minutes"
    if hours:
        return f"{count(rng, hours)} hours"
    return f"{rest} minutes"


def _arrival(rng: Random, parts: dict[str, str]) -> Body:
    start, length = rng.randrange(1440), rng.randint(130, 700)
    length += 0 if length // 60 >= 2 else 60
    shown = _span(rng, length)
    text, answer = rng.choice(
        (
            (
                (
                    f"A ferry leaves {parts['town']} at {_clock(start)} and takes {shown} to reach "
                    f"{parts['other']}. At what time does it arrive?"
                ),
                start + length,
            ),
            (
                (
                    f"{parts['person']} must be in {parts['town']} at {_clock(start)}. The "
                    "trip takes "
                    f"{shown}. What is the latest time to set off?"
                ),
                start - length,
            ),
            (
                (
                    f"The night shift at {parts['company']} begins at {_clock(start)} and "
                    f"lasts {shown}. "
                    f"When does it end?"
                ),
                start + length,
            ),
        )
    )
    shown = _clock(answer % 1440)
    accepted = [shown] if shown[0] != "0" else [shown, shown[1:]]
    value = json.dumps(accepted) if len(accepted) > 1 else shown
    return Body(text + " Write it as HH:MM.", value, "exact")


def _duration(rng: Random, parts: dict[str, str]) -> Body:
    start, length = rng.randrange(1440), rng.randint(25, 1100)
    a, b = _clock(start), _clock(start + length)
    note = " (the next day)" if start + length >= 1440 else ""
    text = rng.choice(
        (
            f"How many minutes pass from {a} to {b}{note}?",
            (
                f"A train leaves {parts['town']} at {a} and reaches {parts['other']} at "
                f"{b}{note}. How "
                f"many minutes does the ride take?"
            ),
            (
                f"The meeting at {parts['company']} started at {a} and closed at {b}{note}. "
                "How many "
                f"minutes did it last?"
            ),
        )
    )
    return Body(text, str(length), "numeric", "Answer with a single number.")


def _convert(rng: Random, parts: dict[str, str]) -> Body:
    if rng.random() < 0.5:
        big, small, factor = rng.choice(_METRIC)
        amount = rng.randint(11, 999) / rng.choice((1, 2, 4, 5, 10))
        shown = plain(amount)
        text = rng.choice(
            (
                f"How many {small} are {shown} {big}?",
                f"Convert {shown} {big} to {small}.",
                f"{parts['person']} noted {shown} {big}. Express that in {small}.",
            )
        )
        return Body(text, plain(amount * factor), "numeric", f"Give the number of {small} only.")
    old, new = rng.choice(_OLD)
    rate = rng.randint(11, 399) / 10
    amount = rng.randint(6, 240)
    one = old[:-1]
    if rng.random() < 0.5:
        text = (
            f"In old {parts['town']} one {one} was {plain(rate)} {new}. How many {new} were "
            f"{amount} {old}?"
        )
        return Body(text, plain(amount * rate), "numeric", "Answer with a single number.")
    text = (
        f"The scale in {parts['town']} counts one {one} as {plain(rate)} {new}. Convert "
        f"{plain(amount * rate)} {new} to {old}."
    )
    return Body(text, str(amount), "numeric", "Answer with a single number.")


def _speed(rng: Random, parts: dict[str, str]) -> Body:
    metres = rng.randint(3, 60)
    if rng.random() < 0.5:
        text = f"A train passes {parts['town']} at {plain(metres * 3.6)} kilometres per hour. "
        text += "What is that in metres per second?"
        return Body(text, str(metres), "numeric", "Answer with a single number.")
    text = f"The wind over the {parts['river']} blows at {metres} metres per second. "
    text += "Express that in kilometres per hour."
    return Body(text, plain(metres * 3.6), "numeric", "Answer with a single number.")
