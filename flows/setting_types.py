"""Types of settings that pydantic does not know."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator


def read_clusters(value: Any) -> int | Literal["auto"]:  # noqa: ANN401
    """A number of clusters, or `auto`.

    Raises:
        ValueError: it is neither.
    """
    text = str(value).strip()
    if text == "auto":
        return "auto"
    if isinstance(value, bool) or not (text.isascii() and text.isdigit()):
        raise ValueError("it must be a whole number, or auto")
    if not 1 <= int(text[:9]) <= _MOST_CLUSTERS:
        raise ValueError(f"it must be 1 or more, at most {_MOST_CLUSTERS:,}, or auto")
    return int(text)


Clusters = Annotated[int | Literal["auto"], BeforeValidator(read_clusters)]
"""Number of KMeans clusters, or to choose it by held-out routing value."""
_MOST_CLUSTERS = 10_000
