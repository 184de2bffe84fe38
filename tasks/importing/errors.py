"""Errors of importing past logs; both speak in whole sentences.

    ImportingError
    ├── LogError               a log cannot be read, or nothing in it can be used
    │   └── UnclearLogError    it can be read in several ways: an option must say which
    └── ImportUsageError       an option cannot be meant

A single bad row is never an error: it is a `BadRow` in the dead-letter file.
"""

from __future__ import annotations


class ImportingError(Exception):
    """Anything that stops an import; nothing has been written when it is raised."""


class LogError(ImportingError):
    """A log that cannot be read: names the file, what is wrong, what to do."""


class UnclearLogError(LogError):
    """A log that can be read in several ways: names them, and the option that chooses."""


class ImportUsageError(ImportingError):
    """An option that cannot be meant; exit code 2."""
