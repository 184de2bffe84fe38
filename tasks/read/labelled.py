"""Labelled question sets: questions with gold answers, split and grader, read whole.

Which question a row is:

* a file that gives a `query_id` means it: the id is kept as it is (recorded outcomes are keyed by
  it), and two ids are two questions even where the texts repeat, as they do where the text is
  only part of what was asked (a question about an image, say);
* otherwise the content's hash is the id, and rows of the same text are one question. Repeated
  with the same gold answer it is kept once, with a warning. Repeated with another gold answer
  there is no telling which is right, and all rows of that text are bad. The same holds where one
  `query_id` stands on rows that differ.

A row without a split gets one, 70 % train and 30 % test by question text: per dataset (in the
order of their names) its distinct texts without a split, in order of first appearance, are
permuted by a fresh `numpy.random.default_rng(seed)`; the first `round(0.7 n)` are train. A text
that has a split elsewhere, given or drawn, follows it: no text stands on both sides by the draw.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from tasks.query import Query, content_hash
from tasks.read.errors import InputError
from tasks.read.formats import iter_found
from tasks.read.rows import BadRow, ReadLimits, snippet
from tasks.read.sources import find_files, fingerprint_files

TRAIN_SHARE = 0.7
DEFAULT_SEED = 42
SUSPICIOUS = 8
"""So many references that are all the same are remarked upon."""


@dataclass(frozen=True, slots=True)
class LabelledSet:
    """The questions of a labelled set.

    Attributes:
        queries: in file order; `dataset` and `split` are always set, `reference` is None where
            there is nothing to grade by. `custom_id` is the file's own id, else its `query_id`,
            else made up.
        bad: rows that cannot be used.
        warnings: what a person should hear about the set.
        input_sha256: fingerprint of the source (`input_fingerprint`).
    """

    queries: list[Query]
    bad: list[BadRow]
    warnings: list[str]
    input_sha256: str


def read_labelled(
    source: str | Path,
    *,
    seed: int = DEFAULT_SEED,
    limits: ReadLimits | None = None,
) -> LabelledSet:
    """Read a labelled set from Parquet, CSV or JSON lines: one file, a folder or a glob.

    Args:
        source: rows with `prompt` (or `text`, `question`) and, where known, `query_id`,
            `custom_id`, `dataset` (default: the file's name), `split`, `reference`, `grader`.
        seed: of the draw of missing splits.
        limits: sizes beyond which a row is bad.

    Raises:
        InputError: the source cannot be read, or holds no usable row.
    """
    found = find_files(source)
    sha = fingerprint_files(found.files)
    warnings: list[str] = []
    stems = {file.label: file.path.name.split(".")[0] for file in found.files}
    good: list[Query] = []
    bad: list[BadRow] = []
    for item in iter_found(found, source, None, limits or ReadLimits(), warnings, True):
        if isinstance(item, BadRow):
            bad.append(item)
        else:
            good.append(item if item.dataset else replace(item, dataset=stems[item.source]))
    good, contradictions, repeats = _settle_repeats(good)
    good, reused = _settle_ids(good)
    bad += contradictions + reused
    if repeats:
        warnings.append(f"rows that repeat an earlier row and were left out: {repeats:,}")
    if not good:
        first = f"; the first: {bad[0]}" if bad else ""
        raise InputError(f"{source} holds no usable row (bad rows: {len(bad):,}){first}")
    good = draw_splits(good, seed, warnings)
    _warn_of_shared_texts(good, warnings)
    _warn_of_one_answer(good, warnings)
    return LabelledSet(good, bad, warnings, sha)


def _settle_repeats(queries: list[Query]) -> tuple[list[Query], list[BadRow], int]:
    """Keep one row a question; the rows kept, those that contradict, the number left out."""
    groups: dict[str, list[Query]] = {}
    for query in queries:
        groups.setdefault(query.query_id, []).append(query)
    kept: list[Query] = []
    bad: list[BadRow] = []
    repeats = 0
    for group in groups.values():
        problem = _contradiction(group) if len(group) > 1 else None
        if problem is None:
            kept.append(next((query for query in group if query.reference), group[0]))
            repeats += len(group) - 1
        else:
            bad += [_contradicting(query, group, *problem) for query in group]
    kept.sort(key=lambda query: query.row_index)
    bad.sort(key=lambda row: (row.file, row.row))
    return kept, bad, repeats


def _contradiction(group: list[Query]) -> tuple[str, str] | None:
    """The field in which rows of one question differ, and the reason in words."""
    if len({content_hash(query.prompt, query.context) for query in group}) > 1:
        return "query_id", f"{group[0].query_id!r} stands on rows with different questions"
    if len({query.reference for query in group if query.reference is not None}) > 1:
        return "reference", "the same question has different references; keep the right one"
    return None


def _contradicting(query: Query, group: list[Query], field: str, reason: str) -> BadRow:
    """One row of a question whose rows contradict each other, naming the others."""
    others = [f"{other.source}, row {other.source_row}" for other in group if other is not query]
    more = f" and {len(others) - 3} more" if len(others) > 3 else ""
    where = "; ".join(others[:3]) + more
    return BadRow(
        query.source,
        query.source_row,
        field,
        f"{reason} (see {where})",
        query.custom_id,
        snippet(query.prompt),
    )


def _settle_ids(queries: list[Query]) -> tuple[list[Query], list[BadRow]]:
    """Keep the first row of each custom_id."""
    first: dict[str, Query] = {}
    bad: list[BadRow] = []
    for query in queries:
        earlier = first.setdefault(query.custom_id, query)
        if earlier is not query:
            where = f"{earlier.source}, row {earlier.source_row}"
            reason = f"{query.custom_id!r} was used before, in {where}; ids must be unique"
            raw = snippet(query.prompt)
            place = query.source, query.source_row
            bad.append(BadRow(*place, "custom_id", reason, query.custom_id, raw))
    return list(first.values()), bad


def draw_splits(queries: list[Query], seed: int, warnings: list[str]) -> list[Query]:
    """Give every query without a split one, by the rule in this module's docstring."""
    missing = [query for query in queries if query.split is None]
    if not missing:
        return queries
    import numpy as np

    settled = {query.prompt: query.split for query in queries if query.split is not None}
    texts: dict[str, dict[str, None]] = {}
    for query in missing:
        texts.setdefault(query.dataset or "", {})[query.prompt] = None
    for dataset in sorted(texts):
        open_texts = [text for text in texts[dataset] if text not in settled]
        order = np.random.default_rng(seed).permutation(len(open_texts))
        train = round(TRAIN_SHARE * len(open_texts))
        for rank, place in enumerate(order):
            settled[open_texts[int(place)]] = "train" if rank < train else "test"
    warnings.append(
        f"rows without a split: {len(missing):,}; drawn 70 % train, 30 % test, with seed {seed}"
    )
    return [
        query if query.split is not None else replace(query, split=settled[query.prompt])
        for query in queries
    ]


def _warn_of_one_answer(queries: Iterable[Query], warnings: list[str]) -> None:
    """Say if every question has the same answer: always giving it looks like knowing."""
    answers = Counter(query.reference for query in queries if query.reference is not None)
    several = sum(answers.values())
    if len(answers) == 1 and several >= SUSPICIOUS:
        (only,) = answers
        if only.grader not in ("recorded", "judge"):
            warnings.append(
                f"all {several:,} references are the same, {only.value[:40]!r}: a pair that always "
                "answers that scores full marks, and a profile cannot tell"
            )


def _warn_of_shared_texts(queries: Iterable[Query], warnings: list[str]) -> None:
    """Say how many held-out questions stand in the training split word for word."""
    splits: dict[str, set[str | None]] = {}
    references: dict[str, set[object]] = {}
    counts: Counter[str] = Counter()
    for query in queries:
        key = content_hash(query.prompt, query.context)
        splits.setdefault(key, set()).add(query.split)
        counts[key] += 1
        if query.reference is not None:
            references.setdefault(key, set()).add(query.reference)
    leaks = sum("train" in seen and len(seen) > 1 for seen in splits.values())
    if leaks:
        warnings.append(f"texts both in train and in a held-out split: {leaks:,}")
    shared = sum(count > 1 for count in counts.values())
    if shared:
        differing = sum(len(seen) > 1 for seen in references.values())
        warnings.append(
            f"texts under several query_ids: {shared:,}, of these with different references: "
            f"{differing:,}; each query_id is kept as a question of its own"
        )
