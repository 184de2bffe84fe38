"""Exact arithmetic: equal to Python's own fractions, and never begun when it is too large."""

from __future__ import annotations

import math
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.tools.expression import ExpressionError, parse
from tasks.tools.rational import (
    NotRationalError,
    TooLargeError,
    evaluate,
    format_decimal,
    format_fraction,
)

leaves = st.integers(0, 50).map(str) | st.decimals(0, 50, places=2).map(str)
expressions = st.recursive(
    leaves,
    lambda inner: st.tuples(inner, st.sampled_from("+-*/"), inner).map(
        lambda parts: f"({parts[0]}{parts[1]}{parts[2]})"
    ),
    max_leaves=12,
)


@settings(max_examples=150)
@given(expressions)
def test_arithmetic_equals_fractions(text: str) -> None:
    exact = (
        eval(__import__("re").sub(r"[\d.]+", lambda m: f"Fraction('{m[0]}')", text))
        if ("/" not in text)
        else None
    )
    try:
        value = evaluate(parse(text))
    except ExpressionError:
        assert "/" in text
        return

    assert exact is None or exact == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("7 // 2", 3),
        ("-7 // 2", -4),
        ("-7 % 3", 2),
        ("2**-2", Fraction(1, 4)),
        ("4**0.5", 2),
        ("8**(1/3)", 2),
        ("(4/9)**1.5", Fraction(8, 27)),
        ("0**0", 1),
        ("(-1)**(10**30)", 1),
        ("1**(10**30)", 1),
        ("sqrt(144)", 12),
        ("cbrt(-27)", -3),
        ("root(32, 5)", 2),
        ("20!", math.factorial(20)),
        ("binomial(50, 3)", 19600),
        ("binomial(3, 5)", 0),
        ("perm(5, 2)", 20),
        ("gcd(12, 18, 27)", 3),
        ("lcm(4, 6)", 12),
        ("round(2.675, 2)", Fraction(268, 100)),
        ("round(-3.7)", -4),
        ("mean(1, 2, 4)", Fraction(7, 3)),
        ("max(1, 5/2)", Fraction(5, 2)),
        ("abs(-3) + floor(2.7) + ceil(2.1) + sign(-4)", 7),
        ("0.1 + 0.2", Fraction(3, 10)),
    ],
)
def test_values_are_exact(text: str, value: Fraction | int) -> None:
    assert value == evaluate(parse(text))


@pytest.mark.parametrize("text", ["sqrt(2)", "2**0.5", "pi", "x", "sin(1)", "1 < 2", "(-8)**(1/3)"])
def test_what_is_not_a_fraction_is_left_to_algebra(text: str) -> None:
    with pytest.raises(NotRationalError):
        evaluate(parse(text))


@pytest.mark.parametrize(
    "text",
    [
        "9**9**9",
        "factorial(10**9)",
        "(10**100)!",
        "2**(10**40)",
        "(((2**999)**999)**999)",
        "binomial(10**9, 5*10**8)",
        "perm(10**9, 10**8)",
        "(1/3)**(10**12)",
        "10**12000 * 10**12000",
        "lcm(2**39000, 3**20000)",
    ],
)
def test_too_large_is_said_at_once(text: str) -> None:
    # Computed instead of refused, each of these would take hours or all memory.
    with pytest.raises(TooLargeError, match="too large"):
        evaluate(parse(text))


@pytest.mark.parametrize("text", ["1/0", "0**-1", "5 % 0", "5 // 0", "mod(1, 0)", "root(2, 0)"])
def test_division_by_zero_is_a_sentence(text: str) -> None:
    with pytest.raises(ExpressionError, match="division by zero"):
        evaluate(parse(text))


@pytest.mark.parametrize("text", ["gcd(1.5, 2)", "factorial(-1)", "perm(-1, 2)", "round(1, 9999)"])
def test_functions_outside_their_domain_are_sentences(text: str) -> None:
    with pytest.raises(ExpressionError):
        evaluate(parse(text))


@settings(max_examples=100)
@given(st.fractions(), st.integers(1, 40))
def test_formatted_fractions_read_back_to_their_precision(value: Fraction, precision: int) -> None:
    text = format_fraction(value, precision)
    shown = Fraction(text)

    assert abs(shown - value) <= abs(value) * Fraction(1, 10 ** (precision - 1)) / 2


@settings(max_examples=100)
@given(st.decimals(allow_nan=False, allow_infinity=False))
def test_formatting_a_decimal_loses_nothing(value: Decimal) -> None:
    assert value == Decimal(format_decimal(value))
