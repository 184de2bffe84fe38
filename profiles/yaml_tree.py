"""YAML as a tree of values that remember their lines, so that a problem can name its place."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from profiles.errors import Problem, holds_secret, redact

MAX_BYTES = 4_000_000
"""A pool is written by hand; a larger file is something else."""
MAX_VALUES = 100_000
"""Aliases of aliases can make a short file unfold for ever."""

_NULL = "tag:yaml.org,2002:null"
_MERGE = "tag:yaml.org,2002:merge"
_MERGE_DEPTH = 8


@dataclass(slots=True)
class Reading:
    """A file being read: its name and the problems found so far."""

    file: str
    problems: list[Problem] = field(default_factory=list)

    def report(self, node: yaml.Node | None, where: str, message: str) -> None:
        """Note a problem at a node (or of the whole file); secrets are never repeated."""
        line = 0 if node is None else int(node.start_mark.line) + 1
        problem = Problem(self.file, line, redact(where), redact(message))
        if problem not in self.problems:
            self.problems.append(problem)

    def report_line(self, line: int, where: str, message: str) -> None:
        """Note a problem at a 1-based line."""
        self.problems.append(Problem(self.file, line, redact(where), redact(message)))


@dataclass(frozen=True, slots=True)
class Entry:
    """One `key: value` of a mapping: the nodes of both, for their lines."""

    key: yaml.Node
    value: yaml.Node


def read_yaml(path: Path, reading: Reading) -> yaml.Node | None:
    """The root node of a YAML file, or None after reporting why there is none."""
    text = _read_text(path, reading)
    if text is None:
        return None
    _find_secrets(text, reading)
    try:
        documents = list(yaml.compose_all(text, Loader=yaml.SafeLoader))
    except yaml.YAMLError as error:
        _report_syntax(error, reading)
        return None
    except RecursionError:
        reading.report(None, "", "is nested too deeply; a pool needs six levels")
        return None
    if not documents or documents[0] is None or documents[0].tag == _NULL:
        reading.report(None, "", "is empty; see docs/routing.md for the keys a pool needs")
        return None
    if len(documents) > 1:
        reading.report(documents[1], "", "a second document starts here; one file is one pool")
    if _has_cycle(documents[0]):
        reading.report(documents[0], "", "an anchor contains itself; write the value out instead")
        return None
    return documents[0]


def is_null(node: yaml.Node) -> bool:
    """Whether a value was left empty or written as null."""
    return bool(node.tag == _NULL)


def entries(node: yaml.MappingNode, where: str, reading: Reading) -> dict[str, Entry]:
    """The entries of a mapping by key text; duplicate and non-text keys are reported.

    `<<` merges are resolved: what is written out wins over what is merged in.
    """
    found: dict[str, Entry] = {}
    merged: dict[str, Entry] = {}
    for key, value in node.value:
        if key.tag == _MERGE:
            for name, entry in _merged(value, where, reading, depth=1):
                merged.setdefault(name, entry)
        elif not isinstance(key, yaml.ScalarNode) or is_null(key):
            reading.report(key, where, "a key must be a plain word")
        elif key.value in found:
            first = found[key.value].key.start_mark.line + 1
            reading.report(
                key, _join(where, key.value), f"is given twice (first in line {first}); keep one"
            )
        else:
            found[key.value] = Entry(key, value)
    return {**merged, **found}


def _merged(
    value: yaml.Node, where: str, reading: Reading, depth: int
) -> Iterator[tuple[str, Entry]]:
    sources = value.value if isinstance(value, yaml.SequenceNode) else [value]
    for source in sources:
        if not isinstance(source, yaml.MappingNode) or depth > _MERGE_DEPTH:
            reading.report(value, where, "`<<` merges mappings only; name an anchor of a mapping")
            continue
        later = []
        for key, inner in source.value:
            if key.tag == _MERGE:
                later.append(inner)
            elif isinstance(key, yaml.ScalarNode):
                yield key.value, Entry(key, inner)
        for inner in later:
            yield from _merged(inner, where, reading, depth + 1)


def plain_value(node: yaml.Node, where: str, reading: Reading) -> Any:  # noqa: ANN401
    """A node as plain JSON-like values (free-form `parameters`); None after a problem."""
    budget = [MAX_VALUES]
    return _plain(node, where, reading, budget)


def _plain(node: yaml.Node, where: str, reading: Reading, budget: list[int]) -> Any:  # noqa: ANN401
    budget[0] -= 1
    if budget[0] < 0:
        if budget[0] == -1:
            reading.report(node, where, f"unfolds to more than {MAX_VALUES:,} values; shorten it")
        return None
    if isinstance(node, yaml.MappingNode):
        return {
            name: _plain(entry.value, _join(where, name), reading, budget)
            for name, entry in entries(node, where, reading).items()
        }
    if isinstance(node, yaml.SequenceNode):
        return [
            _plain(item, f"{where}[{index}]", reading, budget)
            for index, item in enumerate(node.value)
        ]
    return _plain_scalar(node, where, reading)


def _plain_scalar(node: yaml.Node, where: str, reading: Reading) -> Any:  # noqa: ANN401
    constructor = yaml.constructor.SafeConstructor()
    try:
        value = constructor.construct_object(node)
    except (yaml.YAMLError, ValueError):
        reading.report(node, where, "is not a value YAML can read; put it in quotes")
        return None
    if isinstance(value, float) and not math.isfinite(value):
        reading.report(node, where, "must be a finite number")
        return None
    if value is None or isinstance(value, str | bool | int | float):
        return value
    # Dates and binary have no JSON form and would make the fingerprint depend on a parser.
    reading.report(node, where, "is read by YAML as a date or as binary; put it in quotes")
    return None


def _read_text(path: Path, reading: Reading) -> str | None:
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            reading.report(None, "", f"is {size:,} bytes; this is not a pool file")
            return None
        data = path.read_bytes()
    except FileNotFoundError:
        reading.report(None, "", "does not exist; check the path, or write one with `atlas init`")
        return None
    except OSError as error:
        what = "is a folder" if path.is_dir() else f"cannot be read ({error.strerror})"
        reading.report(None, "", f"{what}; name a readable YAML file")
        return None
    if b"\x00" in data:
        reading.report(None, "", "is binary; a pool is a YAML text file")
        return None
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        reading.report_line(line, "", "is not UTF-8; save the file as UTF-8 text")
        return None


def _find_secrets(text: str, reading: Reading) -> None:
    for number, line in enumerate(text.splitlines(), start=1):
        if holds_secret(line):
            reading.report_line(
                number,
                "",
                "this line holds what looks like a key; take it out (and renew it), put it in an"
                " environment variable and name that variable in `api_key_env`",
            )


def _report_syntax(error: yaml.YAMLError, reading: Reading) -> None:
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        said = ", ".join(part for part in (error.context, error.problem) if part)
        message = f"is not YAML ({said}); check indentation and quotes"
        reading.report_line(error.problem_mark.line + 1, "", message)
    else:
        reading.report(None, "", "is not YAML text: it holds characters YAML forbids")


def _has_cycle(root: yaml.Node) -> bool:
    done: set[int] = set()
    path: set[int] = set()
    stack: list[tuple[yaml.Node, bool]] = [(root, False)]
    while stack:
        node, leaving = stack.pop()
        if leaving:
            path.discard(id(node))
            done.add(id(node))
        elif id(node) in path:
            return True
        elif id(node) not in done and not isinstance(node, yaml.ScalarNode):
            path.add(id(node))
            stack.append((node, True))
            stack.extend((child, False) for child in _children(node))
    return False


def _children(node: yaml.Node) -> Iterator[yaml.Node]:
    for item in node.value:
        if isinstance(item, tuple):
            yield from item
        else:
            yield item


def _join(where: str, name: str) -> str:
    return f"{where}.{name}" if where else name
