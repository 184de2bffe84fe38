"""Grading answers that a log left unscored, by references that the log or a labelled set gives.

Only graders that need nobody else are used. Answers that need hidden tests or a judge stay
unscored and are counted: run those questions with `atlas profile run`.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING

from tasks.grade.base import Reference
from tasks.importing.record import Question

if TYPE_CHECKING:
    import polars as pl

ALONE = ("exact", "numeric", "choice", "token_f1")
"""Graders that call no model and run no program."""


def grade_answers(
    observations: pl.DataFrame, questions: Mapping[str, Question], notes: list[str]
) -> pl.DataFrame:
    """The observations with a score wherever an answer could be graded.

    Args:
        observations: rows of `tasks.importing.observations.Observations.frame`.
        questions: with their references, by id.
        notes: gets sentences about what was graded and what was not.
    """
    import polars as pl

    open_rows = (
        observations.with_row_index("place")
        .filter(
            pl.col("score").is_null()
            & pl.col("error_type").is_null()
            & pl.col("answer").is_not_null()
        )
        .select("place", "query_id", "answer")
    )
    wanted = {
        query_id
        for query_id in open_rows.get_column("query_id").unique()
        if questions[query_id].reference is not None
    }
    counts: Counter[str] = Counter()
    rows = [
        (place, answer, questions[query_id])
        for place, query_id, answer in open_rows.iter_rows()
        if query_id in wanted
    ]
    gradable = [row for row in rows if row[2].grader in ALONE]
    for row in rows:
        if row[2].grader in ("code", "judge"):
            counts[row[2].grader] += 1
    notes += [
        f"answers that need the grader {grader} and stay unscored: {number:,}"
        for grader, number in counts.items()
    ]
    if not gradable:
        return observations
    scores = asyncio.run(_grade(gradable))
    found = sum(score is not None for score in scores)
    notes.append(f"answers graded here: {found:,}; left unscored: {len(scores) - found:,}")
    graded = pl.DataFrame(
        {"place": [row[0] for row in gradable], "graded": scores},
        schema={
            "place": observations.with_row_index("place").schema["place"],
            "graded": pl.Float64,
        },
    )
    return (
        observations.with_row_index("place")
        .join(graded, on="place", how="left", maintain_order="left")
        .with_columns(score=pl.coalesce("score", "graded"))
        .drop("place", "graded")
    )


async def _grade(rows: list[tuple[int, str, Question]]) -> list[float | None]:
    from tasks.grade.graders import Graders

    graders = Graders()
    try:
        return [
            (await graders.grade(answer, Reference(one.grader, one.reference or ""))).score
            for _, answer, one in rows
        ]
    finally:
        await graders.close()
