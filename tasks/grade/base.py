"""What a grade is, and which graders there are."""

from __future__ import annotations

from dataclasses import dataclass

GRADERS = ("exact", "numeric", "choice", "token_f1", "code", "judge", "recorded")
"""Every grader a labelled row may name. `recorded` takes the score a recorded table carries."""


@dataclass(frozen=True, slots=True)
class Reference:
    """A gold answer with the grader that reads it.

    `value` is a plain string; for `exact` and `token_f1` it may be a JSON list of accepted
    strings, for `code` it is a JSON object with the hidden tests, for `numeric` it may carry a
    unit, a fraction or a percent sign.
    """

    grader: str
    value: str


@dataclass(frozen=True, slots=True)
class Grade:
    """A score in [0, 1], or None with the reason why the answer could not be scored."""

    score: float | None
    grader: str
    version: str
    reason: str | None = None
    extracted: str | None = None
    """What the grader read as the answer."""
