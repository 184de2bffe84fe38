"""What can be known by heart: the facts of a corpus, told by its own sentences."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasks.simulate.solve.facts import BY_NAME, told
from tasks.simulate.solve.words import sentences

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path
    from random import Random

_TRIES = 60


class Knowledge:
    """Passages by title; facts are read off them when somebody tries to remember one.

    Args:
        passages: (title, text) pairs; none is fine, then nothing is known.
    """

    def __init__(self, passages: Iterable[tuple[str, str]] = ()) -> None:
        self._by_title: dict[str, list[str]] = {}
        for title, text in passages:
            self._by_title.setdefault(title, []).extend(sentences(text))
        self._titles = list(self._by_title)
        self._found: dict[tuple[str, str], str | None] = {}

    @classmethod
    def of_corpus(cls, folder: Path) -> Knowledge:
        """What the documents of a corpus folder tell.

        Raises:
            CorpusError: the folder cannot be read.
        """
        from tasks.tools.corpus import load_index

        return cls((passage.title, passage.text) for passage in load_index(folder).passages)

    def fact(self, relation: str, subject: str) -> str | None:
        """The value of a relation of a subject, None when the corpus does not tell it."""
        key = (relation, subject)
        if key not in self._found:
            lines = self._by_title.get(subject, ())
            values = (told(line, relation, subject) for line in lines)
            self._found[key] = next((value for value in values if value), None)
        return self._found[key]

    def invented(self, relation: str, rng: Random) -> str:
        """A plausible value: that of some other subject, or a number out of the air."""
        for _ in range(_TRIES if self._titles else 0):
            value = self.fact(relation, rng.choice(self._titles))
            if value is not None:
                return value
        numeric = BY_NAME[relation].value.startswith(r"\d")
        return str(rng.randint(1200, 1990)) if numeric else "Aldermoor"
