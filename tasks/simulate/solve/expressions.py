"""Expressions as a simulated model holds them: exact values, slips of the head, misreadings."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from random import Random


@dataclass(frozen=True, slots=True)
class Num:
    """A number read off the text."""

    value: Fraction


@dataclass(frozen=True, slots=True)
class Op:
    """An operation: + - * / ** % gcd lcm abs sqrt digits, with its operands."""

    symbol: str
    args: tuple[Expr, ...]


Expr = Num | Op

_PRECEDENCE = {"+": 1, "-": 1, "*": 2, "/": 2, "%": 2, "**": 3}
_LARGEST_POWER = 400


def num(value: Fraction | int | str) -> Num:
    """A number."""
    return Num(Fraction(value))


def op(symbol: str, *args: Expr | int | Fraction) -> Op:
    """An operation; bare numbers are wrapped."""
    wrapped = (arg if isinstance(arg, Num | Op) else Num(Fraction(arg)) for arg in args)
    return Op(symbol, tuple(wrapped))


def apply(symbol: str, values: list[Fraction]) -> Fraction:
    """One operation, exactly.

    Raises:
        ArithmeticError: division by zero, or a result that is no fraction of sane size.
    """
    first = values[0]
    if symbol == "abs":
        return abs(first)
    if symbol == "digits":
        return Fraction(sum(map(int, str(abs(int(first))))))
    if symbol == "sqrt":
        if first < 0:
            raise ArithmeticError("root of a negative number")
        exact = math.isqrt(first.numerator), math.isqrt(first.denominator)
        if exact[0] ** 2 == first.numerator and exact[1] ** 2 == first.denominator:
            return Fraction(*exact)
        return Fraction(math.sqrt(first)).limit_denominator(10**6)
    return _binary(symbol, first, values[1])


def _binary(symbol: str, a: Fraction, b: Fraction) -> Fraction:
    match symbol:
        case "+":
            return a + b
        case "-":
            return a - b
        case "*":
            return a * b
        case "/":
            return a / b
        case "%":
            return a % b
        case "gcd":
            return Fraction(math.gcd(int(a), int(b)))
        case "lcm":
            return Fraction(math.lcm(int(a), int(b)))
        case _:
            if b.denominator != 1 or abs(b) > _LARGEST_POWER:
                raise ArithmeticError("power out of reach")
            return a ** int(b)


def exact(expr: Expr) -> Fraction:
    """The value of an expression.

    Raises:
        ArithmeticError: it has none.
    """
    if isinstance(expr, Num):
        return expr.value
    return apply(expr.symbol, [exact(arg) for arg in expr.args])


def operations(expr: Expr) -> int:
    """How many operations an expression has."""
    return 0 if isinstance(expr, Num) else 1 + sum(operations(arg) for arg in expr.args)


def largest_digits(expr: Expr) -> int:
    """Digits of the largest number in an expression."""
    if isinstance(expr, Num):
        return len(str(abs(expr.value.numerator)))
    return max(largest_digits(arg) for arg in expr.args)


def uses(expr: Expr, symbol: str) -> bool:
    """Whether an operation occurs."""
    if isinstance(expr, Num):
        return False
    return expr.symbol == symbol or any(uses(arg, symbol) for arg in expr.args)


def show(value: Fraction) -> str:
    """A value as a model writes it: whole, as a decimal, or rounded to four places."""
    if value.denominator == 1:
        return str(value.numerator)
    return f"{float(value):.4f}".rstrip("0").rstrip(".")


def write(expr: Expr, outer: int = 0) -> str:
    """An expression in the notation that Python and the calculator share."""
    if isinstance(expr, Num):
        text = show(expr.value)
        return f"({text})" if expr.value < 0 and outer else text
    if expr.symbol == "digits":
        return f"sum(int(digit) for digit in str({write(expr.args[0])}))"
    if expr.symbol not in _PRECEDENCE:
        return f"{expr.symbol}({', '.join(write(arg) for arg in expr.args)})"
    level = _PRECEDENCE[expr.symbol]
    left, right = expr.args
    text = f"{write(left, level + (level == 3))} {expr.symbol} {write(right, level + 1)}"
    return f"({text})" if level < outer else text


def strain(symbol: str, values: list[Fraction]) -> float:
    """How hard an operation is to do in the head: 0 for 2 + 3, 1 for what nobody can."""
    digits = [len(str(abs(value.numerator))) + 2 * (value.denominator > 1) for value in values]
    longest, shortest = max(digits), min(digits)
    if symbol in ("+", "-", "abs"):
        return min(1.0, 0.05 * max(0, longest - 1))
    if symbol in ("*", "/"):
        return min(1.0, 0.09 * max(0, longest * shortest - 1))
    return min(1.0, 0.25 * longest)


def slipped(value: Fraction, rng: Random) -> Fraction:
    """A value as a slip leaves it: a lost carry, a wrong digit, a unit too many."""
    whole = abs(value.numerator) // value.denominator
    place = 10 ** rng.randrange(max(1, len(str(whole))))
    off = rng.choice((1, -1)) * rng.choice((place, place, 1, 2 * place))
    return value + off


def by_head(expr: Expr, rng: Random, slip: float, steps: list[str]) -> Fraction:
    """The value as worked out in the head; every operation may slip, `steps` gets the working.

    Args:
        expr: what to work out.
        rng: the model's own luck on this question.
        slip: 0 never slips; the chance of a slip at an operation is `slip` times its strain.
        steps: receives one line an operation.

    Raises:
        ArithmeticError: it has no value.
    """
    if isinstance(expr, Num):
        return expr.value
    values = [by_head(arg, rng, slip, steps) for arg in expr.args]
    value = apply(expr.symbol, values)
    if rng.random() < slip * strain(expr.symbol, values):
        value = slipped(value, rng)
    shown = [show(one) for one in values]
    if expr.symbol in _PRECEDENCE:
        steps.append(f"{f' {expr.symbol} '.join(shown)} = {show(value)}")
    else:
        steps.append(f"{expr.symbol}({', '.join(shown)}) = {show(value)}")
    return value


def misread(expr: Expr, rng: Random) -> Expr:
    """The expression with one real mistake in it: its value differs."""
    try:
        right: Fraction | None = exact(expr)
    except ArithmeticError:
        right = None
    for _ in range(8):
        wrong = _one_mistake(expr, rng)
        try:
            value = exact(wrong)
        except ArithmeticError:
            continue
        if value != right:
            return wrong
    return op("+", expr, 1)


def _one_mistake(expr: Expr, rng: Random) -> Expr:
    if isinstance(expr, Num):
        return _wrong_number(expr, rng)
    draw = rng.random()
    inner = [index for index, arg in enumerate(expr.args) if isinstance(arg, Op)]
    if inner and draw < 0.55:
        place = rng.choice(inner)
    elif draw < 0.7:
        place = rng.randrange(len(expr.args))
    else:
        return _wrong_operation(expr, rng)
    args = list(expr.args)
    args[place] = _one_mistake(args[place], rng)
    return Op(expr.symbol, tuple(args))


def _wrong_number(number: Num, rng: Random) -> Expr:
    text = str(abs(number.value.numerator))
    if len(text) > 1 and rng.random() < 0.6:
        place = rng.randrange(len(text) - 1)
        turned = text[:place] + text[place + 1] + text[place] + text[place + 2 :]
        if turned != text:
            return Num(Fraction(int(turned), number.value.denominator))
    return Num(number.value + rng.choice((1, -1, 1, 10)))


def _wrong_operation(expr: Op, rng: Random) -> Expr:
    swaps = {"+": "-", "-": "+", "*": "+", "/": "*", "**": "*", "%": "/", "gcd": "lcm", "lcm": "*"}
    draw = rng.random()
    if draw < 0.4 or len(expr.args) == 1:
        return expr.args[0]
    if draw < 0.6 and expr.symbol in ("-", "/", "**", "%"):
        return Op(expr.symbol, expr.args[::-1])
    return Op(swaps.get(expr.symbol, expr.symbol), expr.args)
