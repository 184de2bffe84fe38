"""Parts of a profile that are read from disk when they are first looked at, and only then."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar, overload

import numpy as np
from numpy.typing import NDArray

from profiles.errors import ProfileError
from profiles.fingerprint import canonical_json

T = TypeVar("T")
Arrays = Mapping[str, NDArray[Any]]

_WORDS = "words.json"
"""Member of a part's file that holds what is no array, as JSON."""


@dataclass(frozen=True, slots=True)
class Stored(Generic[T]):
    """A part on disk: the digest of its contents and how to read it."""

    digest: str
    read: Callable[[], T]


class Deferred(Generic[T]):
    """A dataclass field that takes a value, None, or a `Stored` one that is read on first use."""

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, instance: None, owner: type) -> None: ...

    @overload
    def __get__(self, instance: object, owner: type) -> T | None: ...

    def __get__(self, instance: object | None, owner: type) -> T | None:
        if instance is None:
            return None  # what `dataclass` takes for the field's default
        value = vars(instance)[self._name]
        if isinstance(value, Stored):
            value = value.read()
            vars(instance)[self._name] = value
        found: T | None = value
        return found

    def __set__(self, instance: object, value: T | Stored[T] | None) -> None:
        vars(instance)[self._name] = value


def is_there(instance: object, name: str) -> bool:
    """Whether a `Deferred` field holds anything; reads nothing."""
    return vars(instance)[name] is not None


def part_digest(words: Mapping[str, Any], arrays: Arrays) -> str:
    """Hash of a part: its words as JSON, its arrays by name, dtype, shape and bytes."""
    digest = hashlib.sha256(canonical_json(dict(words)).encode())
    for name in sorted(arrays):
        array = np.asarray(arrays[name])
        digest.update(f"{name}{array.dtype.str}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def write_part(path: Path, words: Mapping[str, Any], arrays: Arrays) -> None:
    """Write a part as one .npz file; nothing in it needs pickle to be read.

    Raises:
        OSError: the file cannot be written.
        ProfileError: an array holds objects, or has the name that the words have.
    """
    refused = [name for name, array in arrays.items() if array.dtype.hasobject or name == _WORDS]
    if refused:
        msg = f"{path.name}: {refused[0]!r} cannot be kept: only arrays of plain numbers can"
        raise ProfileError(msg)
    text = json.dumps(dict(words), allow_nan=False, sort_keys=True)
    encoded = np.frombuffer(text.encode("ascii"), np.uint8)
    with path.open("wb") as file:
        members: dict[str, Any] = {_WORDS: encoded, **arrays}
        np.savez(file, **members)


def read_part(path: Path) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """The words and arrays of a part's file.

    Raises:
        OSError, ValueError, KeyError: the file is no such file.
    """
    with np.load(path, allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files if name != _WORDS}
        words = json.loads(file[_WORDS].tobytes())
    return words, arrays
