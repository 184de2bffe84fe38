"""Exact arithmetic on fractions under proven size bounds: no operation is begun that is too large.

Most of what models ask a calculator needs no algebra system. Every operation's result is bounded
from the sizes of its operands before it is computed, so `9**9**9` and `factorial(10**9)` are
refused in microseconds.
"""

from __future__ import annotations

import math
from decimal import Context, Decimal
from fractions import Fraction
from typing import TYPE_CHECKING

from tasks.tools.expression import ExpressionError

if TYPE_CHECKING:
    from collections.abc import Callable

    from tasks.tools.expression import Tree

MOST_BITS = 40_000
"""Size of the largest numerator or denominator: about 12,000 digits."""


class NotRationalError(Exception):
    """The value is not a fraction this module can compute: the algebra system must."""


class TooLargeError(ExpressionError):
    """The exact value would have more digits than the calculator computes."""


def evaluate(tree: Tree) -> Fraction:
    """The exact value of a tree without unknowns or irrational parts.

    Raises:
        NotRationalError: it needs algebra, or its value is irrational or a truth value.
        TooLargeError: a part would have more than `MOST_BITS` bits.
        ExpressionError: division by zero, or a function outside its domain.
    """
    match tree:
        case ["num", str(text)]:
            return Fraction(text)
        case ["neg", inner]:
            return -evaluate(inner)
        case ["op", str(operator), left, right]:
            return operate(operator, evaluate(left), evaluate(right))
        case ["call", str(name), *parts] if name in _EXACT:
            return call(name, [evaluate(part) for part in parts])
    raise NotRationalError


