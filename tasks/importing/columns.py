"""Plain rows (JSON lines, CSV, Parquet), their columns named by a map or by what they are called.

A row is one observation. Two rows of the same question and pair are a row written twice or
contradict each other, unless a column tells repeats apart (`--map repeat=COLUMN`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from tasks.importing.errors import UnclearLogError
from tasks.importing.files import LogFile
from tasks.importing.options import FIELDS, ImportOptions
from tasks.importing.record import MISSING, Raw, pick
from tasks.importing.records import column_names, find_file, iter_records
from tasks.read.rows import BadRow

SYNONYMS: Mapping[str, tuple[str, ...]] = {
    "prompt": ("prompt", "text", "question", "query", "input"),
    "context": ("context", "system"),
    "choices": ("choices", "options"),
    "dataset": ("dataset", "task", "benchmark"),
    "split": ("split",),
    "reference": ("reference", "target", "gold", "expected"),
    "grader": ("grader",),
    "model": ("model", "model_name"),
    "tool": ("tool",),
    "score": ("score", "correct", "is_correct", "accuracy"),
    "answer": ("answer", "response", "output", "completion"),
    "cost_usd": ("cost_usd", "cost"),
    "input_tokens": ("input_tokens", "prompt_tokens"),
    "output_tokens": ("output_tokens", "completion_tokens"),
    "duration_s": ("duration_s", "latency_s"),
    "duration_ms": ("duration_ms", "latency_ms"),
    "error_type": ("error_type", "error"),
    "repeat": ("repeat", "epoch", "attempt"),
    "custom_id": ("custom_id",),
}
"""Names under which a field is found without a map, the first that is there."""


def read_columns(
    files: Sequence[LogFile], options: ImportOptions, notes: list[str]
) -> Iterator[Raw | BadRow]:
    """Every row of every file.

    Raises:
        LogError: a file cannot be read, or has no column for a field that is needed.
    """
    for file in files:
        yield from _read_file(file, options, notes)


def _read_file(file: LogFile, options: ImportOptions, notes: list[str]) -> Iterator[Raw | BadRow]:
    source = find_file(file.path)
    header = column_names(source, options.limits)
    seen: dict[tuple[str, ...], dict[str, str]] = {}
    if header is not None:
        seen[()] = _places(header, options)
        _check(file, header, seen[()], options, notes, strict=True)
    for item in iter_records(source, options.limits):
        if isinstance(item, BadRow):
            yield item
            continue
        # Rows of JSON may differ in their fields; those of a table share its header.
        key = tuple(item.values) if header is None else ()
        if key not in seen:
            names = list(key)
            seen[key] = _places(names, options)
            if len(seen) == 1:
                _check(file, names, seen[key], options, notes, strict=False)
        values = {name: pick(item.values, path) for name, path in seen[key].items()}
        yield Raw(file.label, item.row, values)


def _places(names: Sequence[str], options: ImportOptions) -> dict[str, str]:
    """Field to column."""
    lower = {name.strip().lower(): name for name in reversed(names)}
    found = {
        name: next((lower[one] for one in known if one in lower), None)
        for name, known in SYNONYMS.items()
    }
    found |= options.columns
    return {name: place for name in FIELDS if (place := found.get(name)) is not None}


def _check(
    file: LogFile,
    names: Sequence[str],
    places: Mapping[str, str],
    options: ImportOptions,
    notes: list[str],
    *,
    strict: bool,
) -> None:
    """Refuse a file that lacks a column that is needed, or that the user named.

    Raises:
        LogError: naming the columns there are.
    """
    for name, path in options.columns.items():
        if strict and path not in names and path.split(".")[0] not in names:
            raise UnclearLogError(
                f"{file.label} has no column {path!r} (--map {name}={path}); it has {_shown(names)}"
            )
    for name, given in {"prompt": None, "model": options.model}.items():
        if name not in places and given in MISSING:
            hint = " or give --model NAME" if name == "model" else ""
            raise UnclearLogError(
                f"{file.label} has no column for {name!r}; it has {_shown(names)}; say which it "
                f"is with --map {name}=COLUMN{hint}"
            )
    if "score" not in places:
        notes.append(
            f"{file.label} has no column for 'score' (--map score=COLUMN): its rows are unscored"
        )


def _shown(names: Sequence[str]) -> str:
    return ", ".join(repr(name[:40]) for name in names[:20]) + (" …" if len(names) > 20 else "")
