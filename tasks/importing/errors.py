"""Errors of importing past logs; both speak in whole sentences.

    ImportingError
    ├── LogError            a log cannot be read at all, or not without being told more
    └── ImportUsageError    an option cannot be meant

A single bad row is never an error: it is a `BadRow` in the dead-letter file.
"""

from __future__ import annotations


class ImportingError(Exception):
    """Anything that stops an import; nothing has been written when it is raised."""


class LogError(ImportingError):
    """A log that cannot be read: names the file, what is wrong, what to do."""


class ImportUsageError(ImportingError):
    """An option that cannot be meant; exit code 2."""
