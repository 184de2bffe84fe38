"""Inspect logs as evidence: one sample and epoch is one observation.

Read of a log: `eval.model`, `eval.task`, `eval.eval_id`, `status`; of a sample: `id`, `epoch`,
`uuid`, `input`, `choices`, `target`, `scores`, `output`, `model_usage`, `working_time`,
`total_time`, `error`, `limit`, `invalidation`, `attachments`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tasks.importing.conversation import answer_in
from tasks.importing.errors import UnclearLogError
from tasks.importing.files import LogFile
from tasks.importing.inspect_file import Sample, open_inspect
from tasks.importing.options import ImportOptions
from tasks.importing.record import Raw, as_object, with_map
from tasks.read.rows import BadRow

GRADES = {"C": 1.0, "P": 0.5, "I": 0.0, "N": 0.0}
"""Inspect's letters: correct, partial, incorrect, no answer."""

SAMPLE_ERROR = "sample_error"
_ATTACHMENT = "attachment://"


def read_inspect(
    files: Sequence[LogFile], options: ImportOptions, notes: list[str]
) -> Iterator[Raw | BadRow]:
    """Every sample of every log.

    Raises:
        LogError: a log cannot be read, or has several scorers of which none is chosen.
    """
    for file in files:
        yield from _read_file(file, options, notes)


def _read_file(file: LogFile, options: ImportOptions, notes: list[str]) -> Iterator[Raw | BadRow]:
    header, samples = open_inspect(file.path)
    run = as_object(header.get("eval"))
    left_out: Counter[str] = Counter()
    count = 0
    for sample in samples:
        count += 1
        if sample.problem is not None:
            yield BadRow(file.label, sample.number, "sample", sample.problem)
        elif sample.fields.get("invalidation"):
            left_out["that were marked invalid"] += 1
        else:
            yield _raw(file, run, sample, options, left_out)
    status = header.get("status", "started")
    if status != "success":
        notes.append(f"{file.label}: the run's status is {status!r}; the samples in it: {count:,}")
    if not count:
        notes.append(f"{file.label} holds no samples (it was written without them, or stopped)")
    for reason, number in left_out.items():
        notes.append(f"{file.label}: samples {reason}: {number:,}")


def _raw(
    file: LogFile,
    run: Mapping[str, Any],
    sample: Sample,
    options: ImportOptions,
    left_out: Counter[str],
) -> Raw:
    fields = sample.fields
    score, answer = _score(file, fields, options)
    if isinstance(score, str):
        left_out["whose score is a word that is no grade, unscored"] += 1
        score = None
    usage = _usage(fields, run.get("model"))
    identity = fields.get("uuid") or f"{run.get('eval_id')}/{fields.get('id')}"
    values = {
        "prompt": _resolved(fields.get("input"), as_object(fields.get("attachments"))),
        "choices": fields.get("choices"),
        "reference": fields.get("target"),
        "dataset": run.get("task"),
        "model": run.get("model"),
        "score": score,
        "answer": answer_in(as_object(fields.get("output"))) or answer,
        "error_type": _error_type(fields, has_score=score is not None),
        "duration_s": fields.get("working_time", fields.get("total_time")),
        "custom_id": fields.get("id"),
        "repeat": fields.get("epoch"),
        **usage,
    }
    mapped = with_map(values, fields, options.columns)
    return Raw(file.label, sample.number, mapped, f"inspect:{identity}")


def _score(
    file: LogFile, fields: Mapping[str, Any], options: ImportOptions
) -> tuple[Any, str | None]:
    """The value of the chosen score, and the answer it was read from."""
    scores = fields.get("scores")
    if scores is None and fields.get("score") is not None:
        scores = {"score": fields["score"]}
    if not isinstance(scores, Mapping) or not scores:
        return None, None
    name, key = _chosen(file, scores, options.metrics)
    score = as_object(scores[name])
    value = score.get("value")
    if isinstance(value, Mapping):
        value = value.get(_only(file, name, value, key))
    if isinstance(value, str):
        value = GRADES.get(value.strip(), _as_number(value))
    answer = score.get("answer")
    return value, answer if isinstance(answer, str) else None


def _chosen(
    file: LogFile, scores: Mapping[str, Any], wanted: Sequence[str]
) -> tuple[str, str | None]:
    """The scorer, and the key of its values where the wish names one."""
    for wish in wanted:
        if wish in scores:
            return wish, None
        name, _, key = wish.rpartition(".")
        if name in scores:
            return name, key
    if len(scores) == 1:
        return next(iter(scores)), None
    raise UnclearLogError(
        f"{file.label} has several scores: {', '.join(sorted(scores))}; choose one with --metric"
    )


def _only(file: LogFile, name: str, value: Mapping[str, Any], key: str | None) -> str:
    """The key of a score with several values."""
    if key is None and len(value) == 1:
        return str(next(iter(value)))
    if key in value:
        return str(key)
    keys = ", ".join(f"{name}.{one}" for one in sorted(value))
    raise UnclearLogError(
        f"{file.label}: the score {name} has several values; choose --metric of {keys}"
    )


def _as_number(text: str) -> Any:  # noqa: ANN401 - a number, a truth value or the text
    words = {"yes": True, "true": True, "no": False, "false": False}
    if text.strip().lower() in words:
        return words[text.strip().lower()]
    try:
        return float(text)
    except ValueError:
        return text


def _error_type(fields: Mapping[str, Any], *, has_score: bool) -> str | None:
    """A sample that failed, or hit a limit before it could be scored."""
    if fields.get("error"):
        return SAMPLE_ERROR
    limit = as_object(fields.get("limit")).get("type")
    return f"limit_{limit}" if limit and not has_score else None


def _usage(fields: Mapping[str, Any], model: Any) -> dict[str, Any]:  # noqa: ANN401 - as logged
    """Tokens and dollars of the evaluated model; those of grading models are not the pair's."""
    by_model = as_object(fields.get("model_usage"))
    usage = as_object(by_model.get(model) if isinstance(model, str) else None)
    if not usage:
        return {}
    parts = ("input_tokens", "input_tokens_cache_read", "input_tokens_cache_write")
    counts = [usage.get(name) for name in parts]
    known = [one for one in counts if isinstance(one, int | float)]
    return {
        # Inspect counts cached tokens beside the others, ATLAS among them.
        "input_tokens": sum(known) if known else None,
        "output_tokens": usage.get("output_tokens"),
        "cost_usd": usage.get("total_cost"),
    }


def _resolved(value: Any, attachments: Mapping[str, Any]) -> Any:  # noqa: ANN401 - as logged
    """An input with its attachments put back."""
    if isinstance(value, str) and value.startswith(_ATTACHMENT):
        return attachments.get(value.removeprefix(_ATTACHMENT), value)
    if isinstance(value, list):
        return [_resolved(one, attachments) for one in value]
    if isinstance(value, Mapping):
        return {name: _resolved(one, attachments) for name, one in value.items()}
    return value
