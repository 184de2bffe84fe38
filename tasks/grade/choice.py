"""Choice questions: the letter of an option, or its text."""

from __future__ import annotations

import re

from tasks.grade.base import Grade, Reference
from tasks.grade.extract import drop_reasoning, final_answer
from tasks.grade.normalise import accepted_answers, normalise

VERSION = "choice-1"

_ALONE = re.compile(r"[(\[{<]?\s*([A-Za-z])\s*[)\]}>]?\s*[.:,;]?")
_LEADING = re.compile(r"(?:[(\[]([A-Za-z])[)\]]|([A-Z])\s*[).:\-–,](?=\s|$))")
_BRACKETED = re.compile(r"[(\[]([A-Za-z])[)\]]")
_OPTION = re.compile(
    r"\b(?:option|choice|answer)\s*(?:is|:)?\s*[(\[*]*([A-Z])\b(?!['’])", re.IGNORECASE
)
_CAPITAL = re.compile(r"(?<![\w'’.])([B-HJ-Z])(?![\w'’])")
_SEVERAL = re.compile(
    r"(?<![\w'’])[(\[]?([A-Z])[)\].]?\s*(?:,|/|&|\bor\b|\band\b)\s*[(\[]?([A-HJ-Z])(?=[)\].,;:]|\s*$)"
)
_TEXT = re.compile(r"\\text(?:bf|rm|it)?\s*\{([^{}]*)\}")


def grade_choice(answer: str, reference: Reference) -> Grade:
    """1 for the right option, 0 for another, unscored when none or several are named."""
    wanted = reference.value.strip()
    letter = re.fullmatch(r"[(\[]?\s*([A-Za-z])\s*[)\].]?", wanted)
    if letter is None:
        return _grade_text(answer, reference)
    letters = find_letters(answer)
    if not letters:
        return Grade(None, "choice", VERSION, "no option letter found")
    if len(letters) > 1:
        return Grade(None, "choice", VERSION, f"several options: {', '.join(letters)}")
    return Grade(float(letters[0] == letter[1].upper()), "choice", VERSION, extracted=letters[0])


def find_letters(answer: str) -> list[str]:
    """The distinct option letters the final answer names, upper case, in order of appearance.

    A letter counts when it stands alone (`B`, `b`, `(b)`, `B.`), leads (`B. text`, `(B) text`),
    follows `option` or `answer is`, stands in brackets, or is a lone capital other than the
    English words A and I.
    """
    found = _TEXT.sub(r"\1", final_answer(answer).text).strip("$* ")
    alone = _ALONE.fullmatch(found)
    if alone is not None:
        return [alone[1].upper()]
    several = _SEVERAL.search(found)
    if several is not None and several[1] != several[2]:
        return [several[1], several[2]]
    leading = _LEADING.match(found)
    if leading is not None:
        return [(leading[1] or leading[2]).upper()]
    for pattern in (_OPTION, _BRACKETED, _CAPITAL):
        letters = _distinct(pattern.findall(found))
        if letters:
            return letters
    # `Answer: because …` hides a letter that was named before; look at the whole text.
    return _distinct(_OPTION.findall(drop_reasoning(answer)))[-1:]


def _distinct(letters: list[str]) -> list[str]:
    return list(dict.fromkeys(letter.upper() for letter in letters))


def _grade_text(answer: str, reference: Reference) -> Grade:
    """The reference is an option's text: the final answer must be it, a letter before it aside."""
    found = final_answer(answer).text
    bare = _LEADING.sub("", found, count=1) if _LEADING.match(found) else found
    said = {normalise(found), normalise(bare)}
    wanted = {normalise(text) for text in accepted_answers(reference.value)}
    if not said & wanted and _ALONE.fullmatch(found):
        return Grade(None, "choice", VERSION, "a letter, where the reference is a text", found)
    return Grade(float(bool(said & wanted)), "choice", VERSION, extracted=found)
