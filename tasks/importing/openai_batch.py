"""OpenAI batches as evidence: output and error files, joined with their input by `custom_id`.

Input lines hold `custom_id` and `body` (what was asked), output and error lines `custom_id` and
`response` (`status_code`, `body`) or `error` (`code`). A failed request is an outcome with the
error's name and no score. A batch says nothing of money, and grades nothing: labels in the input
lines (`reference`, `grader`, `dataset`, `split`, as in a backlog) or `--labels` let its answers
be graded here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from tasks.importing.conversation import Asked, answer_in, asked_in, usage_in
from tasks.importing.errors import LogError
from tasks.importing.files import LogFile
from tasks.importing.options import ImportOptions
from tasks.importing.record import Raw, as_object, with_map
from tasks.importing.records import find_file, iter_records
from tasks.read.lines import Record
from tasks.read.rows import LABEL_NAMES, BadRow, RowProblem, read_id

HTTP_OK = 200


class Request(NamedTuple):
    """One line of an input file."""

    file: str
    row: int
    asked: Asked
    model: str | None
    labels: dict[str, Any]


class Requests:
    """The input lines of all batches, found by `custom_id`."""

    def __init__(self) -> None:
        self.answered: set[str] = set()
        self._by_id: dict[str, list[Request]] = {}

    def __len__(self) -> int:
        return sum(map(len, self._by_id.values()))

    def add(self, custom_id: str, request: Request) -> None:
        """Remember a line; the same question to another model may share the id."""
        self._by_id.setdefault(custom_id, []).append(request)

    def find(self, custom_id: str, model: str | None) -> Request:
        """The line that an answer is to.

        Raises:
            RowProblem: there is none, or several that ask different things.
        """
        found = self._by_id.get(custom_id, [])
        if not found:
            raise RowProblem("custom_id", "stands in no input file of these batches; give it too")
        same = [one for one in found if one.model and (model or "").startswith(one.model)]
        candidates = same or found
        if len({one.asked for one in candidates}) > 1:
            first, second = candidates[:2]
            raise RowProblem(
                "custom_id",
                f"stands on different requests ({first.file}, row {first.row}; {second.file}, "
                f"row {second.row}); import these batches one at a time",
            )
        self.answered.add(custom_id)
        return max(candidates, key=lambda one: len(one.model or ""))

    def open(self) -> int:
        """How many ids no output or error line answers."""
        return len(self._by_id.keys() - self.answered)


def read_openai_batch(
    files: Sequence[LogFile], options: ImportOptions, notes: list[str]
) -> Iterator[Raw | BadRow]:
    """Every answered or failed request of the batches these files belong to.

    Raises:
        LogError: a file cannot be read, or there is no input or no output file among them.
    """
    requests, results = Requests(), 0
    for file in files:
        for item in _rows(file, options):
            if isinstance(item, Record) and "body" in item.values:
                problem = _remember(file, item, requests, options)
                if problem is not None:
                    yield problem
    for file in files:
        for item in _rows(file, options):
            if isinstance(item, BadRow):
                yield item
            elif "body" not in item.values:
                results += 1
                yield _result(file, item, requests, options)
    _check(files, requests, results)
    if requests.open():
        notes.append(
            f"requests without a line in any output or error file: {requests.open():,} (not "
            f"answered yet, or a file is missing)"
        )


def _rows(file: LogFile, options: ImportOptions) -> Iterator[Record | BadRow]:
    return iter_records(find_file(file.path), options.limits)


def _check(files: Sequence[LogFile], requests: Requests, results: int) -> None:
    shown = ", ".join(file.label for file in files[:3]) + (" …" if len(files) > 3 else "")
    if not results:
        raise LogError(
            f"{shown}: an input file alone; give the batch's output file (and its error file) too"
        )
    if not len(requests):
        raise LogError(
            f"{shown}: no input file; answers are joined with what was asked by custom_id, so "
            f"give the file that was uploaded too"
        )


def _remember(
    file: LogFile, item: Record, requests: Requests, options: ImportOptions
) -> BadRow | None:
    custom_id = None
    try:
        custom_id = read_id(item.values, ("custom_id",))
        if custom_id is None:
            raise RowProblem("custom_id", "is missing")
        body = as_object(item.values["body"])
        asked = asked_in(body, options.limits)
    except RowProblem as problem:
        return BadRow(file.label, item.row, problem.field, problem.reason, custom_id)
    model = body.get("model")
    labels = {name: item.values[name] for name in LABEL_NAMES if name in item.values}
    request = Request(
        file.label, item.row, asked, model if isinstance(model, str) else None, labels
    )
    requests.add(custom_id, request)
    return None


def _result(
    file: LogFile, item: Record, requests: Requests, options: ImportOptions
) -> Raw | BadRow:
    record = item.values
    custom_id = None
    response = as_object(record.get("response"))
    body = as_object(response.get("body"))
    try:
        custom_id = read_id(record, ("custom_id",))
        if custom_id is None:
            raise RowProblem("custom_id", "is missing")
        served = body.get("model")
        request = requests.find(custom_id, served if isinstance(served, str) else None)
    except RowProblem as problem:
        return BadRow(file.label, item.row, problem.field, problem.reason, custom_id)
    usage = usage_in(body)
    error_type = _error_type(record, response, body)
    values = {
        "prompt": request.asked.prompt,
        "context": request.asked.context,
        **request.labels,
        "model": request.model or served,
        "answer": None if error_type else answer_in(body),
        "error_type": error_type,
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "custom_id": custom_id,
    }
    identity = record.get("id") or f"{file.label}:{custom_id}"
    mapped = with_map(values, record, options.columns)
    return Raw(file.label, item.row, mapped, f"batch:{identity}")


def _error_type(
    record: Mapping[str, Any], response: Mapping[str, Any], body: Mapping[str, Any]
) -> str | None:
    """The name of what went wrong, None where there is an answer."""
    error = as_object(record.get("error"))
    status = response.get("status_code")
    if error:
        return str(error.get("code") or "batch_error")
    if not response:
        return "no_response"
    if isinstance(status, int) and status != HTTP_OK:
        code = as_object(body.get("error")).get("code")
        return str(code) if code else f"http_{status}"
    return None
