"""Reading what a model passed to a tool, and what a pool passed to its construction."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict

from tasks.tools.base import ToolResult

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic import ValidationError


class ToolParameters(BaseModel):
    """Parameters of one tool in the pool file: unknown names are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ArgumentError(ValueError):
    """An argument a tool cannot take; the message is for the model that wrote it."""


def read_text(arguments: Mapping[str, Any], name: str, *, longest: int) -> str:
    """A required text argument that is not blank.

    Raises:
        ArgumentError: it is missing, blank, not text, or longer than `longest` characters.
    """
    value = arguments.get(name)
    if not isinstance(value, str) or not value.strip():
        given = ", ".join(sorted(map(str, arguments))) or "none"
        raise ArgumentError(f"the argument {name!r} (text) is missing; arguments given: {given}")
    if len(value) > longest:
        raise ArgumentError(f"the argument {name!r} is longer than {longest:,} characters")
    return value


def refuse(error: Exception | str, *, tier: str = "in-process") -> ToolResult:
    """The result of a call whose arguments cannot be used. It cost nothing."""
    return failure("bad_arguments", str(error), tier=tier)


def failure(error_type: str, cause: str, *, tier: str = "in-process") -> ToolResult:
    """A result that is not ok, told to the model in one line."""
    return ToolResult(
        output=f"Error: {cause}",
        ok=False,
        error_type=error_type,
        error_cause=cause,
        tier=tier,
    )


def problems(error: ValidationError) -> list[str]:
    """Sentences for people, one for each parameter that is wrong."""
    sentences = []
    for part in error.errors(include_url=False, include_context=False):
        field = ".".join(map(str, part["loc"]))
        if part["type"] == "extra_forbidden":
            sentences.append(f"parameter {field!r} is unknown")
        elif part["type"] == "missing":
            sentences.append(f"parameter {field!r} is missing")
        else:
            said = part["msg"].removeprefix("Value error, ")
            where = f"parameter {field!r}: " if field else ""
            sentences.append(f"{where}{said[:1].lower()}{said[1:]}")
    return sentences
