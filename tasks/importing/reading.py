"""Logs of any kind, read together into one table of recorded outcomes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from profiles.pool import Pair
from tasks.importing.check import checked, checked_call
from tasks.importing.columns import read_columns
from tasks.importing.errors import LogError
from tasks.importing.files import LogFile, find_logs
from tasks.importing.grading import grade_answers
from tasks.importing.inspect_log import read_inspect
from tasks.importing.litellm import read_litellm
from tasks.importing.lm_eval import read_lm_eval
from tasks.importing.observations import Observations, settle
from tasks.importing.openai_batch import read_openai_batch
from tasks.importing.options import FORMATS, Format, ImportOptions
from tasks.importing.pair_calls import PairCalls
from tasks.importing.questions import Questions
from tasks.importing.record import Call, Evidence, Raw, Unasked
from tasks.importing.table import read_tables
from tasks.read.rows import BadRow

if TYPE_CHECKING:
    import polars as pl

Reader = Callable[[Sequence[LogFile], ImportOptions, list[str]], Iterator[Raw | Unasked | BadRow]]

READERS: dict[Format, Reader] = {
    "lm-eval": read_lm_eval,
    "inspect": read_inspect,
    "openai-batch": read_openai_batch,
    "litellm": read_litellm,
    "table": read_tables,
    "columns": read_columns,
}

KEPT_PROBLEMS = 100_000
"""How many bad rows are kept one by one; beyond, they are only counted."""


@dataclass(frozen=True, slots=True)
class Imported:
    """What logs came to.

    Attributes:
        queries: `query_id, text, context, dataset, split, reference, grader`, one row a question.
        outcomes: `query_id, model, tool, score, cost_usd, input_tokens, output_tokens, answer,
            source, duration_s, error_type, repeats, scored, failures`, one row a cell.
        problems: bad rows, without their text; at most `KEPT_PROBLEMS`.
        bad: how many there were.
        rows: how many rows were read, good and bad.
        warnings: what a person should hear.
        files: the logs that were read.
    """

    queries: pl.DataFrame
    outcomes: pl.DataFrame
    problems: list[BadRow]
    bad: int
    rows: int
    warnings: list[str]
    files: tuple[LogFile, ...]

    @property
    def scored(self) -> int:
        """How many cells have a score."""
        return int(self.outcomes.get_column("score").count())


def read_logs(sources: Sequence[str | Path], options: ImportOptions | None = None) -> Imported:
    """Read files, folders and globs of past logs.

    Memory is bounded by the questions, the cells and their answers, not by the logs' size.

    Args:
        sources: what to read; files of several kinds may stand together.
        options: how to read them.

    Raises:
        LogError: a source is missing or unreadable, must be told more about, or no row is usable.
        InputError: the labelled set cannot be read.
    """
    options = options or ImportOptions()
    warnings: list[str] = []
    files = find_logs(sources, options.format, options.limits, warnings)
    observations, questions, calls = Observations(), Questions(), PairCalls()
    problems: list[BadRow] = []
    rows = bad = 0
    for format_ in FORMATS:
        chosen = [file for file in files if file.format == format_]
        if not chosen:
            continue
        for item in READERS[format_](chosen, options, warnings):
            rows += 1
            found = _checked(item, options)
            if isinstance(found, BadRow):
                bad += 1
                if len(problems) < KEPT_PROBLEMS:
                    problems.append(found)
            elif isinstance(found, Call):
                assert isinstance(item, Unasked)
                calls.add(found, item.observation)
            else:
                questions.add(found.question)
                observations.add(found, format_, item.file, item.row)
    if not len(questions):
        raise LogError(_nothing_usable(files, problems, bad, calls, warnings))
    if options.labels is not None:
        questions.label(options.labels, warnings)
    graded = grade_answers(observations.frame(), questions.references(), warnings)
    cells = settle(graded)
    if cells.duplicates:
        warnings.append(f"rows written twice, read once: {cells.duplicates:,}")
    warnings += questions.sentences()
    outcomes = calls.fill(cells.outcomes, "litellm", warnings)
    warnings += _unpriced(outcomes)
    scored = set(outcomes.drop_nulls("score").get_column("query_id"))
    queries = questions.frame(scored, _stem(files[0]))
    kept = queries.join(outcomes.select("query_id"), on="query_id", how="semi")
    if kept.is_empty():
        raise LogError(
            f"no row can be used: all {len(cells.problems):,} contradict another one; the first: "
            f"{cells.problems[0]}"
        )
    return Imported(
        queries=kept,
        outcomes=outcomes,
        problems=[*problems, *cells.problems],
        bad=bad + len(cells.problems),
        rows=rows,
        warnings=warnings,
        files=tuple(files),
    )


def _unpriced(outcomes: pl.DataFrame) -> list[str]:
    """A sentence if some pairs have no cost at all: they have no utility above alpha 0."""
    import polars as pl

    pairs = outcomes.group_by("model", "tool").agg(
        scored=pl.col("score").count(), priced=pl.col("cost_usd").count()
    )
    missing = pairs.filter((pl.col("scored") > 0) & (pl.col("priced") == 0)).sort("model", "tool")
    if missing.is_empty():
        return []
    names = [Pair(model, tool).pair_id for model, tool in missing.select("model", "tool").rows()]
    shown = ", ".join(names[:5]) + (" …" if len(names) > 5 else "")
    sentence = (
        f"pairs without any known cost: {len(names)} ({shown}); routers that weigh costs (alpha "
        f"above 0) leave them out"
    )
    return [sentence]


def _checked(item: Raw | Unasked | BadRow, options: ImportOptions) -> Evidence | Call | BadRow:
    if isinstance(item, BadRow):
        return item
    return checked(item, options) if isinstance(item, Raw) else checked_call(item, options)


def _nothing_usable(
    files: Sequence[LogFile],
    problems: Sequence[BadRow],
    bad: int,
    calls: PairCalls,
    warnings: Sequence[str],
) -> str:
    """Why no question came of these logs."""
    shown = ", ".join(file.label for file in files[:3]) + (" …" if len(files) > 3 else "")
    if len(calls):
        return (
            f"{shown}: calls whose question is not in the log: {len(calls):,} (a proxy keeps it "
            f"with store_prompts_in_spend_logs: true), and no other row; import them together "
            f"with a log that knows questions, whose pairs they then price"
        )
    why = f"the first: {problems[0]}" if problems else "; ".join(warnings) or "they are empty"
    return f"{shown}: no row can be used (bad rows: {bad:,}); {why}"


def _stem(file: LogFile) -> str:
    return file.path.name.split(".")[0] or "log"
