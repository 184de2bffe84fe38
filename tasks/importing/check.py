"""Every check of a single observation, whatever log it came from.

A score is moved into [0, 1]; NaN and null are *unscored*, never wrong. A failed call has no
score. Texts appear in no message: prompts of production logs hold secrets.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from tasks.importing.choices import option_texts, right_letter, with_options
from tasks.importing.conversation import fold
from tasks.importing.options import ImportOptions
from tasks.importing.record import (
    MISSING,
    Call,
    Evidence,
    Question,
    Raw,
    Unasked,
    unfolded,
)
from tasks.query import content_hash
from tasks.read.rows import (
    SPLITS,
    BadRow,
    RowProblem,
    checked_id,
    checked_prompt,
    checked_text,
    describe,
    read_labels,
)

NO_TOOL = "none"
UNKNOWN_GRADER = "unknown"
FAILED = "error"
"""What a failure is called whose own name is no name but a message."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:/\-]{0,79}")
_UNFIT = re.compile(r"[\s*?\[\]\x00-\x1f\x7f]+|@@+")
_YES_NO = {"true": 1.0, "false": 0.0, "yes": 1.0, "no": 0.0}


def checked(raw: Raw, options: ImportOptions) -> Evidence | BadRow:
    """The observation, or what is wrong with its first field at fault."""
    try:
        question = _question(raw.values, options)
        call = _call(raw.values, options)
        score = _score(raw.values.get("score"), options.score_range)
        answer = _answer(raw.values.get("answer"), options)
    except RowProblem as problem:
        return _bad(raw, problem)
    observation = f"{raw.observation}#{raw.values.get('repeat') or ''}"
    return Evidence(question, call, observation, None if call.error_type else score, answer)


def checked_call(unasked: Unasked, options: ImportOptions) -> Call | BadRow:
    """The call, or what is wrong with its first field at fault."""
    try:
        return _call(unasked.values, options)
    except RowProblem as problem:
        return _bad(unasked, problem)


def _bad(row: Raw | Unasked, problem: RowProblem) -> BadRow:
    shown = row.values.get("custom_id")
    custom_id = str(shown)[:80] if isinstance(shown, str | int) else None
    return BadRow(row.file, row.row, problem.field, problem.reason, custom_id)


def _call(values: Mapping[str, Any], options: ImportOptions) -> Call:
    model = _name(options.model or values.get("model"), "model")
    tool = _name(options.tool or values.get("tool") or NO_TOOL, "tool")
    duration = _amount(values.get("duration_s"), "duration_s")
    if duration is None:
        milliseconds = _amount(values.get("duration_ms"), "duration_ms")
        duration = None if milliseconds is None else milliseconds / 1000
    return Call(
        model=fit_name(options.model_map.get(model, model)),
        tool=fit_name(tool),
        cost_usd=_amount(values.get("cost_usd"), "cost_usd"),
        input_tokens=_tokens(values.get("input_tokens"), "input_tokens"),
        output_tokens=_tokens(values.get("output_tokens"), "output_tokens"),
        duration_s=duration,
        error_type=_error_type(values.get("error_type")),
    )


def fit_name(name: str) -> str:
    """A model's or tool's name made fit to stand in a pool: no blanks, no `*?[]`, no `@@`."""
    return _UNFIT.sub("-", name.strip()).strip("@-") or "unnamed"


def _question(values: Mapping[str, Any], options: ImportOptions) -> Question:
    size = options.limits.max_prompt_bytes
    prompt, context = unfolded(values.get("prompt")), values.get("context")
    if isinstance(prompt, list) and prompt and isinstance(prompt[0], Mapping):
        prompt, folded = fold(prompt, options.limits, "prompt")
        context = folded if context in MISSING else f"{context}\n\n{folded}".rstrip()
    elif not isinstance(prompt, str):
        prompt = values.get("prompt")
    prompt = checked_prompt(prompt, "prompt", size)
    context = "" if context in MISSING else checked_text(context, "context", size)
    choices = option_texts(unfolded(values.get("choices")))
    if choices:
        prompt = checked_prompt(with_options(prompt, choices), "choices", size)
    reference, grader = _reference(values, choices, options)
    given = read_labels(
        {name: values[name] for name in ("dataset", "split") if values.get(name) not in MISSING},
        options.limits,
    )
    own, custom_id = values.get("query_id"), values.get("custom_id")
    return Question(
        query_id=content_hash(prompt, context) if own in MISSING else checked_id(own, "query_id"),
        text=prompt,
        context=context,
        dataset=options.dataset or given.dataset,
        split=_split(given.split, options.split),
        reference=reference,
        grader=grader,
        custom_id=None if custom_id in MISSING else checked_id(custom_id, "custom_id"),
    )


