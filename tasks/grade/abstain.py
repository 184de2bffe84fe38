"""Recognising an answer that declines to answer: read perfectly well, and not right."""

from __future__ import annotations

import re

from tasks.grade.base import Grade
from tasks.grade.extract import final_answer

REASON = "declined to answer"

_DECLINED = re.compile(
    r"(?:i\s+(?:do\s+not|don'?t|can\s?not|can'?t|could\s+not|couldn'?t)\s+"
    r"(?:know|tell|say|answer|determine|find)\b.*"
    r"|(?:it\s+)?(?:can\s?not|can'?t)\s+be\s+(?:determined|answered|found|known)\b.*"
    r"|unknown|not\s+known|no\s+answer|n/?a|none|not\s+found|undetermined|indeterminate|unclear"
    r"|insufficient\s+(?:information|data)\b.*|not\s+enough\s+(?:information|data)\b.*)",
    re.IGNORECASE,
)
_LONGEST = 200


def declined(answer: str) -> bool:
    """Whether the final answer says that there is none."""
    text = final_answer(answer).text.strip().strip(".!()[]").strip()
    return len(text) <= _LONGEST and _DECLINED.fullmatch(text) is not None


def settle_declined(grade: Grade, answer: str) -> Grade:
    """An unscored grade of an answer that declined becomes 0: nothing there failed to parse.

    Leaving such answers out of means would reward the model that gives up on what it gets wrong.
    """
    if grade.score is not None or not declined(answer):
        return grade
    return Grade(0.0, grade.grader, grade.version, REASON, final_answer(answer).text)
