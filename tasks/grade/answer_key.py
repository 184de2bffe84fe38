"""Answer keys: two answers that say the same have the same key, whoever wrote them.

Agreement between pairs is what multi-step routing lives on. A key is read from the answer alone,
never from a reference, so that it can be taken at run time:

| the question's grader | key |
|---|---|
| `numeric` | the number of the final answer, to four significant digits |
| `choice` | the option letter; of an answer without a letter, as for `exact` |
| `code` | the program's syntax tree, without its docstrings and comments |
| `exact`, `token_f1`, `judge`, `recorded` or none | a list, a number or normalised text |

An answer that is empty, failed, declined or named several options has no key: it supports
nothing. A percent sign stays (`5 %` is not `5`), a scale word is multiplied out (`2 thousand` is
`2000`), units and currency signs go. Lists are sets: their order does not matter.
"""

from __future__ import annotations

import ast
import hashlib
import json
import math
from fractions import Fraction

from tasks.grade.abstain import declined
from tasks.grade.choice import find_letters
from tasks.grade.extract import final_answer
from tasks.grade.normalise import normalise
from tasks.grade.numeric import read_answer
from tasks.grade.programs import HiddenTests, find_program
from tasks.grade.quantity import SCALES, Quantity, find_quantities

VERSION = "key-1"
SIGNIFICANT_DIGITS = 4
"""Two roundings of one number agree; two numbers that differ by a percent do not."""
_LONGEST_TEXT = 400
"""Longer normalised texts become a hash: they agree only when they are the same text."""


def answer_key(answer: str | None, grader: str | None = None) -> str | None:
    """The key of an answer, or None where it has none.

    Args:
        answer: what the pair wrote; None where its call failed.
        grader: of the question, which says what kind of answer it wants; None where unknown.
    """
    if answer is None or not answer.strip() or declined(answer):
        return None
    if grader == "choice":
        return _choice(answer)
    if grader == "code":
        return _program(answer)
    if grader == "numeric":
        return _number_in(answer)
    is_list, key = _listed(answer)
    return key if is_list else _text(final_answer(answer).text)


def number_key(value: Fraction | float, *, percent: bool = False) -> str | None:
    """Key of a number: `n:` (or `p:` for a percentage) and four significant digits.

    None of what is not finite. Zero has no sign.
    """
    if isinstance(value, float):
        if not math.isfinite(value):
            return None
        value = Fraction(value)
    return f"{'p' if percent else 'n'}:{_rounded(value)}"


def _rounded(value: Fraction) -> str:
    """`-1.235e+03`: exact half-even rounding, whatever the size of the fraction."""
    if value == 0:
        return "0"
    size = abs(value)
    exponent = _exponent(size)
    digits = round(size / Fraction(10) ** (exponent - SIGNIFICANT_DIGITS + 1))
    if digits == 10**SIGNIFICANT_DIGITS:
        digits, exponent = digits // 10, exponent + 1
    sign = "-" if value < 0 else ""
    return f"{sign}{str(digits).rstrip('0')}e{exponent}"


def _exponent(size: Fraction) -> int:
    """The power of ten of the first digit."""
    guess = len(str(size.numerator)) - len(str(size.denominator))
    return guess if Fraction(10) ** guess <= size else guess - 1


def _choice(answer: str) -> str | None:
    letters = find_letters(answer)
    found = final_answer(answer).text
    if len(letters) == 1 and not _is_word_with_capital(found, letters[0]):
        return f"o:{letters[0]}"
    return None if len(letters) > 1 else _text(found)


def _is_word_with_capital(found: str, letter: str) -> bool:
    """`Vitamin C` names no option C: a lone capital inside a short text is part of its name."""
    words = found.strip("()[]{}.:,; ").split()
    return (
        len(words) in {2, 3}
        and words[-1].strip(".)") == letter
        and words[0].isalpha()
        and (words[0].lower() not in {"option", "choice", "answer", "is", "the", "letter"})
    )


def _program(answer: str) -> str | None:
    program = find_program(answer, HiddenTests(()))
    if program is None:
        return None
    try:
        tree = ast.parse(program)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            first = node.body[0] if node.body else None
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
                node.body = node.body[1:] or [ast.Pass()]
    try:
        shape = ast.dump(tree)
    except RecursionError:
        return None
    return f"c:{hashlib.sha256(shape.encode()).hexdigest()[:20]}"


def _number_in(answer: str) -> str | None:
    quantity, _ = read_answer(answer)
    return None if quantity is None else _quantity(quantity)


def _quantity(quantity: Quantity) -> str | None:
    return number_key(quantity.value, percent=quantity.percent)


def _listed(answer: str) -> tuple[bool, str | None]:
    """Whether an answer is a JSON list, and its key.

    A list of texts and numbers; or a number or such a list with its scale or unit beside it:
    `[["3 million", "4"], ""]`, `[[3, 4], "million"]`, `[2019, "year"]`, as table questions are
    commonly answered. Blanks say nothing.
    """
    try:
        value = json.loads(answer)
    except (ValueError, RecursionError):
        return False, None
    if not isinstance(value, list):
        return False, None
    scale = ""
    if len(value) == 2 and isinstance(value[1], str) and not isinstance(value[0], str):
        value, scale = value[0], value[1].strip().lower()
    items = value if isinstance(value, list) else [value]
    said = [item for item in items if item is not None and str(item).strip()]
    keys = {_item(item, scale) for item in said}
    if None in keys or not keys:
        return True, None
    ordered = sorted(str(key) for key in keys)
    return True, ordered[0] if len(ordered) == 1 else _bounded(f"l:{json.dumps(ordered)}")


def _item(item: object, scale: str) -> str | None:
    if isinstance(item, bool):
        return _text(str(item))
    if isinstance(item, int | float):
        if isinstance(item, float) and not math.isfinite(item):
            return None
        return number_key(Fraction(item) * SCALES.get(scale, 1), percent=scale == "percent")
    if not isinstance(item, str):
        return None
    return _text(item, scale)


def _text(found: str, scale: str = "") -> str | None:
    """Of a text that is one number, the number's key; of another, its normal form."""
    quantities = find_quantities(found) if any(map(str.isdigit, found)) else []
    if len(quantities) == 1 and _is_all(found, quantities[0]):
        quantity = quantities[0]
        factor = 1 if _names_scale(found) else SCALES.get(scale, 1)
        percent = quantity.percent or scale == "percent"
        return number_key(quantity.value * factor, percent=percent)
    normal = normalise(found)
    return _bounded(f"t:{normal}") if normal else None


def _is_all(found: str, quantity: Quantity) -> bool:
    """Whether nothing but the number, its unit and its currency stands there."""
    around = found[: quantity.start] + found[quantity.end :]
    return len(normalise(around).split()) == 0 and not quantity.ambiguous


def _names_scale(found: str) -> bool:
    lowered = found.lower()
    return any(word in lowered for word in SCALES)


def _bounded(key: str) -> str:
    if len(key) <= _LONGEST_TEXT:
        return key
    return f"{key[:2]}#{hashlib.sha256(key.encode()).hexdigest()[:20]}"
