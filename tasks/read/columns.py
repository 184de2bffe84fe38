"""Which column of a table is which field."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

from tasks.read.errors import InputError
from tasks.read.rows import KNOWN_NAMES, PROMPT_NAMES

OPTIONAL_NAMES = KNOWN_NAMES - set(PROMPT_NAMES)


@dataclass(frozen=True, slots=True)
class Columns:
    """The header of a CSV or Parquet file, read once.

    Attributes:
        names: as the file has them.
        known: place of each known field; of several prompt columns only the first counts.
        unknown: names of columns that are not read.
        twice: known fields that more than one column claims.
    """

    names: list[str]
    known: dict[str, int]
    unknown: list[str]
    twice: list[str]

    @classmethod
    def empty(cls) -> Columns:
        """The columns of a file without any."""
        return cls([], {}, [], [])

    @property
    def count(self) -> int:
        """How many fields a row must have."""
        return len(self.names)

    @property
    def prompt(self) -> str | None:
        """The name of the prompt column."""
        return next((name for name in PROMPT_NAMES if name in self.known), None)

    def require(self, label: str, note: str = "") -> None:
        """Insist on one prompt column and on no column twice.

        Raises:
            InputError: naming the columns found and the names accepted.
        """
        shown = ", ".join(repr(name[:40]) for name in self.names[:20])
        if self.prompt is None:
            raise InputError(
                f"{label} has no column with the prompt; found {shown}{note and f' ({note})'}; "
                f"name it one of {', '.join(PROMPT_NAMES)}"
            )
        if self.twice:
            raise InputError(
                f"{label} has two columns named {self.twice[0]!r} (found {shown}); keep one"
            )

    def require_distinct(self, label: str) -> None:
        """Insist on no column twice.

        Raises:
            InputError: naming the column.
        """
        if self.twice:
            raise InputError(f"{label} has two columns named {self.twice[0]!r}; keep one")

    def pick(self, fields: list[str]) -> dict[str, Any]:
        """The known fields of a row; an empty field is a missing one, save the prompt."""
        values: dict[str, Any] = {}
        for name, place in self.known.items():
            field = fields[place]
            if field or name not in OPTIONAL_NAMES:
                values[name] = field
        return values


def find_columns(names: list[str]) -> Columns:
    """Match a header with the known fields, blind to case and to blanks around a name."""
    tidy = [name.strip().lower() for name in names]
    counts = Counter(tidy)
    prompt = next((name for name in PROMPT_NAMES if name in counts), None)
    wanted = OPTIONAL_NAMES | {prompt}
    known = {name: tidy.index(name) for name in tidy if name in wanted}
    unknown = [name for name, short in zip(names, tidy, strict=True) if short not in wanted]
    return Columns(names, known, unknown, [name for name in known if counts[name] > 1])


def every_column(names: list[str]) -> Columns:
    """A header of which every column is read, under its own name."""
    counts = Counter(names)
    known = {name: names.index(name) for name in names}
    return Columns(names, known, [], [name for name in known if counts[name] > 1])
