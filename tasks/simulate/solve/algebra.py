"""Reads algebra: equations in symbols, number riddles, and scenes with two unknowns.

What is read becomes a closed form, such as (c - b) / a or Cramer's rule, which is what a model
would type into a calculator.
"""

from __future__ import annotations

import re
from fractions import Fraction
from typing import TYPE_CHECKING

from tasks.simulate.solve.base import Calculation
from tasks.simulate.solve.expressions import Expr, num, op
from tasks.simulate.solve.words import NUMBER, value

if TYPE_CHECKING:
    from collections.abc import Callable

_LETTER = r"(?<![A-Za-z])[a-z](?![A-Za-z])"
_TERM = rf"(?:\d+\([a-z] [+-] \d+\)|\d+(?:[a-z](?![A-Za-z]))?(?:\^2|²)?|{_LETTER}(?:\^2|²)?)"
_SIDE = rf"-?{_TERM}(?: [+-] {_TERM})*"
_EQUATION = re.compile(rf"({_SIDE}) = ({_SIDE})")
_ONE_TERM = re.compile(r"([+-]?) ?(\d*)([a-z]?)(\^2|²)?$")
_BRACKET = re.compile(r"(\d+)\(([a-z]) ([+-]) (\d+)\)$")
_TARGET = re.compile(rf"(?:what is|find|state) ({_LETTER})(?: ([-+*]) ({_LETTER}))?[?.]")

Coefficients = dict[str, Fraction]


def read(text: str) -> Calculation | None:
    """The closed form of an algebra question, or None when the text is none."""
    equations = [_coefficients(*sides) for sides in _EQUATION.findall(text)]
    if equations:
        found = _symbols(text, equations)
        return None if found is None else Calculation("algebra", found, -0.6)
    scene = _riddle(text) or _scene(text)
    return None if scene is None else Calculation("algebra", scene, -0.2)


def _coefficients(left: str, right: str) -> Coefficients:
    """Left - right as coefficients of `x`, `x2` (its square) and `` (the constant)."""
    found: Coefficients = {}
    for side, sign in ((left, 1), (right, -1)):
        if match := _BRACKET.fullmatch(side):
            factor, name, plus, shift = match.groups()
            _add(found, name, sign * Fraction(factor))
            _add(found, "", sign * Fraction(factor) * Fraction(f"{plus}{shift}"))
            continue
        for part in re.split(r" (?=[+-] )", side):
            term = _ONE_TERM.match(part)
            if term is not None:
                plus, size, name, square = term.groups()
                amount = Fraction(size or 1) * (-1 if plus == "-" else 1)
                _add(found, f"{name}2" if square else name, sign * amount)
    return found


def _add(found: Coefficients, key: str, amount: Fraction) -> None:
    found[key] = found.get(key, Fraction(0)) + amount


def _symbols(text: str, equations: list[Coefficients]) -> Expr | None:
    names = sorted({key[0] for one in equations for key in one if key})
    if any(len(key) == 2 for one in equations for key in one):
        return _quadratic(text.lower(), equations[0], names[0])
    if len(names) == 1:
        one = equations[0]
        return op("/", -one.get("", Fraction(0)), one[names[0]])
    if len(names) == 2 and len(equations) >= 2:
        return _system(text, equations[0], equations[1], names)
    return None


def _quadratic(text: str, one: Coefficients, name: str) -> Expr | None:
    a, b, c = one[f"{name}2"], one.get(name, Fraction(0)), one.get("", Fraction(0))
    root = op("sqrt", op("-", op("**", b, 2), op("*", 4 * a, c)))
    if "sum of the squares" in text:
        return op("-", op("**", -b / a, 2), op("*", 2, c / a))
    if "differ" in text:
        return op("/", root, a)
    if re.search(r"\b(?:larger|largest|greater|greatest|bigger)\b", text):
        return op("/", op("+", -b, root), 2 * a)
    if re.search(r"\b(?:smaller|smallest|least|lesser)\b", text):
        return op("/", op("-", num(-b), root), 2 * a)
    return None


def _cramer(first: Coefficients, second: Coefficients, name: str, other: str) -> Expr:
    a, b, e = (first.get(key, Fraction(0)) for key in (name, other, ""))
    c, d, f = (second.get(key, Fraction(0)) for key in (name, other, ""))
    above = op("-", op("*", -e, d), op("*", b, -f))
    return op("/", above, op("-", op("*", a, d), op("*", b, c)))


