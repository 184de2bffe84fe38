"""Sample logs of lm-evaluation-harness as evidence: `samples_<task>_<date>.jsonl`.

Written by `--log_samples` since 0.4.3. Read of a row: `doc_id`, `doc`, `target`, `arguments`,
`resps`, `filtered_resps`, `filter`, `metrics` and the metrics themselves; of
`results_<date>.json` in the same folder: `model_name`, else `config.model_args`, else
`config.model`.

The question is the text of the `doc`, not the prompt that was sent: few-shot examples and chat
templates differ between models, and a router sees neither. Where no field of the `doc` is known
to be the question, the prompt that was sent stands in, and a sentence says so.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from tasks.importing.errors import UnclearLogError
from tasks.importing.files import LogFile, read_json
from tasks.importing.options import ImportOptions
from tasks.importing.record import MISSING, Raw, as_object, unfolded, with_map
from tasks.importing.records import find_file, iter_records
from tasks.read.lines import Record
from tasks.read.rows import BadRow

QUESTION_FIELDS = (
    "question",
    "query",
    "problem",
    "prompt",
    "instruction",
    "input",
    "text",
    "sentence",
    "goal",
    "ctx",
)
"""Where the question of a `doc` is looked for, the first that is a text."""

PASSAGE_FIELDS = ("passage", "context", "article", "story")
"""A text that the question is about: put before it."""

OPTION_FIELDS = ("choices", "options", "endings")
NUMBERED_OPTIONS = ("option", "sol", "choice", "ending")
"""Options one a field, such as `option1`, `option2`."""

MAIN_METRICS = ("acc", "exact_match", "pass@1", "pass_at_1", "em", "math_verify")
"""Taken without asking where exactly one of them is there."""

UNREAD = "[invalid]"
"""What a filter of lm-eval gives where it finds no answer."""

_NAME = re.compile(r"samples_(?P<task>.+)_(?P<date>\d{4}-\d\d-\d\dT[\d.\-]+)\.jsonl")
_STANDARD = frozenset(
    ("doc_id", "doc", "target", "arguments", "resps", "filtered_resps", "filter", "metrics")
)


class Survey(NamedTuple):
    """What a first look through a file found."""

    filters: tuple[str, ...]
    metrics: tuple[str, ...]


class Choice(NamedTuple):
    """What is read of a file's rows."""

    filter: str
    metric: str | None


def read_lm_eval(
    files: Sequence[LogFile], options: ImportOptions, notes: list[str]
) -> Iterator[Raw | BadRow]:
    """Every sample of every file.

    Raises:
        LogError: a file cannot be read.
        UnclearLogError: it has several metrics or filters, and none is chosen.
    """
    for file in files:
        task, date = _task_and_date(file)
        model = options.model or _model_of(file, date, notes)
        choice = _choose(file, _survey(file, options), options, notes)
        sent = unread = 0
        for item in iter_records(find_file(file.path), options.limits):
            if isinstance(item, BadRow):
                yield item
            elif item.values.get("filter", "none") == choice.filter:
                raw, is_sent = _raw(file, item, choice, options, task, date, model)
                sent += is_sent
                unread += _is_unread(item.values)
                yield raw
        if unread:
            notes.append(
                f"{file.label}: answers in which filter {choice.filter!r} found nothing, scored "
                f"by lm-eval as it says there: {unread:,}"
            )
        if sent:
            notes.append(
                f"{file.label}: rows whose question is the prompt that was sent: {sent:,}; name "
                f"the field of the question with --map prompt=doc.FIELD"
            )


def _task_and_date(file: LogFile) -> tuple[str, str]:
    name = file.path.name
    for ending in (".gz", ".zst"):
        name = name.removesuffix(ending)
    match = _NAME.fullmatch(name)
    if match:
        return match["task"], match["date"]
    return name.removesuffix(".jsonl").removeprefix("samples_"), ""


def _model_of(file: LogFile, date: str, notes: list[str]) -> str:
    """The model by the results beside the samples, else by the name of their folder."""
    folder = file.path.resolve().parent
    same = sorted(folder.glob(f"*_{date}.json")) if date else []
    same = same or sorted(folder.glob("results_*.json"))
    names = [name for path in same if (name := _named_in(as_object(read_json(path))))]
    if len(set(names)) == 1:
        return names[0]
    if len(set(names)) > 1:
        raise UnclearLogError(
            f"{file.label} lies beside results of several models "
            f"({', '.join(sorted(set(names)))}); say which with --model"
        )
    name = folder.name.replace("__", "/", 1)
    if not name:
        raise UnclearLogError(
            f"{file.label} does not say which model it is of; name it with --model"
        )
    notes.append(
        f"{file.label}: no results_*.json beside it names the model; taken from the folder: {name}"
    )
    return name


def _named_in(results: Mapping[str, Any]) -> str | None:
    config = as_object(results.get("config"))
    arguments = config.get("model_args")
    if isinstance(arguments, str):
        pairs = dict(part.partition("=")[::2] for part in arguments.split(","))
        arguments = pairs
    arguments = as_object(arguments)
    named = (
        results.get("model_name"),
        *(arguments.get(key) for key in ("pretrained", "model", "path", "engine")),
        config.get("model"),
    )
    return next((name for name in named if isinstance(name, str) and name.strip()), None)


