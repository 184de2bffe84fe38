"""Reading one field of a pool file: a node in, a typed value out, a problem noted if it is wrong.

Every reader returns a usable default after a problem, so that reading goes on and one pass lists
every problem of the file.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any
from urllib.parse import urlsplit

import yaml

from profiles.yaml_tree import Entry, Reading, entries, is_null, plain_value

MAX_PRICE_USD = Decimal(1_000_000)
"""Dearest believable price of a million tokens; more is a wrong unit."""
MAX_DECIMALS = 12
MODALITIES = ("text", "image", "audio", "video")

_ENV_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_KEY = re.compile(
    r"[^\s@*?\[\]\x00-\x1f\x7f](?:[^\s*?\[\]\x00-\x1f\x7f]{0,198}[^\s@*?\[\]\x00-\x1f\x7f])?"
)
_SECRET_NAMES = frozenset(
    {"api_key", "apikey", "api-key", "authorization", "password", "secret", "access_token"}
)


@dataclass(frozen=True, slots=True)
class Fields:
    """The known entries of one mapping, with the words to talk about them."""

    where: str
    found: Mapping[str, Entry]
    node: yaml.Node
    reading: Reading

    def get(self, name: str) -> yaml.Node | None:
        """The value's node, or None where the key is absent or empty."""
        entry = self.found.get(name)
        return None if entry is None or is_null(entry.value) else entry.value

    def path(self, name: str) -> str:
        """The field's name from the top of the file, such as `models.small.prices`."""
        return f"{self.where}.{name}" if self.where else name

    def report(self, name: str, message: str) -> None:
        """Note a problem at a field, or at the mapping where the field is missing."""
        entry = self.found.get(name)
        node = self.node if entry is None else entry.value
        self.reading.report(node, self.path(name), message)


def fields(node: yaml.Node, where: str, known: Collection[str], reading: Reading) -> Fields:
    """The entries of a mapping; unknown keys are problems with a suggestion."""
    if is_null(node):
        return Fields(where, {}, node, reading)
    if not isinstance(node, yaml.MappingNode):
        reading.report(node, where, f"must be a mapping with {_listed(known)}")
        return Fields(where, {}, node, reading)
    found = entries(node, where, reading)
    for name, entry in found.items():
        if name not in known:
            path = f"{where}.{name}" if where else name
            reading.report(entry.key, path, _unknown_key(name, known))
    return Fields(where, {name: found[name] for name in found if name in known}, node, reading)


def _unknown_key(name: str, known: Collection[str]) -> str:
    if name.lower() in _SECRET_NAMES:
        return (
            "keys never stand in a pool file; put the key in an environment variable and name"
            " the variable in `api_key_env`"
        )
    return f"is not a known key{did_you_mean(name, known)}; known are {_listed(known)}"


def did_you_mean(name: str, known: Collection[str]) -> str:
    """` (did you mean 'x'?)` when a known word is close, else nothing."""
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f" (did you mean {close[0]!r}?)" if close else ""


def check_key(key: str, node: yaml.Node, where: str, reading: Reading) -> None:
    """Report a model's or tool's key that could not stand in a pair id or in a rule."""
    if "@@" in key:
        reading.report(node, where, "a key must not contain '@@': it separates model and tool")
    elif not _KEY.fullmatch(key):
        reading.report(
            node,
            where,
            "a key has 1 to 200 characters without blanks or any of * ? [ ], and no @ at its ends",
        )


def text(field: Fields, name: str, default: str = "") -> str:
    """A scalar as text."""
    node = field.get(name)
    if node is None:
        return default
    if not isinstance(node, yaml.ScalarNode):
        field.report(name, "must be text")
        return default
    return str(node.value)


def choice(field: Fields, name: str, known: Collection[str], default: str = "") -> str:
    """One of the known words; a missing one is a problem unless there is a default."""
    if field.get(name) is None:
        if not default:
            field.report(name, f"is missing; give one of {_listed(known)}")
        return default
    value = text(field, name)
    if value and value not in known:
        shown = f"{value!r}"[:60]
        field.report(
            name, f"{shown} is not known{did_you_mean(value, known)}; give one of {_listed(known)}"
        )
        return default
    return value


def decimal(
    field: Fields, name: str, *, most: Decimal = MAX_PRICE_USD, default: Decimal | None = None
) -> Decimal | None:
    """A sum of dollars, exactly as written; null is unknown (None), absent the default."""
    if name not in field.found:
        return default
    node = field.get(name)
    if node is None:
        return None
    number = _number(node)
    if number is None:
        field.report(name, "must be a number of dollars such as 0.15; leave it out if unknown")
    elif number < 0:
        field.report(name, "must not be negative; 0 is free, leave it out if unknown")
    elif number > most:
        field.report(name, f"is more than {most:,} dollars; prices are per million tokens")
    elif -int(number.normalize().as_tuple().exponent) > MAX_DECIMALS:
        field.report(name, f"has more than {MAX_DECIMALS} decimals; round it")
    else:
        return number
    return None


