"""From the text of a question to what a model understands of it."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from tasks.simulate.solve import (
    algebra,
    bignum,
    choices,
    dates,
    logic_text,
    programs,
    stories,
    table_text,
)
from tasks.simulate.solve.choices import Choice
from tasks.simulate.solve.facts import Inquiry, inquiry
from tasks.simulate.solve.words import sentences

if TYPE_CHECKING:
    from collections.abc import Callable

    from tasks.simulate.solve.base import Reading
    from tasks.simulate.solve.programs import Task

_READERS: tuple[Callable[[str], Reading | None], ...] = (
    table_text.read,
    logic_text.read,
    algebra.read,
    stories.read,
    dates.read,
    bignum.read,
)


@lru_cache(maxsize=4096)
def understand(text: str) -> Reading | Inquiry | Task | None:
    """What a text asks for; None when it is nothing a simulated model knows.

    A choice question about a fact is a `Choice` with an `inquiry`.
    """
    task = programs.read(text)
    if task is not None:
        return task
    listed = choices.split_options(text)
    if listed is not None:
        return _choice(*listed)
    return _plain(text)


def _plain(text: str) -> Reading | Inquiry | None:
    for read in _READERS:
        found = read(text)
        if found is not None:
            return found
    asked = [one for one in map(inquiry, sentences(text)) if one is not None]
    return asked[-1] if asked else None


def _choice(question: str, options: tuple[str, ...]) -> Choice:
    found = choices.about_options(question, options)
    if found is not None:
        return found
    inner = _plain(question)
    if isinstance(inner, Inquiry):
        return Choice(options, inquiry=inner)
    return Choice(options, inner=inner)
