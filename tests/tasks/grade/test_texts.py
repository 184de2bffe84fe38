"""Exact and token F1 on words, and their normal form."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.grade.base import Reference
from tasks.grade.exact import grade_text
from tasks.grade.latex import is_mathematical, is_prose, spelled
from tasks.grade.normalise import accepted_answers, normalise
from tasks.grade.token_f1 import grade_token_f1, token_f1


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("The  Eiffel Tower!", "eiffel tower"),
        ("U.S.A.", "usa"),
        ("well-known", "wellknown"),
        ("Beyoncé", "beyonce"),
        ("किताब", "किताब"),
        ("1,234,567 people", "1234567 people"),
        ("1.5", "1.5"),
        ("-2", "-2"),
        ("−2", "-2"),
        ("a", "a"),
        ("?!", "?!"),
        ("2010–2012", "2010-2012"),
        ("$10.5 million", "10.5 million"),
        ("3/4", "3/4"),
        ("x²", "x²"),
        ("", ""),
    ],
)
def test_normal_form(text: str, normal: str) -> None:
    assert normal == normalise(text)


@settings(max_examples=150)
@given(st.text(max_size=40))
def test_the_normal_form_is_its_own_normal_form_or_shorter(text: str) -> None:
    once = normalise(text)

    assert len(normalise(once)) <= len(once)
    assert normalise(f"  {text}\n") == once


@pytest.mark.parametrize(
    ("reference", "accepted"),
    [
        ('["a", "b"]', ["a", "b"]),
        ("[1, 2]", ["[1, 2]"]),
        ("[]", ["[]"]),
        ("[a", ["[a"]),
        ("Paris", ["Paris"]),
    ],
)
def test_accepted_answers(reference: str, accepted: list[str]) -> None:
    assert accepted == accepted_answers(reference)


@pytest.mark.parametrize(
    ("answer", "reference", "score"),
    [
        ("Answer: the Eiffel Tower.", "Eiffel Tower", 1.0),
        ("Eiffel", "Eiffel Tower", 0.0),
        ("The answer is Bob Russell.", json.dumps(["Bobby Scott", "Bob Russell"]), 1.0),
        ("The answer is Passion. Connected.", "Passion. Connected.", 1.0),
        ("yes", "no", 0.0),
        ("14 December 1972", json.dumps(["14 December 1972 UTC", "December 1972"]), 0.0),
        ("1972.", "1972", 1.0),
        ("It was 1972", "1972", 1.0),
        ("seven", "7", 1.0),
        ("eight", "7", 0.0),
        ("I do not know", "7", None),
        (r"\text{east}", r"\text{east}", 1.0),
        ("east", r"\text{east}", 1.0),
        ("west", r"\text{east}", 0.0),
    ],
)
def test_exact_on_words(answer: str, reference: str, score: float | None) -> None:
    grade = grade_text(answer, Reference("exact", reference))

    assert grade is not None
    assert score == grade.score


@pytest.mark.parametrize(
    "reference", ["2", r"\frac{1}{2}", "x+1", "x^2", "(3,4)", r"5.4 \text{ cents}", "x", "p - q"]
)
def test_formulas(reference: str) -> None:
    assert is_mathematical(reference)


@pytest.mark.parametrize(
    "reference",
    ["Paris", r"\text{east}", "yes", "14 December 1972", "Catch-22 the film", "B, C", "AT&T"],
)
def test_words(reference: str) -> None:
    assert not is_mathematical(reference)


def test_prose_is_told_from_formulas() -> None:
    assert is_prose("I do not know")
    assert not is_prose(r"\sin x")
    assert not is_prose("2x + 3")
    assert not is_prose("sqrt(2)")


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (r"\dfrac{1}{2}", r"\frac12"),
        ("$10{,}000$".replace("{,}", ","), "10000"),
        (r"\left( 3, 4 \right)", "(3,4)"),
        (r"90^\circ", "90"),
        ("x = 5.", "x=5"),
        (r"\text{even}", "even"),
    ],
)
def test_one_formula_has_one_spelling(first: str, second: str) -> None:
    assert spelled(first) == spelled(second)


def test_formulas_that_differ_are_spelled_differently() -> None:
    different = ["2", "-2", "2.0", "(3,4)", "[3,4]", "3,4", "(3,400)", "3400", "x", "y", "1/2"]

    assert len(different) == len({spelled(text) for text in different})


@pytest.mark.parametrize(
    ("answer", "accepted", "f1"),
    [
        ("the cat sat", "cat sat", 1.0),
        ("cat", "cat sat", 2 / 3),
        ("dog", "cat", 0.0),
        ("cat cat", "cat", 2 / 3),
        ("", "", 1.0),
        ("cat", "", 0.0),
    ],
)
def test_f1_by_hand(answer: str, accepted: str, f1: float) -> None:
    assert f1 == pytest.approx(token_f1(answer, accepted))


@settings(max_examples=100)
@given(st.text(max_size=30), st.text(max_size=30))
def test_f1_is_symmetric_and_bounded(first: str, second: str) -> None:
    assert 0 <= token_f1(first, second) <= 1
    assert token_f1(first, second) == token_f1(second, first)
    assert token_f1(first, first) == 1.0


def test_f1_takes_the_accepted_string_it_fits_best() -> None:
    reference = Reference("token_f1", json.dumps(["red house", "the blue house"]))

    assert 1.0 == grade_token_f1("Answer: A blue house.", reference).score
