"""Importing: past logs of other tools as evidence about pairs, in our own tables.

`read_logs` reads logs of any known kind together, `save_table` writes them as a table of recorded
outcomes. What is read of each format stands in its module.
"""

from __future__ import annotations

from tasks.importing.errors import (
    ImportingError,
    ImportUsageError,
    LogError,
    UnclearLogError,
)
from tasks.importing.files import LogFile, detect, is_table
from tasks.importing.options import FORMATS, ImportOptions, read_options
from tasks.importing.reading import Imported, read_logs
from tasks.importing.saving import (
    Saved,
    require_scores,
    save_dead_letters,
    save_table,
)

__all__ = [
    "FORMATS",
    "ImportOptions",
    "ImportUsageError",
    "Imported",
    "ImportingError",
    "LogError",
    "LogFile",
    "Saved",
    "UnclearLogError",
    "detect",
    "is_table",
    "read_logs",
    "read_options",
    "require_scores",
    "save_dead_letters",
    "save_table",
]
