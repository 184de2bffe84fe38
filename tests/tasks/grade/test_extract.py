"""Where the final answer is found."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.grade.extract import clean, drop_reasoning, final_answer, last_boxed


@pytest.mark.parametrize(
    ("text", "answer", "how"),
    [
        (r"So \boxed{\frac{1}{2}} it is. Answer: 3", r"\frac{1}{2}", "boxed"),
        (r"\boxed{1} or rather \boxed{2}", "2", "boxed"),
        (r"\boxed{{a}{b}", "{a}{b}", "boxed"),
        ("Answer: 42", "42", "marker"),
        ("answer: 1\nFinal answer: 2.\n", "2", "marker"),
        ("**Answer:** Paris", "Paris", "marker"),
        ("**Final Answer**: **Paris**.", "Paris", "marker"),
        ("Answer (in dollars): 18", "18", "marker"),
        ("Answer:\n\n  `x`", "x", "marker"),
        ("Answer: 3\nAnswer:\n", "3", "marker"),
        ("9 + 9 = 18\n#### 18", "18", "marker"),
        ("Thus the answer is 3.5. I am sure.", "3.5", "sentence"),
        ("The final answer is: St. Louis.", "St. Louis", "sentence"),
        ("The answer to the question is Paris.", "Paris", "sentence"),
        ("The answer is James W. Marshall.", "James W. Marshall", "sentence"),
        ("First this.\n\nParis.\n\n", "Paris", "line"),
        ("<think>Answer: 1</think>\nAnswer: 2", "2", "marker"),
        ("Answer: 1 is wrong</think> Paris", "Paris", "line"),
        ("“Paris”", "Paris", "line"),
        ("", "", "empty"),
        (" \n ", "", "empty"),
        ("...", "...", "line"),
    ],
)
def test_the_documented_order(text: str, answer: str, how: str) -> None:
    found = final_answer(text)

    assert (answer, how) == (found.text, found.how)


def test_a_sentence_cut_short_keeps_its_line_as_a_second_reading() -> None:
    assert ("Passion", "Passion. Connected") == final_answer(
        "The answer is Passion. Connected."
    ).readings


@settings(max_examples=200)
@given(st.text(alphabet='answer is:\\boxed{}*`.<think/>#\n 12ab"', max_size=60))
def test_any_text_has_a_final_answer_or_none(text: str) -> None:
    found = final_answer(text)

    assert (found.how == "empty") == (found.text == "") or found.how == "boxed"
    assert isinstance(clean(text), str)
    assert isinstance(drop_reasoning(text), str)
    assert last_boxed(text) is None or "\\boxed" in text
