"""Token F1 as in SQuAD: overlap of the answer's words with the reference's."""

from __future__ import annotations

from collections import Counter

from tasks.grade.base import Grade, Reference
from tasks.grade.extract import final_answer
from tasks.grade.normalise import accepted_answers, normalise

VERSION = "token_f1-1"


def grade_token_f1(answer: str, reference: Reference) -> Grade:
    """F1 of the final answer against the accepted string it fits best."""
    extracted = final_answer(answer)
    score = max(
        token_f1(found, accepted)
        for accepted in accepted_answers(reference.value)
        for found in extracted.readings
    )
    return Grade(score, "token_f1", VERSION, extracted=extracted.text)


def token_f1(answer: str, accepted: str) -> float:
    """F1 = 2PR / (P + R) over the multisets of normalised words (Rajpurkar et al. 2016, §6.1).

    Two empty texts agree; one empty text agrees with nothing.
    """
    said, wanted = Counter(normalise(answer).split()), Counter(normalise(accepted).split())
    common = (said & wanted).total()
    if not said or not wanted:
        return float(said == wanted)
    return 2 * common / (said.total() + wanted.total())
