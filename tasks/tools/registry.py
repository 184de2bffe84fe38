"""Builds the tools of a pool, every parameter checked before the first call."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field, ValidationError, model_validator

from tasks.tools.arguments import ToolParameters, problems
from tasks.tools.calculator import Calculator, CalculatorParameters
from tasks.tools.corpus import CorpusError, corpus_files
from tasks.tools.isolation import detect_tier
from tasks.tools.none import NoParameters, NoTool
from tasks.tools.python_tool import PythonParameters, PythonTool
from tasks.tools.sandbox import Sandbox
from tasks.tools.search import CorpusSearch, SearchTool
from tasks.tools.web_search import WebSearch

if TYPE_CHECKING:
    from collections.abc import Mapping

    from profiles.pool import Pool, ToolSpec
    from tasks.tools.base import Tool
    from tasks.tools.search import SearchBackend


VERSIONS = {
    "none": "none-1",
    "recorded": "recorded-1",
    "calculator": "calculator-1",
    "python": "python-1",
    "search": "search-1",
}
"""Kind of tool to version. Raise it whenever the tool may answer the same call differently."""


class ToolConfigError(ValueError):
    """Tools that cannot be built; the message lists every problem, one a line."""

    def __init__(self, source: str, sentences: list[str]) -> None:
        where = f"{source}: " if source else ""
        super().__init__("\n".join(f"{where}{sentence}" for sentence in sentences))
        self.problems = tuple(sentences)


class SearchParameters(ToolParameters):
    """What a pool may set: `corpus`, or `url` with its key."""

    corpus: str | None = None
    """Folder of documents, relative to the pool file."""
    url: str | None = None
    """Address of a web search service."""
    key_env: str | None = None
    """Environment variable that holds its key."""
    engine: str | None = None
    """Its engine id, sent as `cx`."""
    top: int = Field(default=3, ge=1, le=10)
    """Snippets a search brings back."""
    timeout_s: float = Field(default=20.0, gt=0, le=600)
    """Seconds for one web search."""

    @model_validator(mode="after")
    def _one_backend(self) -> SearchParameters:
        if (self.corpus is None) == (self.url is None):
            raise ValueError("give either 'corpus' (a folder) or 'url' (a web search service)")
        if self.url is not None and not self.url.startswith(("http://", "https://")):
            raise ValueError("'url' starts with http:// or https://")
        if self.corpus is not None and (self.key_env or self.engine):
            raise ValueError("'key_env' and 'engine' belong to 'url', not to 'corpus'")
        return self


_PARAMETERS: dict[str, type[ToolParameters]] = {
    "none": NoParameters,
    "recorded": NoParameters,
    "calculator": CalculatorParameters,
    "python": PythonParameters,
    "search": SearchParameters,
}


def build_tools(pool: Pool, *, base_dir: Path, env: Mapping[str, str]) -> dict[str, Tool]:
    """Every tool of a pool by its key. Call it, and use the tools, inside one event loop.

    Args:
        pool: the validated pool.
        base_dir: what relative folders of the pool are relative to.
        env: where key variables are looked up.

    Raises:
        ToolConfigError: unknown kinds or parameters, missing folders or key variables, or a
            Python tool where no sandbox works; all problems at once.
    """
    tools: dict[str, Tool] = {}
    sentences: list[str] = []
    for spec in pool.tools.values():
        try:
            tools[spec.key] = _build(spec, base_dir, env)
        except _ProblemError as error:
            sentences += [f"tool {spec.key!r}: {sentence}" for sentence in error.sentences]
    if sentences:
        raise ToolConfigError(pool.source, sentences)
    return tools


class _ProblemError(Exception):
    def __init__(self, *sentences: str) -> None:
        super().__init__(*sentences)
        self.sentences = sentences


def _build(spec: ToolSpec, base_dir: Path, env: Mapping[str, str]) -> Tool:
    parameters: Any = _read_parameters(spec)
    price = spec.price_per_call_usd
    match spec.kind:
        case "calculator":
            return Calculator(parameters, price_per_call_usd=price)
        case "python":
            tier = detect_tier(spec.unsafe)
            if not tier.usable:
                raise _ProblemError(tier.sentence)
            sandbox = Sandbox(parameters.limits(), tier=tier, concurrency=parameters.concurrency)
            return PythonTool(sandbox, price_per_call_usd=price)
        case "search":
            backend = _search_backend(parameters, base_dir, env)
            return SearchTool(backend, price_per_call_usd=price, top=parameters.top)
        case _:
            return NoTool(spec.kind, price_per_call_usd=price)


def _read_parameters(spec: ToolSpec) -> ToolParameters:
    model = _PARAMETERS.get(spec.kind)
    if model is None:
        known = ", ".join(sorted(_PARAMETERS))
        raise _ProblemError(f"there is no kind of tool called {spec.kind!r}; there are: {known}")
    if spec.unsafe and spec.kind != "python":
        raise _ProblemError("'unsafe' has a meaning for kind python only")
    try:
        return model.model_validate(dict(spec.parameters))
    except ValidationError as error:
        allowed = ", ".join(model.model_fields) or "none"
        raise _ProblemError(
            *(f"{sentence} (parameters of {spec.kind}: {allowed})" for sentence in problems(error))
        ) from None


def _search_backend(
    parameters: SearchParameters, base_dir: Path, env: Mapping[str, str]
) -> SearchBackend:
    if parameters.corpus is not None:
        folder = base_dir / Path(parameters.corpus).expanduser()
        try:
            corpus_files(folder)
        except CorpusError as error:
            raise _ProblemError(str(error)) from None
        return CorpusSearch(folder)
    key = None
    if parameters.key_env is not None:
        key = env.get(parameters.key_env)
        if not key:
            raise _ProblemError(f"the environment variable {parameters.key_env!r} is not set")
    return WebSearch(
        str(parameters.url), key=key, engine=parameters.engine, timeout_s=parameters.timeout_s
    )
