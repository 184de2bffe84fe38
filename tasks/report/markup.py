"""HTML that cannot be broken by what it shows: text is escaped unless an element made it."""

from __future__ import annotations

import base64
from html import escape
from typing import TYPE_CHECKING

from tasks.report.layout import Block, Commands, Labelled, Note, Table
from tasks.report.style import BASE, COLOURS

if TYPE_CHECKING:
    from collections.abc import Iterable

_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'"
"""The browser itself refuses scripts and requests, whatever a question's text may try."""

_STYLE = COLOURS + BASE


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


def element(name: str, *children: str, **attributes: str) -> Markup:
    """One element. Children that are no `Markup`, and all attributes, are escaped.

    Attribute names lose a trailing underscore, so that `class_` and `for_` can be written.
    """
    given = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(_visible(value))}"'
        for key, value in attributes.items()
    )
    inner = "".join(_html(child) for child in children)
    return Markup(f"<{name}{given}>{inner}</{name}>")


def _html(text: str) -> str:
    return text if isinstance(text, Markup) else escape(_visible(text))


def _visible(text: str) -> str:
    """The text without characters that HTML forbids or that cannot be written as UTF-8."""
    allowed = "\t\n"
    return "".join(
        char
        if char in allowed or (char >= " " and not "\x7f" <= char <= "\x9f"
                               and not "\ud800" <= char <= "\udfff")
        else "\N{REPLACEMENT CHARACTER}"
        for char in text
    )  # fmt: skip


def join(parts: Iterable[Markup]) -> Markup:
    """Elements one after the other."""
    return Markup("\n".join(parts))


def picture(png: bytes, description: str, caption: str) -> Markup:
    """A figure inside the page itself; `description` is for those who cannot see it."""
    source = "data:image/png;base64," + base64.b64encode(png).decode("ascii")
    image = Markup(f'<img src="{source}" alt="{escape(_visible(description))}">')
    return element("figure", image, element("figcaption", caption))


def block(part: Block) -> Markup:
    """A block of a terminal document as HTML, uncut.

    Raises:
        TypeError: a kind of block that has no HTML form.
    """
    if isinstance(part, Labelled):
        rows = (
            element("dt", label) + element("dd", text, class_=style)
            for label, text, style in part.rows
        )
        return Markup(f"<dl>{''.join(rows)}</dl>")
    if isinstance(part, Table):
        return _table(part)
    if isinstance(part, Note):
        return element("p", part.text, class_=part.style)
    if isinstance(part, Commands):
        return element("pre", element("code", "\n".join(part.commands)))
    raise TypeError(f"{type(part).__name__} has no HTML form")


def _table(table: Table) -> Markup:
    sides = ["left" if column.align == "left" else "" for column in table.columns]
    head = (
        element("th", column.header, scope="col", class_=side)
        for column, side in zip(table.columns, sides, strict=True)
    )
    body = []
    for number, row in enumerate(table.rows):
        cells = (element("td", cell, class_=side) for cell, side in zip(row, sides, strict=True))
        emphasis = "bold" if number in table.emphasised else ""
        body.append(element("tr", Markup("".join(cells)), class_=emphasis))
    inside = element("thead", element("tr", Markup("".join(head))))
    whole = element("table", inside, element("tbody", join(body)))
    # A scrolling region must be reachable by keyboard.
    return element("div", whole, class_="wide", tabindex="0", role="region", aria_label="table")


def empty(sentence: str) -> Markup:
    """What stands where there is nothing to show."""
    return element("p", sentence, class_="empty")


def closed(title: str, *contents: Markup) -> Markup:
    """A box that opens on its title."""
    return element("details", element("summary", title), *contents)


def page(
    title: str,
    subtitle: str,
    parts: Iterable[Markup],
    made_by: str,
    *,
    kicker: str = "",
    heading: str = "",
    navigation: Iterable[tuple[str, str]] = (),
    style: str = "",
) -> str:
    """A whole page that needs nothing but itself.

    Args:
        title: of the window, and of the page unless `heading` says otherwise.
        subtitle: the line beneath it.
        parts: what stands on it.
        made_by: the last line.
        kicker: a word or two above the title, saying what kind of page this is.
        heading: what the page itself is headed by.
        navigation: (id, words) of places on the page to jump to.
        style: rules that this page needs beyond those of every page.
    """
    head = Markup(
        '<meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        f"<title>{escape(_visible(title))}</title><style>{_STYLE}{style}</style>"
    )
    places = [element("a", label, href=f"#{name}") for name, label in navigation]
    header = element(
        "header",
        *([element("p", kicker, class_="kicker")] if kicker else []),
        element("h1", heading or title),
        element("p", subtitle, class_="soft"),
        *([element("nav", Markup("".join(places)), aria_label="Parts of the page")] * bool(places)),
    )
    body = element("body", header, element("main", join(parts)), element("footer", made_by))
    return f'<!doctype html>\n<html lang="en"><head>{head}</head>{body}</html>\n'