def _split(given: str | None, rule: str) -> str | None:
    if rule in SPLITS:
        return rule
    return given if rule == "auto" else None


def _reference(
    values: Mapping[str, Any], choices: list[str] | None, options: ImportOptions
) -> tuple[str | None, str]:
    """The gold answer, and the grader that reads it: `unknown` unless it is known."""
    given = values.get("reference")
    value = unfolded(given)
    if value in MISSING or value == []:
        return None, UNKNOWN_GRADER
    grader = options.grader or values.get("grader")
    letter = right_letter(value, choices) if choices and grader in (None, "choice", "") else None
    if letter is not None:
        return letter, "choice"
    if grader in MISSING or grader == UNKNOWN_GRADER:
        text = given if isinstance(given, str) else json.dumps(given, default=str)
        return checked_text(text, "reference", options.limits.max_prompt_bytes), UNKNOWN_GRADER
    labels = read_labels({"reference": given, "grader": grader}, options.limits)
    if labels.reference is None:
        return str(given), str(grader)
    return labels.reference.value, labels.reference.grader


def _name(value: Any, field: str) -> str:  # noqa: ANN401 - checked here
    if value in MISSING:
        raise RowProblem(field, f"is missing; name it with --{field} or map it with --map")
    name = checked_id(value, field).strip()
    if not name:
        raise RowProblem(field, "is nothing but white space")
    return name


def _error_type(value: Any) -> str | None:  # noqa: ANN401 - checked here
    """A short name of the failure; a message, which may quote a prompt, becomes `error`."""
    if value in MISSING or value is False:
        return None
    if isinstance(value, float) and math.isnan(value):
        return None
    text = value.strip() if isinstance(value, str) else FAILED
    return text if _NAME.fullmatch(text) else FAILED


def number(value: Any, field: str) -> float | None:  # noqa: ANN401 - checked here
    """A number, given as one or as text; None where it is null, empty or NaN.

    Raises:
        RowProblem: it is something else, or infinite.
    """
    if value in MISSING:
        return None
    if isinstance(value, str):
        word = value.strip().lower()
        if word in ("", "null", "none", "nan", "n/a"):
            return None
        try:
            value = float(word)
        except ValueError:
            raise RowProblem(field, "must be a number, is text") from None
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise RowProblem(field, f"must be a number, is {describe(value)}")
    try:
        found = float(value)
    except OverflowError:
        raise RowProblem(field, "must be a number of a sensible size") from None
    if math.isnan(found):
        return None
    if math.isinf(found):
        raise RowProblem(field, "must be a number, is infinite")
    return found


def _score(value: Any, bounds: tuple[float, float]) -> float | None:  # noqa: ANN401
    if isinstance(value, str):
        value = _YES_NO.get(value.strip().lower(), value)
    if isinstance(value, bool):
        return float(value)
    found = number(value, "score")
    if found is None:
        return None
    worst, best = bounds
    moved = (found - worst) / (best - worst)
    if not -1e-9 <= moved <= 1 + 1e-9:
        raise RowProblem(
            "score",
            f"is {found:g}, outside {worst:g} to {best:g}; give the log's own --score-range "
            f"WORST,BEST, or another --metric",
        )
    return min(1.0, max(0.0, moved))


def _amount(value: Any, field: str) -> float | None:  # noqa: ANN401 - checked here
    found = number(value, field)
    if found is not None and found < 0:
        raise RowProblem(field, f"must be 0 or more, is {found:g}")
    return found


def _tokens(value: Any, field: str) -> float | None:  # noqa: ANN401 - checked here
    found = _amount(value, field)
    if found is not None and not found.is_integer():
        raise RowProblem(field, f"must be a whole number, is {found:g}")
    if found is not None and found > 2**31 - 1:
        raise RowProblem(field, f"must be a number of a sensible size, is {found:g}")
    return found


def _answer(value: Any, options: ImportOptions) -> str | None:  # noqa: ANN401 - checked here
    if value is None:
        return None
    if isinstance(value, list | dict):
        value = json.dumps(value, ensure_ascii=False, default=str)
    elif isinstance(value, bool | int | float):
        value = str(value)
    return checked_text(value, "answer", options.limits.max_prompt_bytes)
