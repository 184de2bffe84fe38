"""Writes a benchmark: labelled set, backlog, corpus, pool and environment example, by one seed."""

from __future__ import annotations

import json
from importlib.resources import files
from itertools import islice
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, NamedTuple

from tasks.generate.algebra import equation
from tasks.generate.bignum import big_number
from tasks.generate.choices import choice
from tasks.generate.corpus import write_corpus
from tasks.generate.dates import date_or_unit
from tasks.generate.item import Item, Kind
from tasks.generate.logic import puzzle
from tasks.generate.lookups import look_up
from tasks.generate.programs import program
from tasks.generate.stories import story
from tasks.generate.tables import table_question
from tasks.generate.wording import dress
from tasks.generate.world import build_world
from tasks.query import content_hash

if TYPE_CHECKING:
    from collections.abc import Iterator

KINDS: dict[str, Kind] = {
    "algebra": equation,
    "bignum": big_number,
    "choices": choice,
    "dates": date_or_unit,
    "logic": puzzle,
    "lookups": look_up,
    "programs": program,
    "stories": story,
    "tables": table_question,
}
"""Every kind of question; its name is the name of its labelled set."""
TRAIN_SHARE = 0.6
_SEEN_BITS = 1 << 27

_ENVIRONMENT = """\
# Copy this file to .env and fill in what your pool file names.
# The demo pool is simulated and needs no key at all.
# OPENAI_API_KEY=
# ATLAS_MAX_COST=5
"""


class BenchmarkFiles(NamedTuple):
    """What `write_benchmark` wrote."""

    labelled: Path
    backlog: Path
    corpus: Path
    pool: Path
    environment: Path
    passages: int


def questions(seed: int) -> Iterator[Item]:
    """Questions without end, the kinds in turn in a shuffled order, no text twice.

    What has been seen is remembered in a bitmap of 16 MB whatever the number of questions; a rare
    false hit skips a question that was new, which does no harm.
    """
    world = build_world(seed)
    rng = Random(f"questions {seed}")
    seen = bytearray(_SEEN_BITS // 8)
    while True:
        names = list(KINDS)
        rng.shuffle(names)
        for name in names:
            while True:
                body = KINDS[name](rng, world)
                text = dress(rng, world, body)
                place, bit = divmod(int(content_hash(text)[:12], 16) % _SEEN_BITS, 8)
                if not seen[place] >> bit & 1:
                    break
            seen[place] |= 1 << bit
            yield Item(name, text, body.reference, body.grader)


def write_benchmark(
    folder: Path, *, seed: int, labelled: int = 600, backlog: int = 2000
) -> BenchmarkFiles:
    """Write a whole benchmark into `folder`, which is created; the same seed, the same bytes.

    Args:
        folder: where to write.
        seed: of the world, the corpus and every question.
        labelled: rows of `labelled.parquet`, 60 % of each kind of split train, the rest test.
        backlog: rows of `backlog.jsonl`, which ask something else than any labelled row.

    Raises:
        ValueError: a number of rows is negative.
    """
    if labelled < 0 or backlog < 0:
        message = f"labelled={labelled} and backlog={backlog}: numbers of rows cannot be negative"
        raise ValueError(message)
    folder.mkdir(parents=True, exist_ok=True)
    made = BenchmarkFiles(
        labelled=folder / "labelled.parquet",
        backlog=folder / "backlog.jsonl",
        corpus=folder / "corpus",
        pool=folder / "pool.yaml",
        environment=folder / ".env.example",
        passages=write_corpus(folder / "corpus", build_world(seed), seed),
    )
    source = questions(seed)
    _write_labelled(made.labelled, list(islice(source, labelled)), seed)
    _write_lines(made.backlog, islice(source, backlog))
    demo = files("profiles.pools").joinpath("demo.yaml").read_text(encoding="utf-8")
    made.pool.write_text(demo, encoding="utf-8")
    made.environment.write_text(_ENVIRONMENT, encoding="utf-8")
    return made


def write_backlog_of(path: Path, rows: int, *, seed: int) -> None:
    """Write a backlog of any length, row by row: memory does not grow with `rows`.

    The world is that of `write_benchmark` with the same seed, so its corpus answers the look-ups.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    _write_lines(path, islice(questions(seed), rows))


def _split(items: list[Item], seed: int) -> list[str]:
    rng = Random(f"split {seed}")
    splits = [""] * len(items)
    for name in KINDS:
        rows = [row for row, item in enumerate(items) if item.dataset == name]
        rng.shuffle(rows)
        train = round(TRAIN_SHARE * len(rows))
        for rank, row in enumerate(rows):
            splits[row] = "train" if rank < train else "test"
    return splits


def _write_labelled(path: Path, items: list[Item], seed: int) -> None:
    import polars as pl

    columns = {
        "query_id": [content_hash(item.text) for item in items],
        "text": [item.text for item in items],
        "dataset": [item.dataset for item in items],
        "split": _split(items, seed),
        "reference": [item.reference for item in items],
        "grader": [item.grader for item in items],
    }
    pl.DataFrame(columns, schema=dict.fromkeys(columns, pl.String)).write_parquet(path)


def _write_lines(path: Path, items: Iterator[Item]) -> None:
    with path.open("w", encoding="utf-8") as file:
        for number, item in enumerate(items):
            row = {
                "custom_id": f"q{number:06d}",
                "prompt": item.text,
                "dataset": item.dataset,
                "reference": item.reference,
                "grader": item.grader,
            }
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
