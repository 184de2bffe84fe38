"""Reads word problems that are one scene: shopping, machines, journeys, comparisons."""

from __future__ import annotations

import re

from tasks.simulate.solve.expressions import Expr, num, op
from tasks.simulate.solve.words import NUMBER, value

_BOUGHT = re.compile(
    rf"({NUMBER}) [a-z]+ at ({NUMBER}) coins (?:each|apiece) and "
    rf"({NUMBER}) [a-z]+ at ({NUMBER}) coins"
)
_COST = re.compile(rf"([a-z]+) cost ({NUMBER}) coins (?:each|apiece)")
_TAKEN = re.compile(rf"\btakes ({NUMBER}) ([a-z]+) and ({NUMBER}) ([a-z]+)")
_FEE = re.compile(rf"\badds ({NUMBER}) coins")
_OFF = re.compile(rf"({NUMBER}) percent off")
_NOTE = re.compile(rf"\bpays with ({NUMBER}) coins")
_MACHINES = re.compile(rf"({NUMBER}) (?:machines|presses|looms|ovens)")
_RATE = re.compile(rf"({NUMBER}) [a-z]+ (?:an|per) hour")
_HOURS = re.compile(rf"({NUMBER}) hours a day")
_DAYS = re.compile(rf"\bfor ({NUMBER}) days")
_WASTE = re.compile(rf"({NUMBER}) [a-z]+ fail")
_BOXES = re.compile(rf"\bboxes of ({NUMBER})")
_LEG = re.compile(rf"\bfor ({NUMBER}) hours at ({NUMBER}) kilometres per hour")
_TIMES = re.compile(rf"([A-Z][a-z]+) has ({NUMBER}) times as many [a-z]+ as ([A-Z][a-z]+)")
_OFFSET = re.compile(rf"([A-Z][a-z]+) has ({NUMBER}) (more|fewer|less) [a-z]+ than ([A-Z][a-z]+)")
_HAS = re.compile(rf"([A-Z][a-z]+) has ({NUMBER}) [a-z]+\.")
_MORE = re.compile(r"How many more [a-z]+ does ([A-Z][a-z]+) have than ([A-Z][a-z]+)")
_ONE = re.compile(r"How many [a-z]+ does ([A-Z][a-z]+) have\?")


def read_scene(text: str) -> Expr | None:
    """The expression of a scene, or None when the text is none."""
    return _comparison(text) or _journey(text) or _output(text) or _shopping(text)


def _shopping(text: str) -> Expr | None:
    if match := _BOUGHT.search(text):
        a, p, b, q = map(value, match.groups())
    else:
        prices = {thing: value(price) for thing, price in _COST.findall(text)}
        taken = _TAKEN.search(text)
        if taken is None or not {taken.group(2), taken.group(4)} <= set(prices):
            return None
        a, b = value(taken.group(1)), value(taken.group(3))
        p, q = prices[taken.group(2)], prices[taken.group(4)]
    bill = op("+", op("*", a, p), op("*", b, q))
    if match := _FEE.search(text):
        bill = op("+", bill, value(match.group(1)))
    if match := _OFF.search(text):
        bill = op("-", bill, op("/", op("*", bill, value(match.group(1))), 100))
    if match := _NOTE.search(text):
        bill = op("-", value(match.group(1)), bill)
    return bill


def _output(text: str) -> Expr | None:
    found = [pattern.search(text) for pattern in (_MACHINES, _RATE, _HOURS, _DAYS)]
    machines, rate, hours, days = (value(one.group(1)) if one else None for one in found)
    if machines is None or rate is None or hours is None or days is None:
        return None
    total = op("*", op("*", op("*", machines, rate), hours), days)
    if match := _WASTE.search(text):
        return op("-", total, value(match.group(1)))
    if match := _BOXES.search(text):
        return op("/", total, value(match.group(1)))
    return total


def _journey(text: str) -> Expr | None:
    legs = _LEG.findall(text)
    if len(legs) != 2:
        return None
    (h, v), (g, w) = ((value(hours), value(speed)) for hours, speed in legs)
    first, second = op("*", h, v), op("*", g, w)
    if "average speed" in text:
        return op("/", op("+", first, second), op("+", h, g))
    if "differ" in text:
        return op("abs", op("-", first, second))
    return op("+", first, second)


def _comparison(text: str) -> Expr | None:
    times, offsets = _TIMES.findall(text), _OFFSET.findall(text)
    known: dict[str, Expr] = {name: num(value(number)) for name, number in _HAS.findall(text)}
    if not (times and offsets and known):
        return None
    for _ in range(3):
        for name, factor, other in times:
            if other in known:
                known.setdefault(name, op("*", known[other], value(factor)))
        for name, amount, word, other in offsets:
            if other in known:
                sign = "+" if word == "more" else "-"
                known.setdefault(name, op(sign, known[other], value(amount)))
    if match := _MORE.search(text):
        high, low = match.groups()
        return op("-", known[high], known[low]) if {high, low} <= set(known) else None
    if match := _ONE.search(text):
        return known.get(match.group(1))
    total, *rest = known.values()
    for part in rest:
        total = op("+", total, part)
    return total
