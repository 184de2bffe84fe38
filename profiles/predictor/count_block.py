"""What can be counted in a text: length, digits, options, code, scripts."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]

_OPTION = re.compile(r"(?:^|[\s(])\(?[A-Ja-j1-9][.):]\s", re.MULTILINE)
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_CODE = re.compile(
    r"\b(?:def|return|import|class|function|assert|lambda|print|elif|const|void|int)\b"
    r"|[{};]\s*$|```|>>>|==|->|\w\(",
    re.MULTILINE,
)
_FORMULA = re.compile(r"\\[a-zA-Z]+|\$|\^|[=<>≤≥±√∑∫]")

COUNTS = (
    "characters",
    "words",
    "lines",
    "letters_a_word",
    "digits",
    "numbers",
    "options",
    "code",
    "formulas",
    "questions",
    "share_digits",
    "share_capitals",
    "share_punctuation",
    "share_ideographs",
    "share_other_scripts",
)
"""Names of the columns of `count_features`."""


def count_features(texts: Sequence[str]) -> Matrix:
    """(n, 15) finite numbers, columns as `COUNTS`; counts as ln(1 + count)."""
    return np.array([_counts(text) for text in texts], np.float64).reshape(-1, len(COUNTS))


def _counts(text: str) -> tuple[float, ...]:
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
    length = max(len(codes), 1)
    words = text.split()
    digits = int(((codes >= 48) & (codes <= 57)).sum())
    capitals = int(((codes >= 65) & (codes <= 90)).sum())
    small = int(((codes >= 97) & (codes <= 122)).sum())
    blank = int((codes <= 32).sum())
    ideographs = int((((codes >= 0x3400) & (codes <= 0x9FFF)) | (codes >= 0x20000)).sum())
    beyond = int((codes >= 0x250).sum()) - ideographs
    plain = int((codes < 128).sum()) - digits - capitals - small - blank
    many = [
        len(codes),
        len(words),
        text.count("\n"),
        len(codes) / max(len(words), 1),
        digits,
        len(_NUMBER.findall(text)),
        len(_OPTION.findall(text)),
        len(_CODE.findall(text)),
        len(_FORMULA.findall(text)),
        text.count("?") + text.count("？"),
    ]
    shares = [digits, capitals, plain, ideographs, beyond]
    return (*np.log1p(many).tolist(), *(count / length for count in shares))
