"""Declining is an answer that was read, and a wrong one; what cannot be read stays unscored."""

from __future__ import annotations

import pytest

from tasks.grade.abstain import REASON, declined
from tasks.grade.base import Reference
from tasks.grade.graders import Graders


@pytest.mark.parametrize(
    "answer",
    [
        "I do not know and could not find it.\nAnswer: unknown",
        "Answer: I don't know",
        "Answer: cannot be determined from the table.",
        "The snippets are of no use.\nAnswer: N/A",
        "Answer: not enough information",
    ],
)
def test_answers_that_decline_are_recognised(answer):
    assert declined(answer)


@pytest.mark.parametrize("answer", ["Answer: 42", "Answer: Norway", "none of these is 7", ""])
def test_answers_that_answer_are_not(answer):
    assert not declined(answer)


@pytest.mark.parametrize(("grader", "reference"), [("numeric", "7"), ("choice", "B")])
async def test_declining_is_graded_zero_with_its_reason(grader, reference):
    graders = Graders()
    grade = await graders.grade("Answer: unknown", Reference(grader, reference))
    await graders.close()

    assert (0.0, REASON) == (grade.score, grade.reason)


async def test_prose_without_a_number_stays_unscored():
    graders = Graders()
    grade = await graders.grade("The ferry leaves from the old pier.", Reference("numeric", "7"))
    await graders.close()

    assert None is grade.score


async def test_a_right_answer_that_sounds_like_declining_is_right():
    graders = Graders()
    grade = await graders.grade("Answer: none", Reference("exact", "none"))
    await graders.close()

    assert 1.0 == grade.score
