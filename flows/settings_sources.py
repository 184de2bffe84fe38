"""Settings from the command line, the environment and a YAML file, in that order.

The YAML file has the fields of `HomeSettings` at its top and one section per command:

    root: /srv/atlas
    route:
      alpha: 0.3
      max_cost_usd: 20
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import yaml
from pydantic import ValidationError

from flows.settings import (
    ALL_SETTINGS,
    HomeSettings,
    environment_name,
    flag_name,
)
from profiles.yaml_tree import Reading, entries, plain_value
from tasks.tracking.redaction import without_secrets

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

Settings = TypeVar("Settings", bound=HomeSettings)

CONFIG_VARIABLE = "ATLAS_CONFIG"
_MAX_BYTES = 1_000_000
_SHOWN = 60


class SettingsError(ValueError):
    """Settings that cannot be used: one sentence a problem, naming field and source."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(problems))


class _Given(NamedTuple):
    """A value with the place it was given in."""

    value: Any
    source: str


def load(
    kind: type[Settings],
    *,
    flags: Mapping[str, Any] | None = None,
    config: Path | None = None,
    environ: Mapping[str, str] | None = None,
) -> Settings:
    """Settings of one kind, each from the first place that gives it.

    Args:
        kind: the settings class of a command.
        flags: values given on the command line by field name; None is not given.
        config: YAML file; without one, the file that `ATLAS_CONFIG` names, if it does.
        environ: environment; an empty variable counts as not set.

    Raises:
        SettingsError: with every problem found.
    """
    variables = os.environ if environ is None else environ
    path = config or (Path(named) if (named := variables.get(CONFIG_VARIABLE)) else None)
    given = _from_file(kind, path) if path else {}
    given |= _from_environment(kind, variables)
    unknown = sorted(set(flags or {}) - set(kind.model_fields))
    if unknown:
        raise SettingsError([f"{name} is not a setting of {kind.__name__}." for name in unknown])
    given |= {
        name: _Given(value, f"on the command line ({flag_name(name)})")
        for name, value in (flags or {}).items()
        if value is not None
    }
    try:
        return kind.model_validate({name: value.value for name, value in given.items()})
    except ValidationError as error:
        raise SettingsError([_sentence(kind, one, given) for one in error.errors()]) from None


def unknown_variables(environ: Mapping[str, str]) -> list[tuple[str, str]]:
    """`ATLAS_*` variables that are no setting but nearly spell one, with what they nearly spell.

    Other `ATLAS_*` variables may be the user's own (a provider's key, say) and are let be.
    """
    known = {CONFIG_VARIABLE, "ATLAS_LEDGER_URL"}
    known |= {environment_name(name) for kind in ALL_SETTINGS for name in kind.model_fields}
    others = sorted(n for n in environ if n.startswith("ATLAS_") and n not in known)
    close = ((name, difflib.get_close_matches(name, known, n=1, cutoff=0.85)) for name in others)
    return [(name, meant[0]) for name, meant in close if meant]


def _from_environment(kind: type[HomeSettings], variables: Mapping[str, str]) -> dict[str, _Given]:
    return {
        name: _Given(value, f"in the environment ({environment_name(name)})")
        for name in kind.model_fields
        if (value := variables.get(environment_name(name), ""))
    }


def _from_file(kind: type[HomeSettings], path: Path) -> dict[str, _Given]:
    """Values of the file that concern `kind`; the keys of all its sections are checked."""
    reading = Reading(str(path))
    found: dict[str, _Given] = {}
    root = _compose(path, reading)
    for name, line, node, where in _keys(root, reading):
        try:
            value = plain_value(node, where, reading)
        except RecursionError:
            reading.report(node, where, "contains itself; write the value out instead")
            continue
        if name in kind.model_fields and where in (name, f"{kind.section}.{name}"):
            found[name] = _Given(value, f"in {path}, line {line}")
    if reading.problems:
        raise SettingsError([str(problem) for problem in reading.problems])
    # An empty value in YAML (`limit:`) reads as null and means "not given".
    return {name: given for name, given in found.items() if given.value is not None}


