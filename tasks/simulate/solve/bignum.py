"""Reads computations with big numbers, in symbols and in words."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tasks.simulate.solve.base import Calculation
from tasks.simulate.solve.expressions import Expr, num, op
from tasks.simulate.solve.words import NUMBER, symbolic, value

if TYPE_CHECKING:
    from collections.abc import Callable

_N = f"({NUMBER})"


def _make(build: Callable[..., Expr]) -> Callable[[re.Match[str]], Expr]:
    return lambda match: build(*(num(value(group)) for group in match.groups()))


_FORMS: tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], Expr]], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), _make(build))
    for pattern, build in (
        (rf"add {_N} to the product of {_N} and {_N}", lambda c, a, b: op("+", op("*", a, b), c)),
        (
            rf"sum of {_N} and {_N} and multiply it by {_N}",
            lambda a, c, b: op("*", op("+", a, c), b),
        ),
        (
            rf"multiply {_N} by {_N},? (?:and )?then subtract {_N}",
            lambda a, b, c: op("-", op("*", a, b), c),
        ),
        (
            rf"{_N} crates with {_N} bottles each and has {_N} bottles left",
            lambda a, b, c: op("+", op("*", a, b), c),
        ),
        (rf"product of {_N} and {_N}", lambda a, b: op("*", a, b)),
        (rf"multiply {_N} by {_N}", lambda a, b: op("*", a, b)),
        (rf"{_N} [a-z]+ with {_N} [a-z]+ in each\. how many", lambda a, b: op("*", a, b)),
        (rf"each of the {_N} [a-z]+ of \w+ pays {_N}", lambda a, b: op("*", a, b)),
        (
            rf"spent {_N} coins on [a-z ]+, {_N} coins on [a-z ]+ and {_N} coins on",
            lambda a, b, c: op("+", op("+", a, b), c),
        ),
        (rf"sum of {_N}, {_N} and {_N}", lambda a, b, c: op("+", op("+", a, b), c)),
        (rf"difference between {_N} and {_N}", lambda a, b: op("abs", op("-", a, b))),
        (rf"subtract {_N} from {_N}", lambda a, b: op("-", b, a)),
        (rf"{_N} to the power (?:of )?{_N}", lambda a, b: op("**", a, b)),
        (rf"{_N} mod {_N}", lambda a, b: op("%", a, b)),
        (rf"remainder when {_N} is divided by {_N}", lambda a, b: op("%", a, b)),
        (rf"remainder does {_N} leave on division by {_N}", lambda a, b: op("%", a, b)),
        (
            rf"packs {_N} [a-z]+ in boxes of {_N}\. how many [a-z]+ are left over",
            lambda a, b: op("%", a, b),
        ),
        (rf"greatest common divisor of {_N} and {_N}", lambda a, b: op("gcd", a, b)),
        (rf"divides both {_N} and {_N}", lambda a, b: op("gcd", a, b)),
        (rf"least common multiple of {_N} and {_N}", lambda a, b: op("lcm", a, b)),
        (rf"that both {_N} and {_N} divide", lambda a, b: op("lcm", a, b)),
    )
)
_DIGITS = re.compile(r"(?:sum of|add up) the digits of (?:the )?(.+)", re.IGNORECASE)


def read(text: str) -> Calculation | None:
    """The expression of a computation, or None when the text is none."""
    if match := _DIGITS.search(text):
        inner = _plain(match.group(1))
        return None if inner is None else Calculation("arithmetic", op("digits", inner), 0.4)
    found = _plain(text)
    return None if found is None else Calculation("arithmetic", found, 0.2)


def _plain(text: str) -> Expr | None:
    for pattern, build in _FORMS:
        if match := pattern.search(text):
            return build(match)
    return symbolic(text)
