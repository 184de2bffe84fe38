"""What people read goes to standard error, data to standard output; nothing else prints."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tasks.report.layout import Document


def say(text: str) -> None:
    """Write a line for people; a closed standard error is no reason to stop a paid run."""
    try:
        sys.stderr.write(text + "\n")
        sys.stderr.flush()
    except (OSError, ValueError):
        return


def data(text: str) -> None:
    """Write text to standard output as it is, with a newline at its end."""
    sys.stdout.write(text if text.endswith("\n") else text + "\n")
    sys.stdout.flush()


def data_json(value: Any) -> None:  # noqa: ANN401
    """Write a value as JSON; money and times become text, so that nothing is rounded."""
    data(json.dumps(value, indent=2, ensure_ascii=False, default=_as_text))


def _as_text(value: object) -> str | list[Any]:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, set | frozenset | tuple):
        return sorted(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")


def show(document: Document, *, color: str = "auto", to_stdout: bool = False) -> None:
    """Show a document: framed and coloured on a terminal, plain elsewhere."""
    stream = sys.stdout if to_stdout else sys.stderr
    if not _colored(color, stream.isatty()):
        (data if to_stdout else say)(document.plain().rstrip("\n"))
        return
    from rich.console import Console

    width = min(shutil.get_terminal_size().columns, 100)
    Console(file=stream, force_terminal=True).print(document.rich(width))


def _colored(color: str, on_terminal: bool) -> bool:
    if color == "auto":
        return on_terminal and not os.environ.get("NO_COLOR")
    return color == "always"


def table(headers: list[str], rows: list[list[str]], out: Callable[[str], None] = data) -> None:
    """Write rows in aligned columns."""
    sizes = [max(map(len, column)) for column in zip(headers, *rows, strict=True)]
    for row in [headers, *rows]:
        cells = (cell.ljust(size) for cell, size in zip(row, sizes, strict=True))
        out("  ".join(cells).rstrip())