def _system(text: str, first: Coefficients, second: Coefficients, names: list[str]) -> Expr | None:
    targets = _TARGET.findall(text)
    if not targets:
        return None
    one, sign, two = targets[-1]
    solved = {name: _cramer(first, second, name, other) for name, other in (names, reversed(names))}
    if one not in solved or (two and two not in solved):
        return None
    return op(sign, solved[one], solved[two]) if two else solved[one]


_N = f"({NUMBER})"
_R = rf"(-?{NUMBER})"
_K = rf"(twice|thrice|{NUMBER})"
_RIDDLES: tuple[tuple[str, Callable[..., Expr]], ...] = (
    (
        rf"multipl(?:y|ies) it by {_N} and adds? {_N}.*?(?:is|gives) {_R}",
        lambda k, b, r: op("/", op("-", r, b), k),
    ),
    (
        rf"multipl(?:y|ies) it by {_N} and subtracts? {_N}.*?(?:is|gives) {_R}",
        lambda k, b, r: op("/", op("+", r, b), k),
    ),
    (
        rf"{_N} is added to {_K}(?: times)? a number, the result is {_R}",
        lambda b, k, r: op("/", op("-", r, b), k),
    ),
    (
        rf"{_N} less than {_K}(?: times)? a number (?:is|equals) {_R}",
        lambda b, k, r: op("/", op("+", r, b), k),
    ),
    (
        rf"{_N} more than {_K}(?: times)? a number (?:is|equals) {_R}",
        lambda b, k, r: op("/", op("-", r, b), k),
    ),
    (
        rf"sum of three consecutive whole numbers is {_N}",
        lambda total: op("/", op("-", total, 3), 3),
    ),
    (
        rf"sum of two consecutive whole numbers is {_N}",
        lambda total: op("/", op("+", total, 1), 2),
    ),
    (
        rf"is {_N} times as old as [A-Z]\w+\. Together they are {_N} years old\. How old is",
        lambda k, total: op("/", total, op("+", k, 1)),
    ),
    (
        rf"is {_N} years older than [A-Z]\w+, and {_N} times as old",
        lambda gap, k: op("*", op("/", gap, op("-", k, 1)), k),
    ),
    (
        rf"is {_N} times as old as [A-Z]\w+\. In {_N} years their ages will add up to {_N}",
        lambda k, later, total: op(
            "*", op("/", op("-", total, op("*", 2, later)), op("+", k, 1)), k
        ),
    ),
)
_COMPILED = tuple((re.compile(pattern), build) for pattern, build in _RIDDLES)


def _riddle(text: str) -> Expr | None:
    for pattern, build in _COMPILED:
        if match := pattern.search(text):
            return build(*(num(value(group)) for group in match.groups()))
    return None


_PRICES = re.compile(
    rf"([a-z]+) tickets? (?:at|costs?) {_N} coins and "
    rf"(?:each )?([a-z]+) tickets? (?:at )?{_N} coins"
)
_SOLD = re.compile(rf"{_N} (?:tickets were sold for|people paid) {_N} coins")
_ASKED = re.compile(r"How many ([a-z]+)(?: tickets)? (?:were sold|are there)")
_HEADS = re.compile(rf"there are ([a-z]+) and ([a-z]+): {_N} heads and {_N} legs")


def _scene(text: str) -> Expr | None:
    asked = _ASKED.search(text)
    prices, sold = _PRICES.search(text), _SOLD.search(text)
    if asked and prices and sold:
        first, p, second, q = prices.groups()
        count, money = map(value, sold.groups())
        low, high = (value(q), value(p)) if asked.group(1) == first else (value(p), value(q))
        if asked.group(1) not in (first, second):
            return None
        return op("/", op("-", money, op("*", count, low)), op("-", high, low))
    if asked and (match := _HEADS.search(text)):
        birds, beasts, heads, legs = match.groups()
        count, feet = value(heads), value(legs)
        if asked.group(1) == beasts:
            return op("/", op("-", feet, op("*", 2, count)), 2)
        if asked.group(1) == birds:
            return op("/", op("-", op("*", 4, count), feet), 2)
    return None
