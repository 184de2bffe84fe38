"""A query: the text to answer, the user's id for it, and the gold answer when there is one."""

from __future__ import annotations

import hashlib
import unicodedata
from dataclasses import dataclass

from tasks.grade.base import Reference


@dataclass(frozen=True, slots=True)
class Query:
    """One question of a backlog or of a labelled set.

    Attributes:
        query_id: hash of the normalised content; two rows that ask the same share it.
        custom_id: the user's id, returned verbatim, unique in a run.
        prompt: the text to answer.
        context: text put before the prompt (a system message, say), empty when there is none.
        row_index: 0-based position in the backlog.
        source: file it came from.
        source_row: 1-based line or row in that file.
        dataset: name of the labelled set, when known.
        split: train | test | ood, when labelled.
        reference: the gold answer, when labelled.
    """

    query_id: str
    custom_id: str
    prompt: str
    context: str = ""
    row_index: int = 0
    source: str = ""
    source_row: int = 0
    dataset: str | None = None
    split: str | None = None
    reference: Reference | None = None


def content_hash(prompt: str, context: str = "") -> str:
    """Identity of a question: sha256 over its NFC-normalised, trimmed text and context.

    Returns 32 hexadecimal digits (128 bits): collisions are out of reach for any backlog.
    """
    parts = (unicodedata.normalize("NFC", text).strip() for text in (context, prompt))
    return hashlib.sha256("\x1f".join(parts).encode("utf-8", "surrogatepass")).hexdigest()[:32]
