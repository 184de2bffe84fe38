"""Recorded questions: what every pair answered, what that was worth, what it cost.

The same rules as `tasks.learn.environment`, with words: a pair is called at most once, an unscored
pair cannot be called, an answer is worth the mean recorded score of the pairs that gave it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from profiles.pool import Pair
from tasks.grade.answer_key import answer_key
from tasks.learn.language_policy.libraries import LanguagePolicyError
from tasks.learn.recorded import cost_units

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tasks.evaluate.table import OutcomeTable

    Matrix = NDArray[np.float64]


@dataclass(frozen=True)
class RecordedQuestions:
    """n questions with the recorded outcomes of P pairs; rows are questions, columns pairs.

    Attributes:
        query_ids: n of them.
        datasets: of the questions.
        texts: what is asked.
        graders: what kind of answer is wanted; None where unknown.
        references: known right answers; None where there is none.
        pairs: in pair order.
        answers: n × P texts; None where the call failed or nothing was recorded.
        scores: (n, P) in [0, 1]; NaN is unscored or not run.
        costs: (n, P) in units of `cost_unit_usd`; never NaN.
        cost_unit_usd: dollars of one unit; NaN where a unit is a call.
    """

    query_ids: tuple[str, ...]
    datasets: tuple[str, ...]
    texts: tuple[str, ...]
    graders: tuple[str | None, ...]
    references: tuple[str | None, ...]
    pairs: tuple[Pair, ...]
    answers: tuple[tuple[str | None, ...], ...]
    scores: Matrix
    costs: Matrix
    cost_unit_usd: float

    def __post_init__(self) -> None:
        shape = (len(self.texts), len(self.pairs))
        for name, found in (("scores", self.scores.shape), ("costs", self.costs.shape)):
            if found != shape:
                msg = f"{name} are {found}, not {shape} (questions, pairs)"
                raise ValueError(msg)

    @cached_property
    def keys(self) -> tuple[tuple[str | None, ...], ...]:
        """Keys of the recorded answers, n × P; None where an answer has none."""
        return tuple(
            tuple(answer_key(text, grader) for text in row)
            for row, grader in zip(self.answers, self.graders, strict=True)
        )

    def __len__(self) -> int:
        """The number of questions."""
        return len(self.texts)

    @property
    def names(self) -> tuple[str, ...]:
        """Pair ids, in pair order."""
        return tuple(pair.pair_id for pair in self.pairs)

    def rows(self, chosen: NDArray[np.int64]) -> RecordedQuestions:
        """Some of the questions."""
        numbers = chosen.tolist()
        return replace(
            self,
            query_ids=tuple(self.query_ids[n] for n in numbers),
            datasets=tuple(self.datasets[n] for n in numbers),
            texts=tuple(self.texts[n] for n in numbers),
            graders=tuple(self.graders[n] for n in numbers),
            references=tuple(self.references[n] for n in numbers),
            answers=tuple(self.answers[n] for n in numbers),
            scores=self.scores[chosen],
            costs=self.costs[chosen],
        )

    def legal(self, row: int) -> frozenset[int]:
        """Pairs that can be called on a question: those with a recorded score."""
        return frozenset(np.flatnonzero(np.isfinite(self.scores[row])).tolist())

    def optimal(self, row: int) -> NDArray[np.bool_]:
        """(P,) pairs of the models that solve a question best; none where no pair solves it.

        R_sel is about the model: every tool of an optimal model counts.
        """
        scores = np.nan_to_num(self.scores[row])
        if scores.max() <= 0:
            return np.zeros(len(self.pairs), np.bool_)
        best = {self.pairs[column].model for column in np.flatnonzero(scores == scores.max())}
        return np.array([pair.model in best for pair in self.pairs])

    def givers(self, row: int, answer: str, called: list[int]) -> list[int]:
        """Pairs whose recorded answer says the same; those called where one of them does."""
        key = answer_key(answer, self.graders[row])
        if key is None:
            return []
        same = [p for p in sorted(self.legal(row)) if self.keys[row][p] == key]
        return [p for p in same if p in called] or same

    def score(self, row: int, answer: str, called: list[int]) -> float:
        """What an answer is worth: R_out.

        The mean recorded score of the pairs that gave it, called ones first; else 1 where it says
        the same as the known right answer, and 0 where nothing is known of it.
        """
        givers = self.givers(row, answer, called)
        if givers:
            return float(self.scores[row, givers].mean())
        key = answer_key(answer, self.graders[row])
        known = self.references[row]
        return float(key is not None and key == answer_key(known, self.graders[row]))


def read_questions(table: OutcomeTable) -> dict[str, RecordedQuestions]:
    """The questions of a table by split, for training on `train` and measuring on the others.

    A unit of cost is the dearest pair's mean cost on `train`.

    Raises:
        LanguagePolicyError: the table records no answers, so nothing can be shown to a policy.
    """
    if table.outcomes.get_column("answer").null_count() == table.outcomes.height:
        msg = f"{table.directory} records no answers; a language policy has nothing to read there"
        raise LanguagePolicyError(msg)
    row = {name: place for place, name in enumerate(table.queries.get_column("query_id"))}
    column = {pair: place for place, pair in enumerate(table.pairs)}
    shape = (len(row), len(column))
    scores, costs_usd = np.full(shape, np.nan), np.full(shape, np.nan)
    answers: list[list[str | None]] = [[None] * shape[1] for _ in row]
    wanted = table.outcomes.select("query_id", "model", "tool", "score", "cost_usd", "answer")
    for query_id, model, tool, score, cost, answer in wanted.iter_rows():
        place = row[query_id], column[Pair(model, tool)]
        scores[place] = np.nan if score is None else score
        costs_usd[place] = np.nan if cost is None else cost
        answers[place[0]][place[1]] = answer
    splits = np.array(table.queries.get_column("split").to_list())
    scale = cost_units(costs_usd, splits == "train")
    whole = RecordedQuestions(
        query_ids=tuple(row),
        datasets=_column(table, "dataset"),
        texts=_column(table, "text"),
        graders=_column(table, "grader"),
        references=_column(table, "reference"),
        pairs=table.pairs,
        answers=tuple(map(tuple, answers)),
        scores=scores,
        costs=scale.units,
        cost_unit_usd=scale.unit_usd,
    )
    return {split: whole.rows(np.flatnonzero(splits == split)) for split in sorted(set(splits))}


def _column(table: OutcomeTable, name: str) -> tuple[Any, ...]:
    """A column's values; None everywhere where the table has no such column."""
    if name not in table.queries.columns:
        return (None,) * table.queries.height
    return tuple(None if v is None else str(v) for v in table.queries.get_column(name))
