"""Errors of reading and staging. Both speak in whole sentences to the person at the keyboard.

    ReadError
    ├── InputError   a source cannot be read at all: missing, empty, binary, wrong columns
    └── StageError   the plan of a batch run cannot be written or read: disk, permissions, changed

A single bad row is never an error: it is a `BadRow`, kept beside the good ones.
"""

from __future__ import annotations


class ReadError(Exception):
    """Anything that stops reading or staging; nothing has been paid yet when it is raised."""


class InputError(ReadError):
    """A source that cannot be read: names the file, what is wrong, what to do."""


class StageError(ReadError):
    """A plan that cannot be written or read back: names the folder, what is wrong, what to do."""
