"""Choice: letters in every dress, ambiguity unscored."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.grade.base import Reference
from tasks.grade.choice import find_letters, grade_choice


@pytest.mark.parametrize(
    "answer",
    [
        "B",
        "b",
        "(B)",
        "(b)",
        "B.",
        "B)",
        "[B]",
        "**B**",
        "B. 42 apples",
        "B: a dog",
        "(B) A dog",
        "B) I think",
        "Answer: B",
        "Answer: (B) because A is wrong",
        "**Answer:** **B**",
        "The answer is B.",
        "The answer is (b).",
        "The correct option is B",
        "A is too small, so the answer is B",
        r"\boxed{B}",
        r"\boxed{\text{B}}",
        r"\boxed{\textbf{(B)}}",
        "$B$",
        "Let me see.\n\nSo it must be option B",
        "I choose B",
        "Reasoning about A and C.\nB",
    ],
)
def test_a_letter_is_found(answer: str) -> None:
    reference = Reference("choice", "B")

    assert (1.0, "B") == (grade_choice(answer, reference).score,
                          grade_choice(answer, reference).extracted)  # fmt: skip
    assert 0.0 == grade_choice(answer, Reference("choice", "C")).score


@pytest.mark.parametrize("reference", ["(B)", "B.", "b", " B "])
def test_a_reference_may_be_dressed_too(reference: str) -> None:
    assert 1.0 == grade_choice("B", Reference("choice", reference)).score


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("A or B", "several options"),
        ("Answer: B and C", "several options"),
        ("(A) or (B)", "several options"),
        ("I do not know", "no option letter found"),
        ("A dog is what I saw", "no option letter found"),
        ("42", "no option letter found"),
        ("the first one", "no option letter found"),
    ],
)
def test_none_or_several_are_unscored(answer: str, reason: str) -> None:
    grade = grade_choice(answer, Reference("choice", "B"))

    assert grade.score is None
    assert reason in str(grade.reason)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [("145°", 1.0), ("(C) 145°", 1.0), ("The answer is 145°.", 1.0), ("90°", 0.0), ("C", None)],
)
def test_a_reference_may_be_the_options_text(answer: str, expected: float | None) -> None:
    assert expected == grade_choice(answer, Reference("choice", "145°")).score


@settings(max_examples=100)
@given(st.text(max_size=60))
def test_any_text_names_letters_or_none(text: str) -> None:
    assert all(len(letter) == 1 for letter in find_letters(text) if letter.isascii())
