r"""Text from outside, made fit to be stored and sent on.

JSON may spell half of a surrogate pair (`"\ud800"`), and no UTF-8 exists for it: neither a table,
nor the ledger, nor the next request can carry it. A model that was cut in the middle of an emoji,
or a program that prints one, must not end a run.
"""

from __future__ import annotations

import re
from typing import Any

_HALF = re.compile("[\ud800-\udfff]")
_MAY_HOLD_HALVES = re.compile(rb"\\u[dD][89a-fA-F]|\xed[\xa0-\xbf]")


def storable(text: str) -> str:
    """The text with every half of a surrogate pair as the replacement character U+FFFD."""
    return text if text.isascii() else _HALF.sub("\ufffd", text)


def storable_document(document: Any, body: bytes) -> Any:  # noqa: ANN401 - any JSON
    """A JSON document with all its texts storable; as it is where `body` shows that they are.

    Args:
        document: what `json.loads` made of `body`.
        body: its bytes; a search through them is much cheaper than a walk through the document.
    """
    return _walk(document) if _MAY_HOLD_HALVES.search(body) else document


def _walk(value: Any) -> Any:  # noqa: ANN401 - any JSON
    if isinstance(value, str):
        return storable(value)
    if isinstance(value, list):
        return [_walk(item) for item in value]
    if isinstance(value, dict):
        return {storable(key): _walk(item) for key, item in value.items()}
    return value
