"""The version of this code, stamped on every row it writes."""

from __future__ import annotations

from functools import cache
from importlib.metadata import PackageNotFoundError, version


@cache
def code_version() -> str:
    """Version of the installed package, `0+unknown` for a tree that was never installed."""
    try:
        return version("atlas-routing")
    except PackageNotFoundError:
        return "0+unknown"
