"""The prompts, one text file each; their hash is the prompt version stored on every outcome."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.resources import files


@cache
def prompt(name: str) -> str:
    """Text of the prompt file `name`.txt.

    Raises:
        FileNotFoundError: there is no such prompt.
    """
    return files(__package__).joinpath(f"{name}.txt").read_text(encoding="utf-8").strip()


@cache
def prompt_version() -> str:
    """First 12 hexadecimal digits of the sha256 over all prompt files: changes when any does."""
    digest = hashlib.sha256()
    for file in sorted(files(__package__).iterdir(), key=lambda entry: entry.name):
        if file.name.endswith(".txt"):
            digest.update(file.name.encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()[:12]
