r"""Whether two LaTeX answers say the same, as cheaply as possible.

Equal spellings are told here. Everything else is asked of math-verify in a helper process: its
own time limits rest on signals, which work in a main thread only, and sympy may hang or fill
memory on what a model writes.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from tasks.tools.worker_loop import serve

if TYPE_CHECKING:
    from collections.abc import Callable

LONGEST = 2000
"""Characters of an answer that is compared; a longer one is no answer."""

_SPACES = re.compile(r"\\[,;:! ]|\\quad|\\qquad|~|\s+")
_DROPPED = re.compile(r"\\left|\\right|\\displaystyle|\\big[lr]?|\\Big[lr]?|\\\(|\\\)|\\\[|\\\]|\$")
_TEXT = re.compile(r"\\(?:text|mathrm|textbf|mathbf|textit|mbox|operatorname)\s*\{([^{}]*)\}")
_FUNCTIONS = re.compile(r"sin|cos|tan|log|ln|exp|sqrt|frac|pi|cup|cap|infty|pm|deg")
_LIMIT_S = 3


def is_mathematical(reference: str) -> bool:
    """Whether a reference is a formula rather than words.

    A formula holds a digit, a LaTeX command, an operator or a lone letter, and no ordinary word.
    """
    bare = _bare(reference)
    operators = re.search(r"[+*/=^<>]|\s-\s", bare)
    if re.search(r"[^\W\d_]{3,}", bare) or (re.search(r"[^\W\d_]{2}", bare) and not operators):
        # `5.4 \text{ cents}` is a formula with a unit; `\text{east}` is a word.
        return bool(re.search(r"\\|[\^=]", reference)) and bool(re.search(r"\d", reference))
    return bool(operators or re.search(r"\d|\\[a-zA-Z]|^\W*[a-zA-Z]\W*$", reference))


def is_prose(text: str) -> bool:
    """Whether a text holds an ordinary word and no LaTeX: math-verify would multiply letters."""
    return "\\" not in text and re.search(r"[^\W\d_]{3,}", _bare(text)) is not None


def without_text_commands(text: str) -> str:
    r"""The text with `\text{east}` and its kind replaced by what they hold."""
    return _TEXT.sub(r"\1", text)


def _bare(text: str) -> str:
    """The text without LaTeX commands and names of functions."""
    return _FUNCTIONS.sub(" ", re.sub(r"\\[a-zA-Z]+", " ", _TEXT.sub(r" \1 ", text)))


def spelled(text: str) -> str:
    """One spelling of a formula: without blanks, sizes, dollar signs and text commands."""
    text = re.sub(r"[\u2010-\u2015\u2212]", "-", _DROPPED.sub("", text))
    text = re.sub(r"\\[dt]frac", r"\\frac", text)
    text = re.sub(r"\\frac\s*(\d)\s*(\d)", r"\\frac{\1}{\2}", text)
    text = re.sub(r"\^\{?\\circ\}?|\\%|%|°", "", _TEXT.sub(r"\1", text))
    text = re.sub(r"(?<=\d),(?:\\!)?(?=\d{3}(?!\d))(?![^()\[\]{}]*[)\]}])", "", text)
    return _SPACES.sub("", text).rstrip(".")


def load() -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Import math-verify once and return the function that answers."""
    import logging

    from math_verify import parse, verify

    logging.disable(logging.CRITICAL)
    verify(parse("$1$"), parse("$\\frac{2}{2}$"))
    return compare


def compare(request: dict[str, Any]) -> dict[str, Any]:
    """{"verdict": right | wrong | no_reference | no_answer | timeout} of a reference and answer."""
    reference, answer = _parse(request["reference"]), _parse(request["answer"])
    if not reference:
        return {"verdict": "no_reference"}
    if not answer:
        return {"verdict": "no_answer"}
    from math_verify import verify
    from math_verify.errors import TimeoutException

    try:
        right = verify(reference, answer, timeout_seconds=_LIMIT_S, raise_on_error=True)
    except TimeoutException:
        return {"verdict": "timeout"}
    except Exception:
        # Two things of different kinds: a set and a matrix, say.
        right = verify(reference, answer, timeout_seconds=_LIMIT_S)
    return {"verdict": "right" if right else "wrong"}


def _parse(text: str) -> list[Any]:
    """What math-verify reads in a formula: nothing, or the sympy object and its text."""
    from math_verify import ExprExtractionConfig, LatexExtractionConfig, parse

    bare = text.strip().strip("$")
    configs = [LatexExtractionConfig(), ExprExtractionConfig()]
    found = parse(f"${bare}$", extraction_config=configs, parsing_timeout=_LIMIT_S)
    # A lone string is text that no parser understood.
    if not found or all(isinstance(part, str) for part in found):
        return []
    return list(found)


if __name__ == "__main__":
    serve(load)
