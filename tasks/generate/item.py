"""A generated question, and what every kind of question offers."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from random import Random

    from tasks.generate.world import World


class Item(NamedTuple):
    """One question with its gold answer.

    Attributes:
        dataset: the kind of question, which is the name of its labelled set.
        text: what a model is asked.
        reference: the gold answer, in the form its grader reads.
        grader: one of `tasks.grade.base.GRADERS`.
    """

    dataset: str
    text: str
    reference: str
    grader: str


class Body(NamedTuple):
    """A question before it is dressed up: text, gold answer, grader, and how to ask for the form.

    Attributes:
        text: the question itself.
        reference: the gold answer.
        grader: the grader that reads it.
        form: sentence that says how the answer should look; empty where the text says so.
    """

    text: str
    reference: str
    grader: str
    form: str = ""


class Kind(Protocol):
    """Makes questions of one kind."""

    def __call__(self, rng: Random, world: World) -> Body:
        """Make one question; the same generator state gives the same question."""
        ...