def _compose(path: Path, reading: Reading) -> yaml.Node | None:
    """The root mapping of a settings file; None if it is empty or was reported."""
    try:
        if path.stat().st_size > _MAX_BYTES:
            reading.report(None, "", f"is larger than {_MAX_BYTES:,} bytes; it holds no settings")
            return None
        root = yaml.compose(path.read_text(encoding="utf-8-sig"), Loader=yaml.SafeLoader)
    except OSError as error:
        reading.report(None, "", f"cannot be read ({error.strerror}); check --config")
        return None
    except UnicodeDecodeError:
        reading.report(None, "", "is not UTF-8 text; save it as UTF-8")
        return None
    except (yaml.YAMLError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        what = getattr(error, "problem", None) or "it is nested too deeply or not text"
        reading.report_line(mark.line + 1 if mark else 0, "", f"is not YAML: {what}")
        return None
    if root is not None and not isinstance(root, yaml.MappingNode):
        if root.tag != "tag:yaml.org,2002:null":
            reading.report(root, "", "must be `field: value` lines")
        return None
    return root


def _keys(root: yaml.Node | None, reading: Reading) -> Iterator[tuple[str, int, yaml.Node, str]]:
    """(field, line, value, where) of every known key; unknown ones are reported."""
    if not isinstance(root, yaml.MappingNode):
        return
    common = set(HomeSettings.model_fields)
    sections = {kind.section: kind for kind in ALL_SETTINGS if kind.section}
    for key, entry in entries(root, "", reading).items():
        line = entry.key.start_mark.line + 1
        if key in common:
            yield key, line, entry.value, key
        elif key not in sections:
            reading.report(entry.key, key, _unknown(key, common | set(sections)))
        elif not isinstance(entry.value, yaml.MappingNode):
            reading.report(entry.value, key, "must be a section of `field: value` lines")
        else:
            own = set(sections[key].model_fields) - common
            for name, inner in entries(entry.value, key, reading).items():
                where = f"{key}.{name}"
                if name in own:
                    yield name, inner.key.start_mark.line + 1, inner.value, where
                else:
                    reading.report(inner.key, where, _unknown(name, own | common))


def _unknown(key: str, known: set[str]) -> str:
    """What to write about a key nobody knows."""
    homes = [kind.section for kind in ALL_SETTINGS if kind.section and key in kind.model_fields]
    if key in HomeSettings.model_fields:
        return "belongs at the top of the file, not in a section"
    if homes:
        return f"belongs into the section {' or '.join(f'`{home}:`' for home in homes)}"
    close = difflib.get_close_matches(key, known, n=1)
    return "is not a setting" + (
        f"; did you mean `{close[0]}`?" if close else f"; known are {', '.join(sorted(known))}"
    )


def _sentence(kind: type[HomeSettings], error: ErrorDetails, given: Mapping[str, _Given]) -> str:
    """One problem as a sentence: field, value, what is wanted, and where the value came from."""
    name = str(error["loc"][0]) if error["loc"] else ""
    if error["type"] == "missing":
        return (
            f"{name} is missing: give {flag_name(name)}, set {environment_name(name)}, or write "
            f"`{name}:` under `{kind.section}:` in the --config file."
        )
    value = without_secrets(str(error["input"]))
    shown = value if len(value) <= _SHOWN else value[: _SHOWN - 1] + "…"
    return f"{name} cannot be {shown!r} {given[name].source}: {_wanted(error)}."


def _wanted(error: ErrorDetails) -> str:
    """What the field wants instead."""
    context = error.get("ctx", {})
    match error["type"]:
        case "greater_than_equal":
            return f"it must be {context['ge']} or more"
        case "less_than_equal":
            return f"it must be {context['le']} or less"
        case "int_parsing" | "int_type" | "int_from_float":
            return "it must be a whole number"
        case "decimal_parsing" | "decimal_type" | "float_parsing" | "float_type":
            return "it must be a number"
        case "finite_number":
            return "it must be a finite number"
        case "bool_parsing" | "bool_type":
            return "it must be true or false"
        case "literal_error":
            return f"it must be {context['expected']}"
        case "string_too_short" | "too_short":
            return "it must not be empty"
        case "value_error":
            return str(context["error"])
        case _:
            return error["msg"][0].lower() + error["msg"][1:]
