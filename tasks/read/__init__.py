"""Reading: backlogs and labelled sets into checked queries, in bounded memory, before any cost.

`iter_rows` streams rows, `stage_backlog` writes the immutable plan of a batch run, and
`read_labelled` reads questions with gold answers.
"""

from __future__ import annotations

from tasks.read.chunks import Duplicate, load_chunk, load_duplicates
from tasks.read.errors import InputError, ReadError, StageError
from tasks.read.formats import iter_rows
from tasks.read.labelled import LabelledSet, read_labelled
from tasks.read.plan import Staged, load_plan
from tasks.read.rows import BadRow, ReadLimits
from tasks.read.sources import input_fingerprint
from tasks.read.stage import stage_backlog, stage_queries

__all__ = [
    "BadRow",
    "Duplicate",
    "InputError",
    "LabelledSet",
    "ReadError",
    "ReadLimits",
    "StageError",
    "Staged",
    "input_fingerprint",
    "iter_rows",
    "load_chunk",
    "load_duplicates",
    "load_plan",
    "read_labelled",
    "stage_backlog",
    "stage_queries",
]
