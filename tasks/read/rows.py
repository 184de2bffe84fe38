"""What a row of a backlog is made of, and every check of a single field."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from tasks.grade.base import GRADERS, Reference

ID_NAMES = ("custom_id", "id", "query_id")
PROMPT_NAMES = ("prompt", "text", "question")
LABEL_NAMES = ("dataset", "split", "reference", "grader")
KNOWN_NAMES = frozenset((*ID_NAMES, *PROMPT_NAMES, *LABEL_NAMES, "context"))
SPLITS = ("train", "test", "ood")
UNGRADED = ("free", "unknown")
"""Graders that outside data names where nothing can be graded: such a row is unlabelled."""

SNIPPET_CHARS = 500
MAX_ID_CHARS = 512


@dataclass(frozen=True, slots=True)
class ReadLimits:
    """Sizes beyond which a row is bad instead of being read on.

    Attributes:
        max_prompt_bytes: largest prompt, context or reference, in bytes of UTF-8.
        max_line_bytes: largest line (CSV: largest record) ever held in memory, in bytes.
    """

    max_prompt_bytes: int = 1_000_000
    max_line_bytes: int = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class BadRow:
    """One row that cannot be asked, with all a person needs to find and mend it.

    Attributes:
        file: file it came from.
        row: 1-based line (JSONL, CSV) or row (Parquet) in that file.
        field: the field at fault, such as `prompt` or `body.messages[0].content`; None is the
            whole row.
        reason: what is wrong and what is expected.
        custom_id: the user's id, where it could be read.
        raw: the beginning of the row as it stands, at most 500 characters.
    """

    file: str
    row: int
    field: str | None
    reason: str
    custom_id: str | None = None
    raw: str = ""

    def __str__(self) -> str:
        field = f", field {self.field}" if self.field else ""
        return f"{self.file}, row {self.row}{field}: {self.reason}"


class RowProblem(Exception):  # noqa: N818 - becomes a BadRow, never reaches a caller
    """What is wrong with one field of the row at hand."""

    def __init__(self, field: str | None, reason: str) -> None:
        super().__init__(reason)
        self.field = field
        self.reason = reason
        self.custom_id: str | None = None


class Draft(NamedTuple):
    """The checked content of one row, before it has a place in a backlog."""

    custom_id: str | None
    query_id: str | None
    """The file's own `query_id`, where it has one."""
    prompt: str
    context: str
    dataset: str | None
    split: str | None
    reference: Reference | None
    ungraded: bool
    """Carries a grader, yet nothing to grade by."""


def snippet(raw: object) -> str:
    """The first 500 characters of a row, whatever form it came in."""
    if isinstance(raw, bytes):
        text = raw[: 4 * SNIPPET_CHARS].decode("utf-8", "replace")
    elif isinstance(raw, str):
        text = raw[:SNIPPET_CHARS]
    else:
        text = json.dumps(raw, ensure_ascii=False, default=str)
    return text[:SNIPPET_CHARS]


