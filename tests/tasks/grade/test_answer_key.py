from __future__ import annotations

import json
import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.grade.answer_key import answer_key, number_key
from tasks.grade.base import Reference
from tasks.grade.choice import grade_choice
from tasks.grade.numeric import grade_numeric


@pytest.mark.parametrize(
    ("grader", "one", "other"),
    [
        ("numeric", "The answer is 1,234.5", "Answer: 1234.50"),
        ("numeric", "#### 2 thousand", "so x = 2000"),
        ("numeric", r"\boxed{\frac{1}{2}}", "0.5"),
        ("numeric", "3.14159", "3.1416"),
        ("numeric", "-0", "0"),
        ("numeric", "$18", "18 dollars"),
        ("choice", "B", "(b) because it is warm"),
        ("choice", "The answer is C.", "C. Paris"),
        ("choice", "Yes", "**yes**."),
        ("exact", "The Eiffel Tower", "eiffel tower."),
        ("exact", '["a", "b"]', '["B", "A"]'),
        ("exact", '[["$45,947 thousand"], ""]', '[[45947], "thousand"]'),
        ("exact", '[31.25, "percent"]', '[["31.25%"], ""]'),
        ("exact", '[2019, "year"]', '[["2019"], ""]'),
        ("exact", "1,000", "1000"),
        (None, "Answer: Paris", "paris"),
        ("code", "```python\ndef f(x):\n    'Twice.'\n    return x*2\n```",
         "Here:\n```\ndef f( x ):  # double\n    return x * 2\n```"),
    ],
)  # fmt: skip
def test_two_spellings_of_one_answer_agree(grader: str | None, one: str, other: str) -> None:
    key = answer_key(one, grader)

    assert key is not None
    assert key == answer_key(other, grader)


@pytest.mark.parametrize(
    ("grader", "one", "other"),
    [
        ("numeric", "5", "-5"),
        ("numeric", "5", "5%"),
        ("numeric", "1.234", "1.235"),
        ("choice", "A", "B"),
        ("choice", "Vitamin C", "C"),
        ("exact", "1.5", "15"),
        ("exact", '[["3"], "million"]', '[["3"], ""]'),
        ("exact", '["1", "2"]', "12"),
        ("code", "def f(x):\n    return x*2\n", "def f(x):\n    return x*3\n"),
    ],
)
def test_different_answers_differ(grader: str, one: str, other: str) -> None:
    assert answer_key(one, grader) != answer_key(other, grader)


@pytest.mark.parametrize(
    ("grader", "answer"),
    [
        ("numeric", None),
        ("exact", ""),
        ("exact", "  \n"),
        ("numeric", "I do not know"),
        ("numeric", "about the sea"),
        ("numeric", "The answer is 3 or 4"),
        ("choice", "A or B"),
        ("code", "there is no program here"),
        ("code", "```python\ndef f(:\n```"),
        ("exact", '[[""], ""]'),
        ("exact", "[null, {}]"),
        ("exact", "[]"),
    ],
)
def test_what_says_nothing_has_no_key(grader: str, answer: str | None) -> None:
    assert answer_key(answer, grader) is None


@given(st.integers(-(10**30), 10**30), st.integers(1, 10**30))
def test_number_keys_round_to_four_digits(top: int, bottom: int) -> None:
    value = Fraction(top, bottom)

    key = number_key(value)

    assert key is not None
    mantissa, _, exponent = key.removeprefix("n:").partition("e")
    if value == 0:
        assert key == "n:0"
        return
    read = Fraction(int(mantissa)) * Fraction(10) ** (int(exponent) - len(mantissa.lstrip("-")) + 1)
    assert abs(read - value) <= abs(value) * Fraction(1, 1999)


@given(st.floats(allow_nan=True, allow_infinity=True))
def test_every_float_has_a_key_or_is_not_finite(value: float) -> None:
    assert (number_key(value) is None) == (not math.isfinite(value))


@given(st.floats(min_value=-1e12, max_value=1e12), st.booleans())
def test_a_number_and_its_text_have_one_key(value: float, in_list: bool) -> None:
    written = repr(round(value, 6))
    answer = json.dumps([[written], ""]) if in_list else f"The answer is {written}"

    assert answer_key(answer, "exact" if in_list else "numeric") == number_key(Fraction(written))


@given(st.text(max_size=300), st.sampled_from(["numeric", "choice", "exact", "code", None]))
def test_any_text_has_a_short_key_or_none(text: str, grader: str | None) -> None:
    key = answer_key(text, grader)

    assert key is None or 2 < len(key) <= 400


@given(st.lists(st.text("abcdef0123", min_size=1, max_size=6), min_size=1, max_size=5))
def test_the_order_of_a_list_does_not_matter(items: list[str]) -> None:
    assert answer_key(json.dumps(items)) == answer_key(json.dumps(items[::-1]))


@given(st.integers(-10_000, 10_000), st.integers(-10_000, 10_000))
def test_equal_keys_of_whole_numbers_have_equal_grades(one: int, other: int) -> None:
    if answer_key(str(one), "numeric") == answer_key(str(other), "numeric") and abs(one) < 10_000:
        grades = [grade_numeric(str(n), Reference("numeric", str(one))).score for n in (one, other)]
        assert grades[0] == grades[1]


@given(st.sampled_from("ABCD"), st.sampled_from("ABCD"))
def test_equal_letters_have_equal_grades(one: str, wanted: str) -> None:
    reference = Reference("choice", wanted)

    assert answer_key(f"({one}) it is", "choice") == answer_key(one, "choice")
    assert grade_choice(f"({one})", reference).score == grade_choice(one, reference).score
