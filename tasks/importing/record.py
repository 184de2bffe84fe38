"""One observation of one pair on one question: as a log gives it, and checked."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

MISSING = (None, "")


class Raw(NamedTuple):
    """One observation as its log gives it, the fields still unchecked.

    Attributes:
        file: where it came from.
        row: 1-based line, row or sample in that file.
        values: by the names of `tasks.importing.options.FIELDS`; what is absent is unknown.
        observation: tells this observation of a pair on a question from another one; two rows of
            the same observation are one row written twice, or contradict each other.
    """

    file: str
    row: int
    values: dict[str, Any]
    observation: str = ""


class Unasked(NamedTuple):
    """A call of which the log does not say what was asked; the fields are those of `Raw`."""

    file: str
    row: int
    values: dict[str, Any]
    observation: str


class Question(NamedTuple):
    """A question as it is known from one row."""

    query_id: str
    text: str
    context: str
    dataset: str | None
    split: str | None
    reference: str | None
    grader: str
    custom_id: str | None


class Call(NamedTuple):
    """What one call of a pair came to, checked; None is unknown."""

    model: str
    tool: str
    cost_usd: float | None
    input_tokens: float | None
    output_tokens: float | None
    duration_s: float | None
    error_type: str | None
    """Why the call failed."""


class Evidence(NamedTuple):
    """A checked observation."""

    question: Question
    call: Call
    observation: str
    score: float | None
    """In [0, 1]; None is unscored, as every failed call is."""
    answer: str | None


def pick(record: Mapping[str, Any], path: str) -> Any:  # noqa: ANN401 - whatever is there
    """The value at a dotted path, None where it leads nowhere.

    A name that holds dots itself is found first; text in the way is read as JSON, as columns of
    CSV exports hold it; a number is a place in a list.
    """
    if path in record:
        return record[path]
    here: Any = record
    for name in path.split("."):
        here = unfolded(here)
        if isinstance(here, Mapping):
            here = here.get(name)
        elif isinstance(here, list) and name.isdecimal() and int(name) < len(here):
            here = here[int(name)]
        else:
            return None
    return here


def unfolded(value: Any) -> Any:  # noqa: ANN401 - whatever is there
    """A value, read as JSON where it is the text of an object or a list."""
    if isinstance(value, str) and value[:1] in ("{", "["):
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            return value
    return value


def as_object(value: Any) -> Mapping[str, Any]:  # noqa: ANN401 - whatever is there
    """A value as a JSON object; an empty one where it is none."""
    found = unfolded(value)
    return found if isinstance(found, Mapping) else {}


def with_map(
    values: dict[str, Any], record: Mapping[str, Any], columns: Mapping[str, str]
) -> dict[str, Any]:
    """What a format found in a record, with the fields that the user mapped put over it."""
    return values | {name: pick(record, path) for name, path in columns.items()}
