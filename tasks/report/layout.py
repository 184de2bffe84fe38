"""Text laid out for a width: label lines, tables, notes and commands, plain or coloured.

A document is laid out once, as lines of styled spans. `plain` joins the spans; `rich` colours
them and draws a frame. Both show the same words in the same places.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol

from tasks.report.formats import clean

if TYPE_CHECKING:
    from rich.panel import Panel

WIDTH = 80
_GAP = "  "
_LEAST = 8
"""A column that may shrink keeps at least so many cells."""

Style = Literal["", "bold", "dim", "green", "yellow", "red", "cyan"]


class Span(NamedTuple):
    """A piece of one line."""

    text: str
    style: Style = ""


Line = list[Span]


class Block(Protocol):
    """Something that lays itself out."""

    def lines(self, width: int) -> list[Line]:
        """Lines no wider than `width` cells."""
        ...


@dataclass(frozen=True, slots=True)
class Labelled:
    """`label  text` lines; long texts go on under the text, not under the label."""

    rows: Sequence[tuple[str, str, Style]]

    def lines(self, width: int) -> list[Line]:
        """One or more lines a row."""
        indent = max((cells(label) for label, _, _ in self.rows), default=0) + len(_GAP)
        found: list[Line] = []
        for label, text, style in self.rows:
            wrapped = wrap(text, width - indent) or [""]
            found.append([Span(pad(label, indent), "dim"), Span(wrapped[0], style)])
            found += [[Span(" " * indent), Span(more, style)] for more in wrapped[1:]]
        return found


class Column(NamedTuple):
    """A column; one that may shrink is cut with an ellipsis when the table is too wide."""

    header: str
    align: Literal["left", "right"] = "right"
    shrinks: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under headers. `emphasised` are the numbers of rows to set in bold."""

    columns: Sequence[Column]
    rows: Sequence[Sequence[str]]
    emphasised: frozenset[int] = frozenset()

    def lines(self, width: int) -> list[Line]:
        """The header line and one line a row."""
        rows = [[clean(cell) for cell in row] for row in self.rows]
        sizes = self._sizes(rows, width)
        headers = [column.header for column in self.columns]
        found: list[Line] = [[Span(self._line(headers, sizes), "dim")]]
        for number, row in enumerate(rows):
            style: Style = "bold" if number in self.emphasised else ""
            found.append([Span(self._line(row, sizes), style)])
        return found

    def _sizes(self, rows: Sequence[Sequence[str]], width: int) -> list[int]:
        sizes = [
            max(cells(column.header), *(cells(row[number]) for row in rows), 0)
            for number, column in enumerate(self.columns)
        ]
        excess = sum(sizes) + len(_GAP) * (len(sizes) - 1) - width
        while excess > 0:
            able = [i for i, c in enumerate(self.columns) if c.shrinks and sizes[i] > _LEAST]
            if not able:
                break
            widest = max(able, key=lambda number: sizes[number])
            sizes[widest] -= 1
            excess -= 1
        return sizes

    def _line(self, row: Sequence[str], sizes: Sequence[int]) -> str:
        cut = (
            pad(shorten(cell, size), size, column.align)
            for cell, size, column in zip(row, sizes, self.columns, strict=True)
        )
        return _GAP.join(cut).rstrip()


@dataclass(frozen=True, slots=True)
class Note:
    """A wrapped sentence."""

    text: str
    style: Style = ""

    def lines(self, width: int) -> list[Line]:
        """As many lines as it takes."""
        return [[Span(line, self.style)] for line in wrap(self.text, width)]


@dataclass(frozen=True, slots=True)
class Commands:
    """What to type next; a long command goes on after a backslash, so that it can be pasted."""

    commands: Sequence[str]

    def lines(self, width: int) -> list[Line]:
        """The first command after `next:`, others under it."""
        found: list[Line] = []
        for number, command in enumerate(self.commands):
            label = "next: " if number == 0 else "      "
            parts = _command_lines(command, width - len(label) - 2)
            for at, part in enumerate(parts):
                lead = label if at == 0 else " " * (len(label) + 2)
                found.append([Span(lead, "dim"), Span(part, "cyan")])
        return found


def _command_lines(command: str, width: int) -> list[str]:
    """The command in lines that a shell joins again; no word of it is ever broken."""
    if cells(command) <= width:
        return [command]
    lines = [""]
    for word in map(shlex.quote, shlex.split(command)):
        joined = f"{lines[-1]} {word}".lstrip()
        if lines[-1] and cells(joined) + len(" \\") > width:
            lines[-1] += " \\"
            lines.append(word)
        else:
            lines[-1] = joined
    return lines


@dataclass(frozen=True, slots=True)
class Document:
    """Blocks under a title, a blank line between them."""

    title: str
    blocks: Sequence[Block]

    def lines(self, width: int) -> list[Line]:
        """All lines but the title."""
        found: list[Line] = []
        for block in self.blocks:
            lines = block.lines(width)
            if lines and found:
                found.append([])
            found += lines
        return found

    def plain(self, width: int = WIDTH) -> str:
        """The document as plain text that ends in a newline."""
        body = ("".join(span.text for span in line).rstrip() for line in self.lines(width))
        return "\n".join([*wrap(self.title, width), "", *body]) + "\n"

    def rich(self, width: int = WIDTH) -> Panel:
        """The document in a frame, for a terminal."""
        from rich.panel import Panel
        from rich.text import Text

        lines = [
            Text.assemble(*((span.text, span.style) for span in line))
            for line in self.lines(width - 4)
        ]
        return Panel(
            Text("\n").join(lines),
            title=Text(clean(self.title), "bold"),
            title_align="left",
            border_style="dim",
            padding=(1, 1),
            width=width,
        )


def cells(text: str) -> int:
    """Terminal cells a text takes; East Asian characters take two."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)


def shorten(text: str, size: int) -> str:
    """The text cut in the middle to at most `size` cells: both ends of a name tell it apart."""
    if cells(text) <= size:
        return text
    if size <= 1:
        return "…"[:size]
    head, tail = text, text
    while head and cells(head) > size // 2:
        head = head[:-1]
    while tail and cells(head) + 1 + cells(tail) > size:
        tail = tail[1:]
    return f"{head}…{tail}"


def pad(text: str, size: int, align: Literal["left", "right"] = "left") -> str:
    """The text filled with spaces to `size` cells."""
    space = " " * (size - cells(text))
    return text + space if align == "left" else space + text


def wrap(text: str, width: int) -> list[str]:
    """Lines of at most `width` cells, broken at spaces, inside a word only if it must be."""
    lines: list[str] = []
    line = ""
    for word in _words(clean(text).split(), max(width, 1)):
        joined = f"{line} {word}" if line else word
        if line and cells(joined) > width:
            lines.append(line)
            line = word
        else:
            line = joined
    return [*lines, line] if line else lines


def _words(words: Iterable[str], width: int) -> Iterable[str]:
    for word in words:
        rest = word
        while cells(rest) > width:
            part = rest[:width]
            while len(part) > 1 and cells(part) > width:
                part = part[:-1]
            yield part
            rest = rest[len(part) :]
        if rest:
            yield rest
