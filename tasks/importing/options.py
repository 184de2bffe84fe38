"""What a person may say about logs: the options of `atlas profile import`, read and checked."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from tasks.grade.base import GRADERS
from tasks.importing.errors import ImportUsageError
from tasks.read.rows import SPLITS, UNGRADED, ReadLimits

Format = Literal["lm-eval", "inspect", "openai-batch", "litellm", "table", "columns"]
FORMATS: tuple[Format, ...] = (
    "lm-eval",
    "inspect",
    "openai-batch",
    "litellm",
    "table",
    "columns",
)
AUTO = "auto"

FIELDS = (
    "prompt",
    "context",
    "choices",
    "query_id",
    "custom_id",
    "dataset",
    "split",
    "reference",
    "grader",
    "model",
    "tool",
    "score",
    "answer",
    "cost_usd",
    "input_tokens",
    "output_tokens",
    "duration_s",
    "duration_ms",
    "error_type",
    "repeat",
)
"""What a column or a path inside a row may be mapped to."""

_ALIASES = {
    "question": "prompt",
    "text": "prompt",
    "cost": "cost_usd",
    "duration": "duration_s",
    "error": "error_type",
    "epoch": "repeat",
}
SPLIT_RULES = ("auto", "hash", *SPLITS)


def _nothing() -> Mapping[str, str]:
    return MappingProxyType({})


@dataclass(frozen=True, slots=True)
class ImportOptions:
    """How to read logs.

    Attributes:
        format: one of `FORMATS`, or `auto`: each file tells by its content.
        columns: our field name to the log's column or dotted path.
        model: name of the model of every row, whatever the log says.
        model_map: the log's name of a model to ours, after `model`.
        tool: name of the tool of every row; None is the log's own, else `none`.
        dataset: name of the dataset of every row; None is the log's own.
        split: `auto` keeps what a log gives and draws the rest by text hash, `hash` draws all,
            `train`, `test` and `ood` put every row there.
        grader: which of our graders reads the log's references; None leaves them `unknown`.
        metrics: names of scores, the most wanted first (lm-eval metrics, Inspect scorers).
        filters: names of lm-eval filters, the most wanted first.
        score_range: what the log calls worst and best; scores are moved into [0, 1] from it.
        free: models whose recorded cost of 0 is a price and not an unknown one.
        labels: a labelled set that gives references, graders, datasets and splits by question.
        limits: sizes beyond which a row is bad.
    """

    format: Format | Literal["auto"] = "auto"
    columns: Mapping[str, str] = field(default_factory=_nothing)
    model: str | None = None
    model_map: Mapping[str, str] = field(default_factory=_nothing)
    tool: str | None = None
    dataset: str | None = None
    split: str = "auto"
    grader: str | None = None
    metrics: tuple[str, ...] = ()
    filters: tuple[str, ...] = ()
    score_range: tuple[float, float] = (0.0, 1.0)
    free: tuple[str, ...] = ()
    labels: Path | None = None
    limits: ReadLimits = field(default_factory=ReadLimits)


def read_options(
    *,
    format: str = AUTO,  # noqa: A002 - the name of the option
    columns: Sequence[str] = (),
    model: str | None = None,
    model_map: Sequence[str] = (),
    tool: str | None = None,
    dataset: str | None = None,
    split: str = "auto",
    grader: str | None = None,
    metric: Sequence[str] = (),
    filter: Sequence[str] = (),  # noqa: A002 - the name of the option
    score_range: str | None = None,
    free: Sequence[str] = (),
    labels: Path | None = None,
) -> ImportOptions:
    """The options as they are typed; lists are comma-separated and may be given several times.

    Raises:
        ImportUsageError: a name is unknown, an assignment has no `=`, a range is none.
    """
    known: dict[str, Format] = {name: name for name in FORMATS}
    if format != AUTO and format not in known:
        raise ImportUsageError(
            f"--format {format!r} is unknown; use one of {', '.join((AUTO, *FORMATS))}"
        )
    if split not in SPLIT_RULES:
        raise ImportUsageError(f"--split {split!r} is unknown; use one of {', '.join(SPLIT_RULES)}")
    if grader is not None and grader not in (*GRADERS, *UNGRADED):
        raise ImportUsageError(f"--grader {grader!r} is unknown; use one of {', '.join(GRADERS)}")
    return ImportOptions(
        format=known.get(format, "auto"),
        columns=MappingProxyType(_columns(columns)),
        model=model,
        model_map=MappingProxyType(_assignments(model_map, "--model-map")),
        tool=tool,
        dataset=dataset,
        split=split,
        grader=grader,
        metrics=_names(metric),
        filters=_names(filter),
        score_range=_range(score_range),
        free=_names(free),
        labels=labels,
    )


def _names(given: Sequence[str]) -> tuple[str, ...]:
    return tuple(name.strip() for text in given for name in text.split(",") if name.strip())


def _columns(given: Sequence[str]) -> dict[str, str]:
    mapped: dict[str, str] = {}
    for name, column in _assignments(given, "--map").items():
        known = _ALIASES.get(name, name)
        if known not in FIELDS:
            raise ImportUsageError(
                f"--map {name}={column}: there is no field {name!r}; the fields are "
                f"{', '.join(FIELDS)}"
            )
        if known in mapped:
            raise ImportUsageError(
                f"--map gives {known!r} twice: {mapped[known]!r} and {column!r}; keep one"
            )
        mapped[known] = column
    return mapped


def _assignments(given: Sequence[str], option: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for text in _names(given):
        name, equals, value = (part.strip() for part in text.partition("="))
        if not (name and equals and value):
            raise ImportUsageError(
                f"{option} {text!r} is no assignment; write {option} name=value,name=value"
            )
        if found.setdefault(name, value) != value:
            raise ImportUsageError(
                f"{option} gives {name!r} twice: {found[name]!r} and {value!r}; keep one"
            )
    return found


def _range(text: str | None) -> tuple[float, float]:
    if text is None:
        return 0.0, 1.0
    try:
        low, high = (float(part) for part in text.split(","))
    except ValueError:
        low = high = math.nan
    if not (math.isfinite(low) and math.isfinite(high)) or low == high:
        raise ImportUsageError(
            f"--score-range {text!r} is no range; write WORST,BEST as two numbers, such as 0,100"
        )
    return low, high
