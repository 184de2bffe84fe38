"""Imported logs on disk: a table's folder that `atlas evaluate` and the import itself can read."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tasks.importing.errors import LogError
from tasks.importing.files import OUTCOMES, QUERIES
from tasks.read.rows import BadRow
from warehouse.commits import make_folder, published

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tasks.importing.reading import Imported

DEAD_LETTERS = "dead_letters.jsonl"
TRAIN = "train"


class Saved(NamedTuple):
    """What was written."""

    directory: Path
    queries: int
    outcomes: int
    left_out: int
    """Held-out questions that some pair has no outcome on: a router that chose it could not be
    scored there."""
    dead_letters: Path | None


def save_table(imported: Imported, directory: Path) -> Saved:
    """Write `queries.parquet`, `outcomes.parquet` and, if a row was bad, `dead_letters.jsonl`.

    Each file is whole or not there; files of these names in the folder are replaced.

    Raises:
        WarehouseError: the folder cannot be written.
    """
    import polars as pl

    queries, outcomes = imported.queries, imported.outcomes
    pairs = outcomes.select("model", "tool").unique().height
    whole = (
        outcomes.group_by("query_id")
        .agg(pairs=pl.len())
        .filter(pl.col("pairs") == pairs)
        .get_column("query_id")
    )
    kept = queries.filter((pl.col("split") == TRAIN) | pl.col("query_id").is_in(whole.implode()))
    rows = outcomes.join(kept.select("query_id"), on="query_id", how="semi", maintain_order="left")
    make_folder(directory)
    for name, frame in ((QUERIES, kept), (OUTCOMES, rows)):
        with published(directory / name) as temporary:
            frame.write_parquet(temporary, compression="zstd")
    letters = save_dead_letters(imported.problems, directory)
    return Saved(directory, len(kept), len(rows), len(queries) - len(kept), letters)


def save_dead_letters(problems: Sequence[BadRow], directory: Path) -> Path | None:
    """Write one line a bad row: `file, row, field, reason, custom_id`; never its text.

    Raises:
        WarehouseError: the folder cannot be written.
    """
    path = directory / DEAD_LETTERS
    if not problems:
        path.unlink(missing_ok=True)
        return None
    make_folder(directory)
    with published(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        for problem in problems:
            fields = asdict(problem)
            del fields["raw"]
            file.write(json.dumps(fields, ensure_ascii=False) + "\n")
    return path


def require_scores(imported: Imported) -> None:
    """Insist on something that a profile can be learnt from.

    Raises:
        LogError: no outcome has a score, or none of a training question.
    """
    import polars as pl

    outcomes = imported.outcomes
    if not imported.scored:
        raise LogError(
            f"none of the {len(outcomes):,} outcomes has a score: they tell what calls cost, not "
            f"how good they are, and a profile needs both; import them together with a graded "
            f"log, or grade their answers with --labels QUESTIONS (--out DIR writes them as they "
            f"are)"
        )
    train = imported.queries.filter(pl.col("split") == TRAIN)
    learnt = outcomes.drop_nulls("score").join(train, on="query_id", how="semi")
    if learnt.is_empty():
        raise LogError(
            f"none of the {imported.scored:,} scores belongs to a question of split 'train': "
            f"there is nothing to learn from; put questions there with --split train, or draw "
            f"anew with --split hash"
        )
