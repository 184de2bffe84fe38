"""Our own tables of recorded outcomes (`queries.parquet`, `outcomes.parquet`) beside other logs.

A question is known by its text, so that outcomes of other logs on the same text line up with the
table's. Where a text stands under several ids (questions about images that are not in the text),
it does not say which of them is meant: those keep the table's own ids.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from tasks.importing.files import OUTCOMES, QUERIES, LogFile
from tasks.importing.options import ImportOptions
from tasks.importing.record import Raw, with_map
from tasks.importing.records import find_file, iter_records
from tasks.query import content_hash
from tasks.read.rows import BadRow

_QUESTION = ("dataset", "split", "reference", "grader", "context")
_OUTCOME = (
    "model",
    "tool",
    "score",
    "cost_usd",
    "input_tokens",
    "output_tokens",
    "duration_s",
    "error_type",
    "answer",
)


def read_tables(
    files: Sequence[LogFile], options: ImportOptions, notes: list[str]
) -> Iterator[Raw | BadRow]:
    """Every outcome of every table.

    Raises:
        LogError: a file cannot be read.
    """
    for folder in files:
        questions: dict[str, dict[str, Any]] = {}
        for item in iter_records(find_file(folder.path / QUERIES), options.limits):
            if isinstance(item, BadRow):
                yield item
            else:
                questions[str(item.values.get("query_id"))] = _question(item.values)
        texts = Counter(_identity(one) for one in questions.values())
        shared = {query_id for query_id, one in questions.items() if texts[_identity(one)] > 1}
        if shared:
            notes.append(
                f"{folder.label}: questions whose text stands under several ids: {len(shared):,}; "
                f"they keep their own ids and do not line up with other logs"
            )
        file = find_file(folder.path / OUTCOMES)
        for item in iter_records(file, options.limits):
            if isinstance(item, BadRow):
                yield item
                continue
            query_id = str(item.values.get("query_id"))
            question = questions.get(query_id)
            if question is None:
                reason = f"is not among the questions of {QUERIES}"
                yield BadRow(file.label, item.row, "query_id", reason)
                continue
            own = {"query_id": query_id} if query_id in shared else {}
            outcome = {name: item.values.get(name) for name in _OUTCOME}
            values = with_map(question | own | outcome, item.values, options.columns)
            yield Raw(file.label, item.row, values, f"table:{folder.label}:{query_id}")


def _question(record: dict[str, Any]) -> dict[str, Any]:
    return {"prompt": record.get("text")} | {
        name: record[name] for name in _QUESTION if record.get(name) is not None
    }


def _identity(question: dict[str, Any]) -> str:
    return content_hash(str(question.get("prompt")), str(question.get("context") or ""))
