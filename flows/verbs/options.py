"""Command-line options made from settings classes, so that flag, variable and default are one."""

from __future__ import annotations

import functools
import inspect
import shlex
from collections.abc import Callable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin

import typer
from pydantic.fields import FieldInfo

from flows.settings import HomeSettings, environment_name, flag_name
from flows.settings_sources import CONFIG_VARIABLE, load
from tasks.tracking.redaction import without_secrets

Settings = TypeVar("Settings", bound=HomeSettings)

AsJson = Annotated[bool, typer.Option("--json", help="Write JSON to standard output.")]

Root = Annotated[
    str | None,
    typer.Option(
        metavar="PATH",
        help=f"Folder of the tables and of the ledger. [env {environment_name('root')}; default "
        f"{HomeSettings.model_fields['root'].default}]",
    ),
]
_CONFIG_HELP = f"YAML file with settings. [env {CONFIG_VARIABLE}]"
Config = Annotated[str | None, typer.Option(metavar="PATH", help=_CONFIG_HELP)]


def with_settings(
    kind: type[Settings], *, argument: str | None = None
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Make a verb that takes settings first a typer command with one option a setting.

    The options are left as text: the settings check them, wherever they were given.

    Args:
        kind: the settings class the verb wants.
        argument: the setting that is given without a flag.
    """

    def decorate(verb: Callable[..., None]) -> Callable[..., None]:
        wanted = list(inspect.signature(verb, eval_str=True).parameters.values())[1:]
        own = [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in wanted]

        @functools.wraps(verb)
        def command(**given: Any) -> None:  # noqa: ANN401
            flags = {name: given.pop(name) for name in kind.model_fields}
            config = given.pop("config")
            settings = load(kind, flags=flags, config=Path(config) if config else None)
            verb(settings, **given)

        made = [_parameter(name, field, argument) for name, field in kind.model_fields.items()]
        made.sort(key=lambda one: (one.name != argument, one.name in HomeSettings.model_fields))
        parameters = [
            *made,
            *own,
            _keyword("config", str, typer.Option(help=_CONFIG_HELP, metavar="PATH")),
        ]
        vars(command)["__signature__"] = inspect.Signature(parameters)
        command.__annotations__ = {one.name: one.annotation for one in parameters}
        return command

    return decorate


def home(root: str | None, config: str | None) -> HomeSettings:
    """The settings of verbs that only look: where everything is kept."""
    return load(HomeSettings, flags={"root": root}, config=Path(config) if config else None)


def _parameter(name: str, field: FieldInfo, argument: str | None) -> inspect.Parameter:
    if name == argument:
        return _keyword(name, str, typer.Argument(metavar=name.upper(), help=field.description))
    text = f"{field.description} [{_twin_and_default(name, field)}]"
    flag = flag_name(name)
    if field.annotation is bool:
        return _keyword(name, bool, typer.Option(f"{flag}/--no-{flag[2:]}", help=text))
    return _keyword(name, str, typer.Option(flag, help=text, metavar=_metavar(field.annotation)))


def _twin_and_default(name: str, field: FieldInfo) -> str:
    twin = f"env {environment_name(name)}"
    default = field.default
    if field.is_required() or default is None:
        return twin
    if isinstance(default, bool):
        return f"{twin}; default {'yes' if default else 'no'}"
    shown = ",".join(default) if isinstance(default, tuple) else str(default)
    return f"{twin}; default {shown}"


def _keyword(name: str, kind: type, info: Any) -> inspect.Parameter:  # noqa: ANN401
    return inspect.Parameter(
        name,
        inspect.Parameter.KEYWORD_ONLY,
        default=None,
        annotation=Annotated[kind | None, info],
    )


_METAVARS: Mapping[Any, str] = {int: "NUMBER", float: "NUMBER", Decimal: "DOLLARS", Path: "PATH"}


def _metavar(annotation: Any) -> str:  # noqa: ANN401
    if get_origin(annotation) is Literal:
        return "|".join(get_args(annotation))
    kinds = [annotation, *get_args(annotation)]
    return next((_METAVARS[kind] for kind in kinds if kind in _METAVARS), "TEXT")


def command_line(verb: str, settings: HomeSettings, argument: str, **changed: object) -> str:
    """The command that gives these settings again: what was set, changed where asked.

    Args:
        verb: such as `route`.
        settings: what the user set stands in the command, wherever it was set.
        argument: the setting given without a flag.
        changed: settings with another value.
    """
    fields = {k: v for k, v in type(settings).model_fields.items() if k != argument}
    words = ["atlas", *verb.split(), str(getattr(settings, argument))]
    for name, field in fields.items():
        value = changed.get(name, getattr(settings, name))
        if value is None or value == field.default:
            continue
        flag = flag_name(name)
        if isinstance(value, bool):
            words.append(flag if value else f"--no-{flag[2:]}")
        else:
            shown = ",".join(value) if isinstance(value, tuple) else str(value)
            words += [flag, without_secrets(shown)]
    return shlex.join(words)
