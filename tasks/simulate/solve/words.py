"""Reading English: numbers in digits and words, sentences, arithmetic written in symbols."""

from __future__ import annotations

import re
from fractions import Fraction

from tasks.simulate.solve.expressions import Expr, num, op

_WORDS = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten",
    "eleven", "twelve",
)  # fmt: skip
_VALUES = {word: number for number, word in enumerate(_WORDS)}
_VALUES |= {"once": 1, "twice": 2, "thrice": 3, "a": 1, "an": 1}

NUMBER = rf"(?:\d{{1,3}}(?:,\d{{3}})+(?:\.\d+)?|\d+(?:\.\d+)?|\b(?:{'|'.join(_WORDS)})\b)"
"""Pattern of a number in digits (with or without thousands commas) or as a word."""
NAME = r"[A-Z][a-z]+(?: [A-Z][a-z]+)*"
"""Pattern of a name of one or more capitalised words."""

_SENTENCE_END = re.compile(r"(?<=[.!?])[\"”]?\s+(?=[\"“(A-Z0-9])|\n+")
_SYMBOLS = re.compile(r"[(\d][\d,.\s×x*·+−\-^/()²³]*[\d)²³]")
_TOKEN = re.compile(r"\s*(\d{1,3}(?:,\d{3})+|\d+(?:\.\d+)?|\*\*|[-+*/^()])")


def value(text: str) -> Fraction:
    """The number a match of NUMBER stands for."""
    word = text.strip().lower()
    if word in _VALUES:
        return Fraction(_VALUES[word])
    return Fraction(word.replace(",", ""))


def sentences(text: str) -> list[str]:
    """The sentences and lines of a text, without blank ones."""
    return [part.strip() for part in _SENTENCE_END.split(text) if part.strip()]


def symbolic(text: str) -> Expr | None:
    """The first arithmetic expression in symbols with at least one operator, or None."""
    for match in _SYMBOLS.finditer(text):
        tokens = _tokens(match.group())
        if tokens and any(part in "+-*/^" for part in tokens[1:]):
            found = _Parser(tokens).whole()
            if found is not None:
                return found
    return None


def _tokens(text: str) -> list[str] | None:
    text = text.replace("×", "*").replace("·", "*").replace("−", "-")
    tokens, place = [], 0
    while place < len(text.rstrip()):
        match = _TOKEN.match(text, place)
        if match is None:
            return None
        tokens.append(match.group(1).replace("**", "^"))
        place = match.end()
    return tokens


class _Parser:
    """Precedence climbing over + - * / ^ and brackets."""

    def __init__(self, tokens: list[str]) -> None:
        self._tokens = tokens
        self._place = 0

    def whole(self) -> Expr | None:
        try:
            found = self._level(0)
        except (IndexError, ValueError):
            return None
        return found if self._place == len(self._tokens) else None

    def _level(self, level: int) -> Expr:
        if level == 3:
            return self._atom()
        left = self._level(level + 1)
        while (
            self._place < len(self._tokens)
            and self._tokens[self._place] in ("+-", "*/", "^")[level]
        ):
            symbol = self._tokens[self._place].replace("^", "**")
            self._place += 1
            left = op(symbol, left, self._level(level + 1))
        return left

    def _atom(self) -> Expr:
        part = self._tokens[self._place]
        self._place += 1
        if part == "(":
            inner = self._level(0)
            if self._tokens[self._place] != ")":
                raise ValueError("a bracket is not closed")
            self._place += 1
            return inner
        return num(part.replace(",", ""))
