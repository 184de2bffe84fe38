"""Exact answers: the same string after normalisation, or the same formula."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tasks.grade.base import Grade, Reference
from tasks.grade.extract import final_answer
from tasks.grade.latex import LONGEST, is_mathematical, is_prose, spelled, without_text_commands
from tasks.grade.normalise import accepted_answers, normalise
from tasks.grade.quantity import find_quantities
from tasks.tools.worker import WorkerError, WorkerTimeoutError

if TYPE_CHECKING:
    from tasks.tools.worker import WorkerPool

VERSION = "exact-1"
TIMEOUT_S = 15.0
"""Seconds one comparison of formulas may take."""


def grade_text(answer: str, reference: Reference) -> Grade | None:
    """The grade when spelling is enough to tell, None when two formulas must be compared."""
    extracted = final_answer(answer)
    found = extracted.text
    accepted = accepted_answers(reference.value)
    formulas = [text for text in accepted if is_mathematical(text)]
    words = [text for text in accepted if not is_mathematical(text)]
    right = not set(map(_plain, words)).isdisjoint(map(_plain, extracted.readings))
    if formulas and len(found) > LONGEST:
        reason = f"the final answer is longer than {LONGEST:,} characters"
        return Grade(None, "exact", VERSION, reason, found[:200])
    right = right or spelled(found) in set(map(spelled, formulas))
    if right or not formulas:
        return Grade(float(right), "exact", VERSION, extracted=found)
    if is_prose(found):
        return _grade_prose(found, formulas)
    return None


def _plain(text: str) -> str:
    return normalise(without_text_commands(text))


def _grade_prose(found: str, formulas: list[str]) -> Grade:
    """An answer in words where a formula is wanted: the one number in it counts."""
    values = {quantity.value for quantity in find_quantities(found)}
    wanted = [find_quantities(formula) for formula in formulas if _NUMBER.fullmatch(formula)]
    if len(values) != 1 or len(wanted) < len(formulas):
        return Grade(None, "exact", VERSION, _REASONS["no_answer"], found)
    right = any({quantity.value for quantity in numbers} == values for numbers in wanted)
    return Grade(float(right), "exact", VERSION, extracted=found)


async def grade_exact(answer: str, reference: Reference, workers: WorkerPool) -> Grade:
    """1 for an accepted answer, 0 for another, unscored when a formula cannot be read.

    Args:
        answer: the model's text.
        reference: a string, a formula in LaTeX, or a JSON list of accepted ones.
        workers: processes running `tasks.grade.latex`.
    """
    told = grade_text(answer, reference)
    if told is not None:
        return told
    found = final_answer(answer).text
    accepted = accepted_answers(reference.value)
    verdicts = []
    for formula in filter(is_mathematical, accepted):
        verdict = await _compare(formula, found, workers)
        if verdict == "right":
            return Grade(1.0, "exact", VERSION, extracted=found)
        verdicts.append(verdict)
    unclear = [verdict for verdict in verdicts if verdict != "wrong"]
    if unclear:
        return Grade(None, "exact", VERSION, _REASONS[unclear[0]], found)
    return Grade(0.0, "exact", VERSION, extracted=found)


_NUMBER = re.compile(r"\s*[-−]?[\d.,/]+\s*")
"""A formula that is nothing but a number."""
_REASONS = {
    "no_reference": "the reference cannot be read as a formula",
    "no_answer": "the answer cannot be read as a formula",
    "timeout": f"the comparison took longer than {TIMEOUT_S:g} s",
    "crashed": "the comparison needed too much memory",
}


async def _compare(formula: str, found: str, workers: WorkerPool) -> str:
    request = {"reference": formula, "answer": found}
    try:
        answer = await workers.ask(request, limit_s=TIMEOUT_S)
    except WorkerTimeoutError:
        return "timeout"
    except WorkerError:
        return "crashed"
    verdict = str(answer.get("verdict"))
    return verdict if verdict in {"right", "wrong", *_REASONS} else "crashed"