def _number(node: yaml.Node) -> Decimal | None:
    if not isinstance(node, yaml.ScalarNode) or node.tag == "tag:yaml.org,2002:bool":
        return None
    try:
        number = Decimal(node.value)
    except InvalidOperation:
        return None
    return number if number.is_finite() and len(node.value) <= 60 else None


def whole_number(field: Fields, name: str, default: int | None) -> int | None:
    """A positive whole number; null is the default."""
    node = field.get(name)
    if node is None:
        return default
    number = _number(node)
    if number is None or number != number.to_integral_value() or not 1 <= number <= 10**12:
        field.report(name, "must be a whole number of at least 1; leave it out for the default")
        return default
    return int(number)


def seconds(field: Fields, name: str, default: float) -> float:
    """A positive, finite number of seconds, at most a day."""
    node = field.get(name)
    if node is None:
        return default
    number = _number(node)
    if number is None or not 0 < number <= 86_400:
        field.report(name, "must be a number of seconds above 0 and at most 86400")
        return default
    return float(number)


def flag(field: Fields, name: str, default: bool = False) -> bool:
    """True or false."""
    node = field.get(name)
    if node is None:
        return default
    value = plain_value(node, field.path(name), field.reading)
    if not isinstance(value, bool):
        field.report(name, "must be true or false")
        return default
    return value


def words(field: Fields, name: str, default: tuple[str, ...]) -> tuple[str, ...]:
    """A list of words; one word alone is a list of one."""
    return tuple(word for word, _ in placed_words(field, name)) or default


def placed_words(field: Fields, name: str) -> list[tuple[str, yaml.Node]]:
    """A list of words with the node of each; an empty or malformed list is a problem."""
    node = field.get(name)
    if node is None:
        return []
    items = node.value if isinstance(node, yaml.SequenceNode) else [node]
    placed: list[tuple[str, yaml.Node]] = [
        (str(n.value), n) for n in items if isinstance(n, yaml.ScalarNode) and not is_null(n)
    ]
    if len(placed) != len(items) or not items or any(not word for word, _ in placed):
        field.report(name, "must be a list of words; leave the key out for the default")
    return placed


def modality(field: Fields) -> tuple[str, ...]:
    """What a model reads, or what a tool needs read."""
    for word, node in placed_words(field, "modality"):
        if word not in MODALITIES:
            message = f"{word[:40]!r} is not known{did_you_mean(word, MODALITIES)}"
            path = field.path("modality")
            field.reading.report(node, path, f"{message}; known are {_listed(MODALITIES)}")
    return tuple(dict.fromkeys(words(field, "modality", ("text",))))


def environment_variable(field: Fields, name: str) -> str | None:
    """The name of an environment variable. What was written is not repeated: it may be a key."""
    node = field.get(name)
    if node is None:
        return None
    if not isinstance(node, yaml.ScalarNode) or not _ENV_NAME.fullmatch(node.value):
        field.report(
            name, "must be the name of an environment variable, such as OPENAI_API_KEY, not a key"
        )
        return None
    return str(node.value)


def url(field: Fields, name: str) -> str | None:
    """An http(s) URL without user, password or key. What was written is not repeated."""
    value = text(field, name)
    if not value:
        return None
    try:
        parts = urlsplit(value)
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable or any(character.isspace() for character in value):
        field.report(name, "is not a URL; write it like https://api.example.com/v1")
        return None
    if parts.username or parts.password or "key=" in parts.query.lower():
        field.report(name, "must not carry a password or key; name its variable in `api_key_env`")
        return None
    return value.rstrip("/")


def parameters(field: Fields, name: str = "parameters") -> dict[str, Any]:
    """Free-form settings as plain values; a key written out is refused."""
    node = field.get(name)
    if node is None:
        return {}
    value = plain_value(node, field.path(name), field.reading)
    if not isinstance(value, dict):
        field.report(name, "must be a mapping of settings")
        return {}
    for key in value:
        if key.lower() in _SECRET_NAMES:
            field.report(name, f"holds {key!r}; keys never stand in a pool file: use `api_key_env`")
    return value


def each(
    field: Fields, name: str, read: Callable[[str, Entry], Any], *, needed: bool
) -> dict[str, Any]:
    """Read every entry of a mapping of named things (models, tools)."""
    node = field.get(name)
    if node is None or not isinstance(node, yaml.MappingNode) or not node.value:
        if node is not None or needed or name in field.found:
            field.report(name, f"needs at least one entry, `{name}: {{key: {{…}}}}`")
        return {}
    found = entries(node, field.path(name), field.reading)
    return {key: read(key, entry) for key, entry in found.items()}


def _listed(known: Collection[str]) -> str:
    return ", ".join(known)
