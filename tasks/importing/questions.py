"""The questions of all logs: what is known of each, from whichever log knows it; and their splits.

A question is identified by the hash of its text and context, so that logs of different models,
even of different harnesses, line up. What logs disagree on:

* references that differ: the question has none (scores stay: they were given by those who knew);
* datasets that differ: the first one counts;
* splits that differ: train if any log says so, since what was learnt from cannot test.

A question without a split gets one from its text alone: train if the first 8 hexadecimal digits
of the text's hash, as a share of all values, lie below 0.7, else test. Adding a log, or leaving
one out, moves no question from one side to the other. A question on which no pair has a score is
train: it teaches what calls cost, and nothing could be tested on it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.importing.check import UNKNOWN_GRADER
from tasks.importing.record import Question
from tasks.query import content_hash
from tasks.read import read_labelled

if TYPE_CHECKING:
    import polars as pl

    from tasks.query import Query

TRAIN_SHARE = 0.7


class Questions:
    """Gathers what is known of every question, in order of first appearance."""

    def __init__(self) -> None:
        self._known: dict[str, Question] = {}
        self._disagreements: dict[str, set[str]] = {}

    def __len__(self) -> int:
        return len(self._known)

    def add(self, question: Question) -> None:
        """Take what one row says of a question."""
        known = self._known.get(question.query_id)
        if known is None:
            self._known[question.query_id] = question
        elif known != question:
            self._known[question.query_id] = self._merged(known, question)

    def _merged(self, known: Question, other: Question) -> Question:
        reference, grader = known.reference, known.grader
        if reference is None and not self._is_noted("reference", known):
            reference, grader = other.reference, other.grader
        elif other.reference is not None and other.reference != reference:
            self._note("reference", known)
            reference, grader = None, UNKNOWN_GRADER
        elif other.reference == reference and grader == UNKNOWN_GRADER:
            grader = other.grader
        if known.dataset and other.dataset and known.dataset != other.dataset:
            self._note("dataset", known)
        split = known.split or other.split
        if known.split and other.split and known.split != other.split:
            self._note("split", known)
            split = "train" if "train" in (known.split, other.split) else known.split
        return known._replace(
            reference=reference,
            grader=grader,
            dataset=known.dataset or other.dataset,
            split=split,
            custom_id=known.custom_id or other.custom_id,
        )

    def _note(self, field: str, question: Question) -> None:
        self._disagreements.setdefault(field, set()).add(question.query_id)

    def _is_noted(self, field: str, question: Question) -> bool:
        return question.query_id in self._disagreements.get(field, ())

    def label(self, source: Path, notes: list[str]) -> None:
        """Put references, graders, datasets and splits of a labelled set over what is known.

        A label belongs to a question of the same text and context, else of the same text where
        the label has no context, else of the same `custom_id`.

        Raises:
            InputError: the labelled set cannot be read.
        """
        labelled = read_labelled(source)
        notes += labelled.warnings
        if labelled.bad:
            notes.append(f"{source}: rows that cannot be used as labels: {len(labelled.bad):,}")
        by_text = {content_hash(one.prompt, one.context): one for one in labelled.queries}
        by_id = {one.custom_id: one for one in labelled.queries}
        found = 0
        for query_id, question in self._known.items():
            label = (
                by_text.get(content_hash(question.text, question.context))
                or by_text.get(content_hash(question.text))
                or by_id.get(question.custom_id or "")
            )
            if label is not None:
                found += 1
                self._known[query_id] = _labelled(question, label)
        notes.append(f"{source}: questions with a label: {found:,} of {len(self._known):,}")

    def references(self) -> Mapping[str, Question]:
        """The questions by id."""
        return self._known

    def frame(self, scored: set[str], default_dataset: str) -> pl.DataFrame:
        """`query_id, text, context, dataset, split, reference, grader`, every split settled.

        Args:
            scored: ids of the questions on which some pair has a score.
            default_dataset: of questions whose logs name none.
        """
        import polars as pl

        names = ("query_id", "text", "context", "dataset", "split", "reference", "grader")
        rows = [
            (
                one.query_id,
                one.text,
                one.context,
                one.dataset or default_dataset,
                one.split or ("train" if one.query_id not in scored else drawn_split(one.text)),
                one.reference,
                one.grader,
            )
            for one in self._known.values()
        ]
        return pl.DataFrame(rows, schema=dict.fromkeys(names, pl.String), orient="row")

    def sentences(self) -> list[str]:
        """What logs disagreed on."""
        said = {
            "reference": "are re-graded by none",
            "dataset": "keep the first",
            "split": "are train if any log says so",
        }
        return [
            f"questions on whose {field} logs disagree: {len(ids):,}; they {said[field]}"
            for field, ids in self._disagreements.items()
        ]


def _labelled(question: Question, label: Query) -> Question:
    reference = label.reference
    return question._replace(
        dataset=label.dataset or question.dataset,
        split=label.split or question.split,
        reference=reference.value if reference else question.reference,
        grader=reference.grader if reference else question.grader,
    )


def drawn_split(text: str) -> str:
    """`train` or `test` by the hash of a text: 70 and 30 in a hundred, the same for ever."""
    return "train" if int(content_hash(text)[:8], 16) / 2**32 < TRAIN_SHARE else "test"
