"""The prompts, one text file each. A tool of the pool file may bring a prompt of its own."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.resources import files

from profiles.pool import ToolSpec


@cache
def prompt(name: str) -> str:
    """Text of the prompt file `name`.txt.

    Raises:
        FileNotFoundError: there is no such prompt.
    """
    return files(__package__).joinpath(f"{name}.txt").read_text(encoding="utf-8").strip()


def tool_prompt(tool: ToolSpec) -> str:
    """The instructions that pairs with this tool are given: the pool's own, else the kind's."""
    return tool.prompt or prompt("none" if tool.kind == "recorded" else tool.kind)


@cache
def text_version(text: str) -> str:
    """First 12 hexadecimal digits of the sha256 of a prompt's text."""
    return hashlib.sha256(text.encode()).hexdigest()[:12]


@cache
def prompt_version() -> str:
    """First 12 hexadecimal digits of the sha256 over all prompt files: changes when any does."""
    digest = hashlib.sha256()
    for file in sorted(files(__package__).iterdir(), key=lambda entry: entry.name):
        if file.name.endswith(".txt"):
            digest.update(file.name.encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()[:12]