def describe(value: object) -> str:
    """Name a value of a wrong type as a person would: `a number (3)`, `a list`, `NaN`."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "infinite"
    if isinstance(value, int | float):
        return f"a number ({str(value)[:30]})"
    names: dict[type, str] = {list: "a list", dict: "an object", str: "text", bytes: "bytes"}
    return names.get(type(value), f"a {type(value).__name__}")


def checked_text(value: object, field: str, max_bytes: int) -> str:
    """Return `value` if it is text that can be stored and sent, else raise RowProblem.

    Refused: anything but text, NUL characters, half surrogate pairs (no UTF-8 exists for them),
    and more than `max_bytes` bytes of UTF-8.
    """
    if type(value) is not str:
        if isinstance(value, bytes):
            raise RowProblem(field, "is not valid UTF-8; save the file as UTF-8")
        raise RowProblem(field, f"must be text, is {describe(value)}")
    if "\x00" in value:
        raise RowProblem(field, f"holds a NUL character at position {value.index(chr(0)) + 1}")
    size = len(value)
    if not value.isascii():
        try:
            size = len(value.encode())
        except UnicodeEncodeError as error:
            reason = f"holds half of a surrogate pair at position {error.start + 1}"
            raise RowProblem(field, reason) from None
    if size > max_bytes:
        raise RowProblem(field, f"is {size:,} bytes long, more than the limit of {max_bytes:,}")
    return value


def checked_prompt(value: object, field: str, max_bytes: int) -> str:
    """Like `checked_text`, and neither missing nor blank."""
    if value is None:
        raise RowProblem(field, "is null, it must be text")
    text = checked_text(value, field, max_bytes)
    if not text:
        raise RowProblem(field, "is empty")
    if text[0].isspace() and text.isspace():
        raise RowProblem(field, "is nothing but white space")
    return text


def checked_id(value: object, field: str) -> str:
    """An id as text: a string as it is, an integer as its digits."""
    if type(value) is int:
        return str(value)
    if type(value) is not str:
        reason = "is not valid UTF-8" if isinstance(value, bytes) else f"is {describe(value)}"
        raise RowProblem(field, f"must be text or an integer, {reason}")
    if len(value) > MAX_ID_CHARS:
        raise RowProblem(field, f"is {len(value):,} characters long, at most {MAX_ID_CHARS} fit")
    return checked_text(value, field, 4 * MAX_ID_CHARS)


def read_id(record: Mapping[str, Any], names: tuple[str, ...] = ID_NAMES) -> str | None:
    """The first id that is there, as text; None where null and empty are all there is."""
    for name in names:
        value = record.get(name)
        if value is not None and value != "":
            return checked_id(value, name)
    return None


def parse_plain(record: Mapping[str, Any], limits: ReadLimits) -> Draft:
    """Check one row of plain form: `{custom_id|id, prompt|text|question, context?, labels?}`.

    Raises:
        RowProblem: the first field at fault, with the id where that could be read.
    """
    custom_id = read_id(record)
    try:
        name = next((name for name in PROMPT_NAMES if name in record), None)
        if name is None:
            raise RowProblem("prompt", "is missing; it may be named prompt, text or question")
        prompt = checked_prompt(record[name], name, limits.max_prompt_bytes)
        context = record.get("context")
        context = (
            "" if context is None else checked_text(context, "context", limits.max_prompt_bytes)
        )
        own = record.get("query_id")
        query_id = None if own is None or own == "" else checked_id(own, "query_id")
        labels = read_labels(record, limits)
    except RowProblem as problem:
        problem.custom_id = custom_id
        raise
    return Draft(custom_id, query_id, prompt, context, *labels)


class Labels(NamedTuple):
    """The optional label fields of a row, checked."""

    dataset: str | None
    split: str | None
    reference: Reference | None
    ungraded: bool


UNLABELLED = Labels(None, None, None, False)


def read_labels(record: Mapping[str, Any], limits: ReadLimits) -> Labels:
    """Check `dataset`, `split`, `reference` and `grader`; all of them may be missing."""
    if record.keys().isdisjoint(LABEL_NAMES):
        return UNLABELLED
    dataset = record.get("dataset")
    if dataset is not None:
        dataset = checked_text(dataset, "dataset", limits.max_prompt_bytes) or None
    split = record.get("split")
    if split is not None and split not in SPLITS:
        shown = repr(split[:40]) if isinstance(split, str) else describe(split)
        raise RowProblem("split", f"must be train, test or ood, is {shown}")
    return Labels(dataset, split, *_read_reference(record, limits))


def _read_reference(record: Mapping[str, Any], limits: ReadLimits) -> tuple[Reference | None, bool]:
    """The gold answer, and whether the row names a grader but has nothing to grade by."""
    value, grader = record.get("reference"), record.get("grader")
    is_missing = value is None or value == ""
    if grader is None or grader == "":
        if is_missing:
            return None, False
        raise RowProblem("grader", f"is missing; a reference needs one of {', '.join(GRADERS)}")
    if not isinstance(grader, str) or grader not in (*GRADERS, *UNGRADED):
        shown = repr(grader[:40]) if isinstance(grader, str) else describe(grader)
        raise RowProblem("grader", f"{shown} is unknown; use one of {', '.join(GRADERS)}")
    if grader in UNGRADED:
        return None, True
    if grader == "recorded":
        return Reference("recorded", "" if is_missing else _reference_text(value, limits)), False
    if is_missing:
        return None, True
    text = _reference_text(value, limits)
    if grader == "code":
        _check_code_reference(text)
    return Reference(grader, text), False


def _reference_text(value: object, limits: ReadLimits) -> str:
    """A reference as the text graders read: lists and objects become JSON, numbers digits."""
    if isinstance(value, bool) or (isinstance(value, float) and not math.isfinite(value)):
        raise RowProblem("reference", f"must be text, a number or a list, is {describe(value)}")
    if isinstance(value, int | float):
        value = repr(value)
    elif isinstance(value, list):
        if not value or not all(isinstance(item, str | int | float) for item in value):
            raise RowProblem("reference", "as a list must hold at least one text, and texts only")
        value = json.dumps([str(item) for item in value], ensure_ascii=False)
    elif isinstance(value, dict):
        value = json.dumps(value, ensure_ascii=False, default=str)
    return checked_text(value, "reference", limits.max_prompt_bytes)


def _check_code_reference(text: str) -> None:
    """Hidden tests are a JSON object; a broken one is found before a call is paid for."""
    try:
        tests = json.loads(text)
    except (ValueError, RecursionError):
        tests = None
    if not isinstance(tests, dict):
        raise RowProblem("reference", "of grader code must be a JSON object with the tests")
