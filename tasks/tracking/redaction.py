"""What must not be written down: keys of providers, passwords inside addresses."""

from __future__ import annotations

import re

from profiles.errors import redact

_CREDENTIALS = re.compile(r"(?<=://)[^/\s]*@")
_SECRET_NAME = re.compile(
    r"(?:^|[_.\-])(?:api[_-]?key|secret|password|passwd|token|authorization)$", re.IGNORECASE
)


def without_secrets(text: str) -> str:
    """The text with keys replaced and user and password cut out of addresses."""
    return _CREDENTIALS.sub("…@", redact(text))


def is_secret_name(name: str) -> bool:
    """Whether a field of this name holds a secret whatever it looks like."""
    return _SECRET_NAME.search(name) is not None
