"""Reads a small table out of a text (pipes, commas or a list) and the question about it."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import NamedTuple

from tasks.simulate.solve.tables import Cells, TableQuestion

_ITEM = re.compile(r"^[-*] ([^:]+): (.+)$")
_EXTREME = re.compile(r"\b(second )?(highest|largest|lowest|smallest) (\w+)")
_LIMIT = re.compile(r"(?:more than|above|over|less than|below|under) (\d+)")
_BELOW = re.compile(r"\b(?:less than|below|under \d)")
_WHERE = re.compile(r"\b(?:whose|where the) (\w+) is (\w+)")
_LOW = ("lowest", "smallest")


class _Table(NamedTuple):
    header: tuple[str, ...]
    rows: Cells
    rest: str


def read(text: str) -> TableQuestion | None:
    """The table and the question of a text, or None when there is no table in it."""
    table = _pipes(text) or _items(text) or _commas(text)
    if table is None or not table.rows:
        return None
    base = TableQuestion(table.header, table.rows, "", "")
    numeric = [
        name
        for place, name in enumerate(table.header)
        if all(row[place].isdigit() for row in table.rows)
    ]
    for line in re.split(r"\n+|(?<=\.) (?=[A-Z])", table.rest):
        question = _question(line, base, numeric)
        if question is not None:
            return question
    return None


def _same_width(cells: list[tuple[str, ...]]) -> bool:
    return len(cells) >= 3 and len({len(row) for row in cells}) == 1


def _pipes(text: str) -> _Table | None:
    lines = text.split("\n")
    cells = [
        tuple(cell.strip() for cell in line.strip("| ").split("|"))
        for line in lines
        if line.startswith("|") and not set(line) <= set("| -:")
    ]
    if not _same_width(cells):
        return None
    rest = "\n".join(line for line in lines if not line.startswith("|"))
    return _Table(cells[0], tuple(cells[1:]), rest)


def _commas(text: str) -> _Table | None:
    lines = text.split("\n")
    cells = [
        tuple(line.split(",")) for line in lines if re.match(r"[^,.?]+(?:,[^ ,][^,?]*){3,}$", line)
    ]
    if not _same_width(cells):
        return None
    joined = {",".join(row) for row in cells}
    rest = "\n".join(line for line in lines if line not in joined)
    return _Table(cells[0], tuple(cells[1:]), rest)


def _items(text: str) -> _Table | None:
    lines = text.split("\n")
    found = [match for match in map(_ITEM.match, lines) if match]
    if not found:
        return None
    labels: tuple[str, ...] = ()
    rows = []
    for match in found:
        pairs = [part.rsplit(" ", 1) for part in match.group(2).split(", ")]
        if any(len(pair) != 2 for pair in pairs):
            return None
        labels = tuple(pair[0] for pair in pairs)
        rows.append((match.group(1), *(pair[1] for pair in pairs)))
    if len({len(row) for row in rows}) != 1:
        return None
    rest = "\n".join(line for line in lines if not _ITEM.match(line))
    return _Table(("name", *labels), tuple(rows), rest)


def _question(line: str, base: TableQuestion, numeric: list[str]) -> TableQuestion | None:
    named = sorted(
        (match.start(), name)
        for name in numeric
        if (match := re.search(rf"\b{re.escape(name)}\b", line))
    )
    if not named:
        return None
    where = _where(line, base)
    base = replace(base, column=named[0][1], where=where)
    if "products" in line or ("multiply" in line and len(named) > 1):
        return replace(base, asked="products", other=named[1][1]) if len(named) > 1 else None
    if match := _LIMIT.search(line):
        return replace(
            base, asked="count", limit=int(match.group(1)), below=bool(_BELOW.search(line))
        )
    if match := _EXTREME.search(line):
        return _extreme(base, match, [name for _, name in named])
    present = [row[0] for row in base.rows if re.search(rf"\b{re.escape(row[0])}\b", line)]
    if len(present) >= 2 and "differ" in line:
        return replace(base, asked="difference", names=tuple(present[:2]))
    if re.search(r"\b(?:average|mean)\b", line):
        return replace(base, asked="mean")
    if re.search(r"\b(?:total|add up|sum)\b", line, re.IGNORECASE):
        return replace(base, asked="total")
    return None


def _where(line: str, base: TableQuestion) -> tuple[str, str] | None:
    match = _WHERE.search(line)
    if match is None or match.group(1) not in base.header:
        return None
    return match.group(1), match.group(2)


def _extreme(base: TableQuestion, match: re.Match[str], named: list[str]) -> TableQuestion | None:
    second, word, column = match.groups()
    if column not in named:
        return None
    others = [name for name in named if name != column]
    return replace(
        base,
        asked="cell" if others else "name",
        column=column,
        other=others[0] if others else "",
        low=word in _LOW,
        rank=1 if second else 0,
    )
