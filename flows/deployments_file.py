"""The files that say what runs by itself: `prefect.yaml` and `automations.yaml`, read and checked.

Both are in Prefect's own form, so that its command line can read them too. Placeholders of the form
`{{ $NAME }}` take a variable of the environment; where it is not set, the entry is left out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from tasks.tracking.redaction import without_secrets

AUTOMATIONS_FILE = "automations.yaml"

_VARIABLE = re.compile(r"\{\{\s*\$([A-Za-z_][A-Za-z0-9_]*)\s*\}\}")
_MODULE_ENTRYPOINT = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+")


class DeploymentsFileError(Exception):
    """The files of the deployments cannot be used; says every problem found."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Schedule(_Strict):
    """When a deployment runs: by cron expression, or every so many seconds."""

    slug: str | None = None
    cron: str | None = None
    day_or: bool = True
    interval: float | None = Field(default=None, gt=0)
    timezone: str = "UTC"
    active: bool = True

    @model_validator(mode="after")
    def _one_of_two(self) -> Schedule:
        if (self.cron is None) == (self.interval is None):
            raise ValueError("give either cron or interval, and not both")
        return self


class Concurrency(_Strict):
    """How many runs of a deployment may be under way, and what becomes of one too many."""

    limit: int = Field(ge=1)
    collision_strategy: Literal["ENQUEUE", "CANCEL_NEW"] = "ENQUEUE"


class WorkPool(_Strict):
    """Where runs of a deployment wait for a worker, and what the worker gives them."""

    name: str
    work_queue_name: str = "default"
    job_variables: dict[str, Any] = Field(default_factory=dict)


class Deployment(_Strict):
    """A flow with parameters, a schedule and a place in a work pool."""

    name: str = Field(min_length=1)
    entrypoint: str
    description: str = ""
    tags: tuple[str, ...] = ()
    schedules: tuple[Schedule, ...] = ()
    concurrency_limit: Concurrency | None = None
    work_pool: WorkPool
    parameters: dict[str, Any] = Field(default_factory=dict)

    @field_validator("entrypoint")
    @classmethod
    def _by_module(cls, entrypoint: str) -> str:
        if not _MODULE_ENTRYPOINT.fullmatch(entrypoint):
            raise ValueError(
                "a flow is addressed by its module, such as flows.route_backlog.route_backlog; "
                "a path to a file would import it from outside its package"
            )
        return entrypoint


class Wanted(_Strict):
    """Everything the files ask for.

    Attributes:
        automations: in Prefect's form, not looked into here.
        unset: variables that a placeholder names and the environment lacks.
    """

    file: Path
    deployments: tuple[Deployment, ...]
    automations: tuple[dict[str, Any], ...]
    unset: tuple[str, ...]

    def work_pools(self) -> list[str]:
        """Names of the work pools, each once."""
        return sorted({deployment.work_pool.name for deployment in self.deployments})


class _Contents(_Strict):
    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    name: str | None = None
    prefect_version: str | None = Field(default=None, alias="prefect-version")
    definitions: Any = None
    build: None = None
    push: None = None
    pull: None = None
    deployments: tuple[Deployment, ...] = Field(min_length=1)


def read_deployments(file: Path, env: Mapping[str, str]) -> Wanted:
    """Read `file`, and the `automations.yaml` beside it if there is one.

    Args:
        file: in the form of `prefect.yaml`.
        env: fills the placeholders.

    Raises:
        DeploymentsFileError: a file is missing, is not YAML, or asks for what cannot be meant.
    """
    unset: set[str] = set()
    loaded = _load(file)
    if not isinstance(loaded, dict):
        raise DeploymentsFileError(f"{file} must have a list `deployments:`, as prefect.yaml has.")
    try:
        contents = _Contents.model_validate(_filled(loaded, env, unset))
    except ValidationError as error:
        raise DeploymentsFileError(_sentences(file, error)) from None
    names = [deployment.name for deployment in contents.deployments]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise DeploymentsFileError(f"{file}: {', '.join(twice)} is deployed twice; name it anew.")
    _refuse_secrets(file, contents.deployments)
    return Wanted(
        file=file,
        deployments=contents.deployments,
        automations=_automations(file.with_name(AUTOMATIONS_FILE), env, unset),
        unset=tuple(sorted(unset)),
    )


def _automations(path: Path, env: Mapping[str, str], unset: set[str]) -> tuple[dict[str, Any], ...]:
    if not path.exists():
        return ()
    filled = _filled(_load(path), env, unset)
    alone = isinstance(filled, dict) and list(filled) == ["automations"]
    found: Any = filled["automations"] if alone else None
    if not isinstance(found, list) or not all(
        isinstance(one, dict) and isinstance(one.get("name"), str) for one in found
    ):
        raise DeploymentsFileError(
            f"{path} must be one list, `automations:`, of entries that each have a `name:`."
        )
    return tuple(found)


def _load(path: Path) -> Any:  # noqa: ANN401
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DeploymentsFileError(
            f"{path} cannot be read ({error.strerror}). Name the file with --file, or take "
            "deployments/prefect.yaml of the repository as a beginning."
        ) from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or "it is not UTF-8 text"
        raise DeploymentsFileError(f"{path}{where} is not YAML: {problem}.") from None


_LEFT_OUT = object()


def _filled(value: Any, env: Mapping[str, str], unset: set[str]) -> Any:  # noqa: ANN401
    """The value with its placeholders filled; entries with one that is not set are left out."""
    if isinstance(value, dict):
        pairs = ((key, _filled(inner, env, unset)) for key, inner in value.items())
        return {key: inner for key, inner in pairs if inner is not _LEFT_OUT}
    if isinstance(value, list):
        items = (_filled(inner, env, unset) for inner in value)
        return [inner for inner in items if inner is not _LEFT_OUT]
    if not isinstance(value, str):
        return value
    missing = {name for name in _VARIABLE.findall(value) if not env.get(name)}
    if missing:
        unset.update(missing)
        return _LEFT_OUT
    return _VARIABLE.sub(lambda found: env[found[1]], value)


def _refuse_secrets(file: Path, deployments: tuple[Deployment, ...]) -> None:
    for deployment in deployments:
        text = repr((deployment.parameters, deployment.work_pool.job_variables))
        if without_secrets(text) != text:
            raise DeploymentsFileError(
                f"{file}: deployment {deployment.name!r} would show a key or a password to "
                "everybody who sees Prefect's pages. Put it into the environment of the worker."
            )


def _sentences(file: Path, error: ValidationError) -> str:
    problems = []
    for one in error.errors():
        where = ".".join(str(part) for part in one["loc"]) or "the file"
        problems.append(f"{file}: {where}: {one['msg'].removeprefix('Value error, ')}.")
    return " ".join(problems)
