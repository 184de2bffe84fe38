r"""Finding the final answer in what a model wrote.

The first of these that is there, and in each the last occurrence:

1. `\boxed{…}`, as models trained on mathematics write it;
2. a marker: `Answer: …`, `Final answer: …`, `#### …`;
3. a sentence: `the answer is …`;
4. the last line that is not empty.

Reasoning between `<think>` tags is dropped first.
"""

from __future__ import annotations

import re
from typing import NamedTuple

LONGEST = 200_000
"""Characters of an answer that are looked at, from the end."""

_THINK = re.compile(r"<(/?)think(?:ing)?>", re.IGNORECASE)
_MARKER = re.compile(
    r"(?:\banswer\s{0,5}(?:\([^)\n]{0,30}\)\s{0,5})?(?:\*\*|__)?\s{0,5}[:：]\s{0,5}(?:\*\*|__)?"
    r"|^####)[ \t]*(.*)$",
    re.IGNORECASE | re.MULTILINE,
)
_SENTENCE = re.compile(
    r"\banswer\s{1,5}(?:to\s[^.\n]{1,80}?\s)?(?:is|was|would\sbe|should\sbe|=)\s{0,5}:?[ \t]*(.+)$",
    re.IGNORECASE | re.MULTILINE,
)
_STOP = re.compile(r"(?:(?<=\w\w\w)|(?<=[\d)\]}$%*\"]))[.!]\s+(?=[^\w\s]*[A-Z])")
"""A full stop that ends a sentence: not in a number, nor after an initial or `St`."""
_BOX = re.compile(r"\\(?:boxed|fbox)\s*\{")
_WRAPPERS = ("**", "__", "`", '"', "“", "”")


class Extracted(NamedTuple):
    """The final answer as it stands in the text, and how it was found."""

    text: str
    how: str
    """boxed | marker | sentence | line | empty."""
    whole: str = ""
    """Of a sentence: its line to the end, in case a full stop inside a name cut it short."""

    @property
    def readings(self) -> tuple[str, ...]:
        """The text, and the whole line where that is another."""
        return (self.text, self.whole) if self.whole else (self.text,)


def final_answer(text: str) -> Extracted:
    """The final answer in a model's text; its text is empty when there is nothing at all."""
    text = drop_reasoning(text[-LONGEST:])
    boxed = last_boxed(text)
    if boxed is not None:
        return Extracted(clean(boxed), "boxed")
    for match in reversed(list(_MARKER.finditer(text))):
        found = clean(match[1]) or clean(_next_line(text, match.end()))
        if found:
            return Extracted(found, "marker")
    sentences = list(_SENTENCE.finditer(text))
    if sentences:
        whole = clean(sentences[-1][1])
        found = clean(_STOP.split(sentences[-1][1], maxsplit=1)[0])
        if found:
            return Extracted(found, "sentence", whole if whole != found else "")
    lines = [cleaned for line in text.splitlines() if (cleaned := clean(line))]
    return Extracted(lines[-1], "line") if lines else Extracted("", "empty")


def drop_reasoning(text: str) -> str:
    """The text without what stands between think tags, closed or opened before it begins."""
    kept: list[str] = []
    start, closed = 0, True
    for tag in _THINK.finditer(text):
        if tag[1]:
            # A closing tag without an opening one ends reasoning that began before the text.
            kept = kept if not closed else []
            start, closed = tag.end(), True
        elif closed:
            kept.append(text[start : tag.start()])
            start, closed = tag.start(), False
    return "".join([*kept, text[start:]]).strip()


def last_boxed(text: str) -> str | None:
    r"""What the last `\boxed{…}` holds, braces balanced; None when there is none."""
    starts = list(_BOX.finditer(text))
    if not starts:
        return None
    start, depth = starts[-1].end(), 1
    for at in range(start, len(text)):
        depth += {"{": 1, "}": -1}.get(text[at], 0)
        if depth == 0:
            return text[start:at]
    return text[start:]


def clean(text: str) -> str:
    """Strip blanks, markdown emphasis, quotes around the whole, and a closing full stop."""
    text = text.strip()
    for _ in range(4):
        before = text
        for mark in _WRAPPERS:
            if text.startswith(mark) and len(text) > len(mark):
                closing = {"“": "”"}.get(mark, mark)
                inner = text.removeprefix(mark)
                if inner.endswith(closing):
                    text = inner.removesuffix(closing).strip()
        text = text.removesuffix(".").strip() if not text.endswith("..") else text
        text = text.strip("*").strip() if text.count("**") == 1 else text
        if text == before:
            break
    return text


def _next_line(text: str, start: int) -> str:
    return next((line for line in text[start:].splitlines() if line.strip()), "")