def _survey(file: LogFile, options: ImportOptions) -> Survey:
    filters: dict[str, None] = {}
    metrics: dict[str, None] = {}
    for item in iter_records(find_file(file.path), options.limits):
        if isinstance(item, BadRow):
            continue
        filters[str(item.values.get("filter", "none"))] = None
        listed = item.values.get("metrics")
        if isinstance(listed, list):
            metrics |= dict.fromkeys(str(name) for name in listed if name != "bypass")
        else:
            # Logs before 0.4.5 do not list their metrics: what else is a number is one.
            metrics |= {
                name: None
                for name, value in item.values.items()
                if name not in _STANDARD and isinstance(value, bool | int | float)
            }
    return Survey(tuple(filters), tuple(metrics))


def _choose(file: LogFile, found: Survey, options: ImportOptions, notes: list[str]) -> Choice:
    """The filter and the metric to read.

    Raises:
        LogError: there are several, and neither the user nor a rule says which.
    """
    filter_ = _wanted(found.filters, options.filters)
    if filter_ is None:
        raise UnclearLogError(
            f"{file.label} has several filters: {', '.join(found.filters)}; choose one with "
            f"--filter"
        )
    if not found.metrics:
        notes.append(f"{file.label} has no metric (predictions only): its rows are unscored")
        return Choice(filter_, None)
    metric = _wanted(found.metrics, options.metrics)
    if metric is None:
        main = [name for name in MAIN_METRICS if name in found.metrics]
        if len(main) != 1:
            raise UnclearLogError(
                f"{file.label} has several metrics: {', '.join(found.metrics)}; choose one with "
                f"--metric"
            )
        metric = main[0]
        notes.append(
            f"{file.label}: of the metrics {', '.join(found.metrics)} {metric} is the score; "
            f"another with --metric"
        )
    return Choice(filter_, metric)


def _wanted(found: Sequence[str], wishes: Sequence[str]) -> str | None:
    """The first wish that is there, else the only one there is."""
    wish = next((one for one in wishes if one in found), None)
    return wish or (found[0] if len(found) == 1 else None if found else "none")


def _raw(
    file: LogFile,
    item: Record,
    choice: Choice,
    options: ImportOptions,
    task: str,
    date: str,
    model: str,
) -> tuple[Raw, bool]:
    record = item.values
    doc = as_object(record.get("doc"))
    question = question_of(doc)
    values = {
        "prompt": question if question is not None else _sent(record),
        "choices": options_of(doc),
        "reference": record.get("target"),
        "dataset": task,
        "model": model,
        "score": None if choice.metric is None else record.get(choice.metric),
        "answer": _answer(record),
        "custom_id": record.get("doc_id"),
    }
    values = with_map(values, record, options.columns)
    observation = f"lm-eval:{date}:{task}:{record.get('doc_id')}"
    is_sent = question is None and "prompt" not in options.columns
    return Raw(file.label, item.row, values, observation), is_sent


def question_of(doc: Mapping[str, Any]) -> str | None:
    """The question of a task's document, None where no field is known to be it."""
    found = {name.lower(): value for name, value in doc.items() if isinstance(value, str)}
    question = next((found[name] for name in QUESTION_FIELDS if found.get(name)), None)
    if question is None:
        return None
    passage = next((found[name] for name in PASSAGE_FIELDS if found.get(name)), None)
    return question if passage is None or passage == question else f"{passage}\n\n{question}"


def options_of(doc: Mapping[str, Any]) -> Any:  # noqa: ANN401 - checked later
    """The options of a task's document, None where there are none."""
    for name in OPTION_FIELDS:
        if doc.get(name) not in MISSING:
            return doc[name]
    for name in NUMBERED_OPTIONS:
        texts = [doc[key] for number in range(1, 10) if (key := f"{name}{number}") in doc]
        if len(texts) > 1:
            return texts
    return None


def _sent(record: Mapping[str, Any]) -> Any:  # noqa: ANN401 - checked later
    """The prompt of the first request: a text, or the messages of a chat."""
    first = as_object(as_object(record.get("arguments")).get("gen_args_0")).get("arg_0")
    if first is None and isinstance(record.get("arguments"), list) and record["arguments"]:
        first = record["arguments"][0]
        first = first[0] if isinstance(first, list) and first else first
    if isinstance(first, list) and len(first) == 1 and isinstance(first[0], str):
        first = first[0]
    return unfolded(first)


def _answer(record: Mapping[str, Any]) -> str | None:
    """What the model said, before any filter; the log-likelihoods of options are no answer."""
    said = record.get("resps")
    for _ in range(2):
        said = said[0] if isinstance(said, list) and said else said
    return said if isinstance(said, str) else None


def _is_unread(record: Mapping[str, Any]) -> bool:
    """Whether the filter found no answer in what was said; lm-eval counts that as wrong."""
    return record.get("filtered_resps") in (UNREAD, [UNREAD])
