"""Numbers: equal within a tolerance, whatever they are dressed in.

`docs/grading.md` states the rules and the reasons. In short: relative error of at most 1e-6, or a
rounding the notation admits to; units converted where both sides have one; a percent sign on one
side only may mean a hundredth or nothing.
"""

from __future__ import annotations

import re
from dataclasses import replace
from fractions import Fraction

from tasks.grade.base import Grade, Reference
from tasks.grade.extract import Extracted, drop_reasoning, final_answer
from tasks.grade.quantity import Quantity, find_quantities
from tasks.tools.expression import ExpressionError, parse
from tasks.tools.rational import NotRationalError, evaluate

VERSION = "numeric-1"
TOLERANCE = Fraction(1, 10**6)
"""Relative error that is no error."""
_ROUNDED_DIGITS = 3
"""An answer rounded to fewer significant digits is another number."""
_REFERENCE_DIGITS = 4
"""A reference of fewer significant digits is exact, not rounded."""
_EXACT_DECIMALS = 2
"""A reference of at most so many decimals is exact: 12.54 is money, not a rounded 12.5398."""

_EXPRESSION = re.compile(
    r"[\dx)]\s?(?:\^(?!\{?\\circ)|\*\*(?=\s?[\d(]))|\\sqrt|√|π|\\pi\b|\bsqrt\("
)
"""A power, a root or pi: an answer left to be worked out."""
_TIMES_TEN = re.compile(r"(?:×|\*|·|x|\\times|\\cdot)\s?10\s?(?:\^|\*\*)")


def grade_numeric(answer: str, reference: Reference) -> Grade:
    """1 for the same quantity, 0 for another, unscored when no single number can be read."""
    wanted = find_quantities(reference.value)
    if len(wanted) != 1 or wanted[0].ambiguous:
        return Grade(None, "numeric", VERSION, f"the reference {reference.value!r} is no number")
    found, problem = read_answer(answer)
    if found is None:
        return Grade(None, "numeric", VERSION, problem)
    score = float(same_quantity(found, wanted[0]))
    return Grade(score, "numeric", VERSION, extracted=show(found))


def read_answer(answer: str) -> tuple[Quantity | None, str | None]:
    """The number an answer gives, or None with the reason why it gives none."""
    extracted = final_answer(answer)
    if _EXPRESSION.search(_TIMES_TEN.sub(" ", extracted.text)):
        return _evaluate(extracted.text)
    found = _find_in(extracted)
    if not found and extracted.how == "line":
        found = find_quantities(drop_reasoning(answer))[-1:]
    if not found:
        return None, "no number found"
    if any(quantity.ambiguous for quantity in found):
        return None, f"the number in {extracted.text[:80]!r} can be read in two ways"
    if extracted.how == "line":
        return found[-1], None
    if len({quantity.value for quantity in found}) > 1:
        return None, f"several numbers: {', '.join(map(show, found[:5]))}"
    return found[0], None


def _find_in(extracted: Extracted) -> list[Quantity]:
    """Numbers of the final answer: after its last equals sign, and outside brackets, if any."""
    text = extracted.text
    candidates = find_quantities(re.split(r"=|≈|\\approx", text)[-1]) or find_quantities(text)
    if len(candidates) <= 1:
        return candidates
    bold = re.findall(r"\*\*(.+?)\*\*", text)
    emphasised = find_quantities(bold[-1]) if bold else []
    outside = find_quantities(re.sub(r"\([^()]*\)", " ", text))
    return emphasised or outside or candidates


def _evaluate(text: str) -> tuple[Quantity | None, str | None]:
    """An answer left as an expression, `2^{10}` say: its value where it is a fraction."""
    plain = re.sub(r"\\sqrt\s*\{([^{}]*)\}", r"sqrt(\1)", re.split(r"=|≈|\\approx", text)[-1])
    plain = re.sub(r"\\(?:times|cdot)", "*", plain).replace("$", "")
    try:
        return Quantity(evaluate(parse(plain))), None
    except (ExpressionError, NotRationalError):
        return None, f"the answer {text[:80]!r} is an expression, not a number"


def same_quantity(answer: Quantity, reference: Quantity) -> bool:
    """Whether two quantities are the same, percent signs and units considered."""
    converted = False
    if answer.unit is not None and reference.unit is not None:
        if answer.unit.dimension != reference.unit.dimension:
            return False
        factor = answer.unit.factor / reference.unit.factor
        # Between metric and imperial an answer can only be rounded.
        converted = not _is_power_of_ten(factor)
        answer = _scaled(answer, factor)
    if _same_number(answer, reference, converted):
        return True
    if answer.percent == reference.percent:
        return False
    # One side has the sign: 50% is both the 50 of "what percent" and 0.5.
    if answer.percent:
        return _same_number(_scaled(answer, Fraction(1, 100)), reference, converted)
    return _same_number(_scaled(answer, Fraction(100)), reference, converted)


def _same_number(answer: Quantity, reference: Quantity, converted: bool) -> bool:
    difference = abs(answer.value - reference.value)
    if difference <= TOLERANCE * abs(reference.value):
        return True
    rounded_reference = reference.decimals > _EXACT_DECIMALS or (
        reference.quantum is None and reference.value.denominator != 1
    )
    if (
        answer.quantum is not None
        and answer.digits >= _ROUNDED_DIGITS
        and (rounded_reference or converted or _is_scientific(answer))
        and difference <= answer.quantum / 2
    ):
        return True
    return (
        reference.quantum is not None
        and reference.digits >= _REFERENCE_DIGITS
        and (answer.value.denominator != 1)
        and (answer.quantum is None or answer.quantum < reference.quantum)
        and difference <= reference.quantum / 2
    )


def show(quantity: Quantity) -> str:
    """A quantity as text, for the grade's `extracted`."""
    value = quantity.value
    number = str(value.numerator) if value.denominator == 1 else f"{float(value):.12g}"
    return number + ("%" if quantity.percent else "")


def _scaled(quantity: Quantity, factor: Fraction) -> Quantity:
    quantum = None if quantity.quantum is None else quantity.quantum * factor
    return replace(quantity, value=quantity.value * factor, quantum=quantum)


def _is_scientific(quantity: Quantity) -> bool:
    return quantity.quantum is not None and quantity.decimals == 0


def _is_power_of_ten(factor: Fraction) -> bool:
    digits = str(factor.numerator) + str(factor.denominator)
    return set(digits.replace("1", "", 2)) <= {"0"}
