"""Errors of knowledge: what was wrong, where, and what to do next.

KnowledgeError
├── PoolError      a pool file with problems; every one of them is listed
├── ProfileError   a profile that cannot be built, read, or used with this pool
│   └── PolicyFileError   the files of a policy, which are not whole or cannot be written
└── RouterError    a router that cannot be built, or a query it cannot decide
    └── RouterNameError   a router's name that nobody knows
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

_SECRETS = re.compile(
    r"sk-[A-Za-z0-9_\-]{12,}"
    r"|sk_(?:live|test)_[A-Za-z0-9]{8,}"
    r"|(?:gsk|hf|ghp|gho|ghs|glpat|pplx|xai|nvapi|tgp|r8|fw)[_-][A-Za-z0-9_\-]{16,}"
    r"|github_pat_[A-Za-z0-9_]{16,}"
    r"|AIza[A-Za-z0-9_\-]{20,}"
    r"|(?:AKIA|ASIA)[A-Z0-9]{16}"
    r"|xox[abprs]-[A-Za-z0-9\-]{10,}"
    r"|eyJ[A-Za-z0-9_\-]{10,}\.[A-Za-z0-9_\-]{10,}"
    r"|(?i:bearer)\s+[A-Za-z0-9_\-.~+/]{12,}"
)


def holds_secret(text: str) -> bool:
    """Whether a text looks as if it held the key of a provider."""
    return _SECRETS.search(text) is not None


def redact(text: str) -> str:
    """The text with everything that looks like a provider's key replaced by `[secret]`."""
    return _SECRETS.sub("[secret]", text)


class KnowledgeError(ValueError):
    """Something ATLAS was told, or once learnt, cannot be used as it is."""


class Problem(NamedTuple):
    """One problem of a pool file; `line` is 1-based, 0 where the whole file is meant."""

    file: str
    line: int
    field: str
    message: str

    def __str__(self) -> str:
        """`file:line: field: what and what to do`."""
        place = f"{self.file}:{self.line}" if self.line else self.file
        return ": ".join(part for part in (place, self.field, self.message) if part)


class PoolError(KnowledgeError):
    """A pool file with problems. `problems` holds them all, in the order of their lines."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(sorted(problems, key=lambda problem: problem.line))
        super().__init__("\n".join(str(problem) for problem in self.problems))


class ProfileError(KnowledgeError):
    """A profile cannot be built, read, or used together with this pool or encoder."""


class RouterError(KnowledgeError):
    """A router cannot be built from this profile, or cannot decide a query."""


class RouterNameError(RouterError):
    """A router was asked for by a name that is not one."""
