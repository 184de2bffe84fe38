"""What a language policy writes, read and checked.

    <think> … </think>
    <search> Model@@Tool: input </search>
    <information> … </information>
    <answer> … </answer>

The policy writes all but `<information>`, which comes from the environment.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple

THINK, SEARCH, INFORMATION, ANSWER = "think", "search", "information", "answer"
TAGS = (THINK, SEARCH, INFORMATION, ANSWER)

_TAG = re.compile(rf"<(/?)({'|'.join(TAGS)})>")
_THOUGHT = re.compile(r"<think>(.*?)</think>", re.DOTALL)


class Fault(StrEnum):
    """Why R_fmt is −1; the first that applies, in this order."""

    CUT = "ran out of tokens, or stopped without calling or answering"
    TAGS = "a tag is not opened, not closed, or crosses another"
    CALL = "a call is not 'Model@@Tool: input' of a legal pair"
    INFORMATION = "wrote <information> itself"
    THOUGHT = "no thought"
    ANSWER = "not exactly one answer, or something after it"


class Call(NamedTuple):
    """A readable call."""

    pair: int
    """Number of the pair in pair order."""
    text: str
    """The input, stripped."""


def read_call(turn: str, names: Sequence[str]) -> Call | None:
    """The call that a turn ends with; None where it cannot be read.

    Args:
        turn: what the policy wrote since the last observation; ends with `</search>`.
        names: pair ids in pair order.
    """
    content = turn.removesuffix("</search>").rpartition("<search>")
    if not content[1]:
        return None
    written = content[2].strip()
    for number, name in enumerate(names):
        rest = written.removeprefix(f"{name}:")
        if rest != written and rest.strip():
            return Call(number, rest.strip())
    return None


def read_answer(turn: str) -> str | None:
    """The text of the answer that a turn ends with; None where there is none."""
    if not turn.endswith("</answer>"):
        return None
    content = turn.removesuffix("</answer>").rpartition("<answer>")
    return content[2].strip() if content[1] else None


def find_fault(turns: Sequence[str], calls: int) -> Fault | None:
    """What is wrong with the format of a trajectory; None where nothing is (ATLAS, R_fmt).

    Args:
        turns: what the policy wrote, one text a turn; an observation stood between any two.
        calls: calls that were read and answered.
    """
    written = "".join(turns)
    if not turns or not turns[-1].endswith(("</answer>", "</search>")):
        return Fault.CUT
    if not _balanced(written):
        return Fault.TAGS
    if calls != written.count("<search>"):
        return Fault.CALL
    if turns[-1].endswith("</search>"):
        return Fault.CUT
    if "<information>" in written:
        return Fault.INFORMATION
    if not any(thought.strip() for thought in _THOUGHT.findall(written)):
        return Fault.THOUGHT
    if written.count("<answer>") != 1:
        return Fault.ANSWER
    return None


def observation(answer: str) -> str:
    """What the policy reads after a call; tags inside the answer are made harmless."""
    quoted = _TAG.sub(r"[\1\2]", answer.strip())
    return f"\n\n<information> {quoted} </information>\n\n"


def _balanced(text: str) -> bool:
    """Whether every tag is opened and closed, one after or inside another."""
    open_tags: list[str] = []
    for closing, name in _TAG.findall(text):
        if not closing:
            open_tags.append(name)
        elif not open_tags or open_tags.pop() != name:
            return False
    return not open_tags
