"""What a pool says about a simulated model: skills, tool use, verbosity, speed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

if TYPE_CHECKING:
    from collections.abc import Mapping

Skill = Annotated[float, Field(ge=0.0, le=1.0)]
"""The chance to get an average question of a kind right; 0 never, 1 always."""


class ParametersError(ValueError):
    """Parameters of a simulated model that make no sense; one problem a line."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Skills(_Strict):
    """How well a model understands each kind of question, and how well it works in its head."""

    arithmetic: Skill = 0.7
    algebra: Skill = 0.6
    dates: Skill = 0.6
    lookup: Skill = 0.6
    tables: Skill = 0.6
    code: Skill = 0.5
    logic: Skill = 0.4
    choice: Skill = 0.6
    mental: Skill = 0.5
    """Working without tools: 1 never slips."""
    recall: Skill = 0.05
    """Share of the corpus known by heart."""

    def of(self, domain: str) -> float:
        """The skill of that name."""
        return float(getattr(self, domain))


class ToolUse(_Strict):
    """How well a model uses each tool: calls it at all, and with the right arguments."""

    calculator: Skill = 0.7
    python: Skill = 0.6
    search: Skill = 0.7

    def of(self, tool: str) -> float:
        """The skill with that tool."""
        return float(getattr(self, tool))


class Latency(_Strict):
    """Log-normal time to the first token."""

    median: Annotated[float, Field(gt=0, le=600)] = 0.5
    """Seconds."""
    sigma: Annotated[float, Field(ge=0, le=3)] = 0.4
    """Of the logarithm."""


class SimulatedParameters(_Strict):
    """Everything a pool may say under `parameters` of a simulated model."""

    skills: Skills = Skills()
    tool_use: ToolUse = ToolUse()
    verbosity: Annotated[float, Field(ge=1.0, le=20.0)] = 1.5
    """Output tokens charged for each token shown: above 1, the rest is reasoning."""
    latency_s: Latency = Latency()
    tokens_per_second: Annotated[float, Field(gt=0, le=100_000)] = 80.0
    seed: int = 0
    """Changes every draw of this model and nothing else."""
    temperature: Annotated[float, Field(ge=0.0, le=2.0)] = 0.0
    """Sent with every request; above 0 the request's seed changes the answers."""


def read_parameters(model: str, given: Mapping[str, Any]) -> SimulatedParameters:
    """The checked parameters of one model.

    Args:
        model: its name, for the error.
        given: what stands under `parameters` in the pool.

    Raises:
        ParametersError: an unknown name, a wrong type or a number out of range; lists them all.
    """
    try:
        return SimulatedParameters.model_validate(dict(given))
    except ValidationError as error:
        lines = [
            f"simulated model {model!r}: parameters.{'.'.join(map(str, one['loc']))}: "
            f"{_sentence(one['type'], one['msg'])}"
            for one in error.errors()
        ]
        raise ParametersError("\n".join(lines)) from None


def _sentence(kind: str, message: str) -> str:
    if kind == "extra_forbidden":
        known = ", ".join(
            (*SimulatedParameters.model_fields, *(f"skills.{name}" for name in Skills.model_fields))
        )
        return f"there is no such parameter; known are {known}"
    return message[0].lower() + message[1:]
