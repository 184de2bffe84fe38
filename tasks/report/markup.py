"""HTML that cannot be broken by what it shows: text is escaped unless an element made it."""

from __future__ import annotations

import base64
from html import escape
from typing import TYPE_CHECKING

from tasks.report.layout import Block, Commands, Labelled, Note, Table

if TYPE_CHECKING:
    from collections.abc import Iterable

_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'"
"""The browser itself refuses scripts and requests, whatever a question's text may try."""

_STYLE = """
:root { color-scheme: light dark; --ink: #1b1f24; --soft: #57606a; --line: #d0d7de;
  --page: #ffffff; --card: #f6f8fa; --accent: #0067a3; --good: #1a7f4b; --warn: #8a5a00;
  --bad: #b3261e; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6edf3; --soft: #9aa6b2; --line: #3a434d;
  --page: #0f141a; --card: #171d25; --accent: #66b8ea; --good: #5fcf95; --warn: #e6b450;
  --bad: #ff9a8f; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 72rem; padding: 2rem 1.25rem 4rem; background: var(--page);
  color: var(--ink); font: 16px/1.55 system-ui, sans-serif; }
h1 { font-size: 1.6rem; margin: 0; overflow-wrap: anywhere; }
h2 { font-size: 1.15rem; margin: 2.5rem 0 .75rem; padding-bottom: .3rem;
  border-bottom: 1px solid var(--line); }
p { margin: .6rem 0; max-width: 60rem; } .soft, .dim { color: var(--soft); }
.green { color: var(--good); } .yellow { color: var(--warn); } .red { color: var(--bad); }
.bold { font-weight: 600; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(10rem, 1fr)); gap: .75rem;
  margin: 1.25rem 0; padding: 0; list-style: none; }
.tiles li { background: var(--card); border: 1px solid var(--line); border-radius: .5rem;
  padding: .75rem 1rem; }
.tiles strong { display: block; font-size: 1.45rem; font-variant-numeric: tabular-nums; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .25rem 1.25rem; margin: 1rem 0; }
dt { color: var(--soft); } dd { margin: 0; overflow-wrap: anywhere; }
.wide { overflow-x: auto; margin: .75rem 0; }
table { border-collapse: collapse; font-size: .92rem; font-variant-numeric: tabular-nums; }
th, td { padding: .3rem .8rem; text-align: right; white-space: nowrap;
  border-bottom: 1px solid var(--line); }
th { color: var(--soft); font-weight: 600; } .left { text-align: left; }
tbody tr:hover { background: var(--card); }
figure { margin: 1rem 0; } figcaption { color: var(--soft); font-size: .92rem; margin-top: .4rem; }
img { display: block; max-width: 100%; height: auto; background: #fff; padding: .5rem;
  border: 1px solid var(--line); border-radius: .5rem; }
details { border: 1px solid var(--line); border-radius: .5rem; margin: .5rem 0; padding: 0 1rem; }
summary { cursor: pointer; padding: .6rem 0; } summary:focus-visible { outline: 2px solid
  var(--accent); outline-offset: 3px; }
blockquote { margin: .5rem 0; padding: .1rem 1rem; border-left: 3px solid var(--accent);
  white-space: pre-wrap; overflow-wrap: anywhere; }
pre { background: var(--card); border: 1px solid var(--line); border-radius: .5rem;
  padding: .75rem 1rem; overflow-x: auto; }
footer { margin-top: 3rem; color: var(--soft); font-size: .85rem; }
@media print { body { max-width: none; } details { break-inside: avoid; } }
"""


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


def page(title: str, subtitle: str, parts: Iterable[Markup], made_by: str) -> str:
    """A whole page that needs nothing but itself."""
    head = Markup(
        '<meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        f"<title>{escape(_visible(title))}</title><style>{_STYLE}</style>"
    )
    header = element("header", element("h1", title), element("p", subtitle, class_="soft"))
    body = element("body", header, element("main", join(parts)), element("footer", made_by))
    return f'<!doctype html>\n<html lang="en"><head>{head}</head>{body}</html>\n'
