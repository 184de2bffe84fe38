"""The options of a choice question: written under it, so that every log of it reads the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from string import ascii_uppercase
from typing import Any


def option_texts(value: Any) -> list[str] | None:  # noqa: ANN401 - as the log gives it
    """The options as texts, None where there are none.

    Known forms: a list of texts, and `{"text": [...], "label": [...]}` as in ARC.
    """
    if isinstance(value, Mapping):
        value = value.get("text")
    if not isinstance(value, Sequence) or isinstance(value, str) or not value:
        return None
    if len(value) > len(ascii_uppercase) or not all(isinstance(one, str) for one in value):
        return None
    return list(value)


def with_options(question: str, options: Sequence[str]) -> str:
    """A question and its options, `A. …` a line; one that names them already stays as it is."""
    if all(option in question for option in options):
        return question
    lines = (f"{letter}. {text}" for letter, text in zip(ascii_uppercase, options, strict=False))
    return "\n".join((question.rstrip(), *lines))


def right_letter(target: Any, options: Sequence[str]) -> str | None:  # noqa: ANN401 - as logged
    """The letter of the right option: given as a letter, as its text or as its 0-based place.

    None where it is none of these, or could be two of them.
    """
    if isinstance(target, list) and len(target) == 1:
        target = target[0]
    if isinstance(target, bool) or not isinstance(target, str | int):
        return None
    text = str(target).strip()
    places = {list(options).index(text)} if text in options else set()
    if len(text) == 1 and text in ascii_uppercase[: len(options)]:
        places.add(ascii_uppercase.index(text))
    if text.isdecimal() and int(text) < len(options):
        places.add(int(text))
    # Options that are numbers or letters themselves can be meant in two ways.
    return ascii_uppercase[places.pop()] if len(places) == 1 else None