def operate(operator: str, left: Fraction, right: Fraction) -> Fraction:
    """One operator on two fractions, refused before it is begun when it is too large."""
    if operator == "**":
        return power(left, right)
    if operator in {"/", "//", "%"} and right == 0:
        raise ExpressionError("division by zero")
    _check(_bits(left) + _bits(right) + 1)
    match operator:
        case "+":
            return left + right
        case "-":
            return left - right
        case "*":
            return left * right
        case "/":
            return left / right
        case "//":
            return Fraction(left // right)
        case _:
            return left % right


def power(base: Fraction, exponent: Fraction) -> Fraction:
    """Base ** exponent: bits(base ** n) <= bits(base) * n, checked first."""
    if exponent.denominator != 1:
        root = _exact_root(base, exponent.denominator)
        if root is None:
            raise NotRationalError
        return power(root, Fraction(exponent.numerator))
    if base == 0 and exponent < 0:
        raise ExpressionError("division by zero")
    if base in {0, 1}:
        return Fraction(1) if exponent == 0 else base
    if base == -1:
        return Fraction(1 if exponent.numerator % 2 == 0 else -1)
    _check(_bits(base) * abs(exponent.numerator))
    return Fraction(base**exponent.numerator)


def call(name: str, values: list[Fraction]) -> Fraction:
    """One of the functions whose values on fractions are fractions."""
    return _EXACT[name](values)


def format_fraction(value: Fraction, precision: int) -> str:
    """Decimal text with `precision` significant digits; integers of up to 40 digits in full."""
    if value.denominator == 1 and abs(value.numerator) < 10**40:
        return str(value.numerator)
    context = Context(prec=precision, Emax=999_999, Emin=-999_999)
    return format_decimal(context.divide(Decimal(value.numerator), Decimal(value.denominator)))


def format_decimal(value: Decimal) -> str:
    """Plain notation between 1e-6 and 1e21, scientific beyond; no trailing zeros."""
    if value == 0:
        return "0"
    digits = "".join(map(str, value.as_tuple().digits)).rstrip("0") or "0"
    magnitude = value.adjusted()
    sign = "-" if value < 0 else ""
    if not -7 < magnitude < 21:
        mantissa = digits[0] + (f".{digits[1:]}" if digits[1:] else "")
        return f"{sign}{mantissa}e{magnitude:+d}"
    if magnitude < 0:
        return f"{sign}0.{'0' * (-magnitude - 1)}{digits}"
    whole = digits[: magnitude + 1].ljust(magnitude + 1, "0")
    rest = digits[magnitude + 1 :]
    return f"{sign}{whole}{'.' + rest if rest else ''}"


def _bits(value: Fraction) -> int:
    return max(value.numerator.bit_length(), value.denominator.bit_length())


def _check(bits: int) -> None:
    if bits > MOST_BITS:
        digits = int(bits * 0.30103)
        raise TooLargeError(f"the exact result is too large: up to {digits:,} digits")


def _exact_root(base: Fraction, degree: int) -> Fraction | None:
    """The rational root of a fraction that is not negative, None when there is none."""
    if base < 0:
        return None
    parts = [_integer_root(part, degree) for part in (base.numerator, base.denominator)]
    return None if parts[0] is None or parts[1] is None else Fraction(parts[0], parts[1])


def _integer_root(value: int, degree: int) -> int | None:
    if value < 2:
        return value
    if degree > value.bit_length():
        return None
    low, high = 1, 1 << (value.bit_length() // degree + 1)
    while low < high:
        middle = (low + high + 1) // 2
        if middle**degree <= value:
            low = middle
        else:
            high = middle - 1
    return low if low**degree == value else None


def _integers(name: str, values: list[Fraction]) -> list[int]:
    if any(value.denominator != 1 for value in values):
        raise ExpressionError(f"{name} takes whole numbers")
    return [value.numerator for value in values]


def _natural(name: str, values: list[Fraction]) -> list[int]:
    numbers = _integers(name, values)
    if any(number < 0 for number in numbers):
        raise ExpressionError(f"{name} takes numbers that are not negative")
    return numbers


def _factorial(values: list[Fraction]) -> Fraction:
    if values[0].denominator != 1:
        raise NotRationalError
    (number,) = _natural("factorial", values)
    _check(number * max(1, number.bit_length()))
    return Fraction(math.factorial(number))


def _binomial(values: list[Fraction]) -> Fraction:
    number, chosen = _natural("binomial", values)
    if chosen > number:
        return Fraction(0)
    _check(min(chosen, number - chosen) * max(1, number.bit_length()))
    return Fraction(math.comb(number, chosen))


def _perm(values: list[Fraction]) -> Fraction:
    number, chosen = _natural("perm", values)
    if chosen > number:
        return Fraction(0)
    _check(chosen * max(1, number.bit_length()))
    return Fraction(math.perm(number, chosen))


def _lcm(values: list[Fraction]) -> Fraction:
    numbers = _integers("lcm", values)
    _check(sum(number.bit_length() for number in numbers))
    return Fraction(math.lcm(*numbers))


def _root(values: list[Fraction]) -> Fraction:
    base, degree = values
    if degree == 0:
        raise ExpressionError("division by zero")
    if base < 0 and degree.denominator == 1 and degree.numerator % 2 == 1:
        return -power(-base, 1 / degree)
    return power(base, 1 / degree)


def _round(values: list[Fraction]) -> Fraction:
    places = _integers("round", values[1:])[0] if len(values) > 1 else 0
    if abs(places) > 1000:
        raise ExpressionError("round takes at most 1000 places")
    return Fraction(round(values[0], places))


def _mean(values: list[Fraction]) -> Fraction:
    total = Fraction(0)
    for value in values:
        total = operate("+", total, value)
    return total / len(values)


_EXACT: dict[str, Callable[[list[Fraction]], Fraction]] = {
    "abs": lambda values: abs(values[0]),
    "sign": lambda values: Fraction((values[0] > 0) - (values[0] < 0)),
    "floor": lambda values: Fraction(math.floor(values[0])),
    "ceil": lambda values: Fraction(math.ceil(values[0])),
    "ceiling": lambda values: Fraction(math.ceil(values[0])),
    "round": _round,
    "min": min,
    "max": max,
    "mean": _mean,
    "gcd": lambda values: Fraction(math.gcd(*_integers("gcd", values))),
    "lcm": _lcm,
    "mod": lambda values: operate("%", *values),
    "pow": lambda values: power(*values),
    "factorial": _factorial,
    "binomial": _binomial,
    "comb": _binomial,
    "perm": _perm,
    "sqrt": lambda values: _root([values[0], Fraction(2)]),
    "cbrt": lambda values: _root([values[0], Fraction(3)]),
    "root": _root,
}
