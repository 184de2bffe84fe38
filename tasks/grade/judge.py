"""A model as judge: for answers no rule can grade. Its cost is the caller's to count."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from functools import cache
from pathlib import Path

import profiles
from tasks.call.errors import CallError
from tasks.grade.base import Grade, Reference
from tasks.grade.extract import drop_reasoning

VERSION = "judge-1"
LONGEST = 20_000
"""Characters of an answer shown to the judge; of a longer one its end, where the answer stands."""

JudgeCall = Callable[[str], Awaitable[str]]
"""Sends one prompt to the judging model and returns its text; claims, pays and records the call."""

_VERDICT = re.compile(r"\bVERDICT\b\W{0,6}(IN)?CORRECT\b", re.IGNORECASE)
_TAG = re.compile(r"<(?=\s*/?\s*(?:question|reference|answer)\b)", re.IGNORECASE)


async def grade_judge(answer: str, reference: Reference, question: str, call: JudgeCall) -> Grade:
    """1 or 0 as the judge says; unscored when the call fails or the verdict cannot be read.

    Raises:
        Exception: whatever `call` raises beside a `CallError`, a spent budget above all.
    """
    try:
        said = await call(judge_prompt(answer, reference, question))
    except CallError as error:
        return Grade(None, "judge", VERSION, f"the judge could not be asked: {error.error_type}")
    verdict = read_verdict(said)
    if verdict is None:
        return Grade(None, "judge", VERSION, "the judge gave no verdict", said[-200:])
    return Grade(float(verdict), "judge", VERSION, extracted=said.strip()[:500])


def judge_prompt(answer: str, reference: Reference, question: str) -> str:
    """The prompt for one answer; the tags around its parts cannot be closed from inside."""
    parts = {
        "question": question or "(not given)",
        "reference": reference.value,
        "answer": answer[-LONGEST:],
    }
    shown = {name: _TAG.sub("‹", text) for name, text in parts.items()}
    return re.sub(r"\{(question|reference|answer)\}", lambda m: shown[m[1]], judge_template())


def read_verdict(said: str) -> bool | None:
    """True for correct, False for incorrect, None without a verdict or with two that differ."""
    verdicts = {not incorrect for incorrect in _VERDICT.findall(drop_reasoning(said))}
    return verdicts.pop() if len(verdicts) == 1 else None


@cache
def judge_template() -> str:
    """The text of the judge's prompt, its three places still open."""
    folder = Path(str(profiles.__file__)).parent
    return (folder / "prompts" / "judge.txt").read_text(encoding="utf-8")
