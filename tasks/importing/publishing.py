"""From logs to a published profile or to a table: the job behind `atlas profile import`."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from tasks.evaluate.importing import FOLDER, import_profile
from tasks.evaluate.table import pool_name
from tasks.importing.errors import LogError
from tasks.importing.files import OUTCOMES, QUERIES, LogFile, is_table
from tasks.importing.options import ImportOptions
from tasks.importing.reading import Imported, read_logs
from tasks.importing.saving import Saved, require_scores, save_dead_letters, save_table
from tasks.read import input_fingerprint
from warehouse.commits import hash_file

if TYPE_CHECKING:
    from profiles.profile import Profile

TABLES = "tables"


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportJob:
    """What to import and what to make of it.

    Attributes:
        sources: files, folders and globs.
        options: how to read them.
        root: warehouse; embeddings are kept under it.
        out: folder of the table; None is one under `root`.
        publish: fit and publish a profile.
        fail_on_error: share of bad rows above which nothing is made of the rest.
        clusters: K, or `auto`.
        seed: of KMeans.
        encoder: embeds the questions.
        encoder_dtype: number format of its weights.
    """

    sources: tuple[str, ...]
    options: ImportOptions
    root: Path
    out: Path | None = None
    publish: bool = True
    fail_on_error: float = 0.1
    clusters: int | Literal["auto"] = "auto"
    seed: int = 0
    encoder: str = "minilm"
    encoder_dtype: str = "float32"


@dataclass(frozen=True, slots=True)
class ImportReport:
    """How an import ended.

    Attributes:
        imported: what was read; None where a table was taken as it is.
        saved: the table that was written; None where it was not, or was there already.
        profile: what was published.
        pool_file: routes by it, replaying what was recorded.
        dead_letters: file of the bad rows.
        too_many_bad: nothing was made of the good rows, more were bad than is allowed.
    """

    imported: Imported | None
    saved: Saved | None = None
    profile: Profile | None = None
    pool_file: Path | None = None
    dead_letters: Path | None = None
    too_many_bad: bool = False


def import_logs(job: ImportJob) -> ImportReport:
    """Read logs, write their table and, if asked, publish a profile of it.

    One table of recorded outcomes, with nothing said about how to read it, is taken as it stands:
    its ids and its own splits.

    Raises:
        LogError: the logs cannot be read, or there is nothing to learn from.
        RecordedTableError, PoolError, EmbeddingError, ProfileError: as `import_profile`.
        WarehouseError: a folder cannot be written.
    """
    only = Path(job.sources[0]) if len(job.sources) == 1 else None
    if only is not None and job.out is None and _taken_as_it_is(only, job.options):
        return ImportReport(None, None, *_publish(job, only))
    if only is not None and job.options.format == "table" and not is_table(only):
        raise LogError(f"{only} is no folder with {QUERIES} and {OUTCOMES}")
    imported = read_logs(job.sources, job.options)
    directory = job.out or _place(job, imported)
    if imported.bad > job.fail_on_error * imported.rows:
        letters = save_dead_letters(imported.problems, directory)
        return ImportReport(imported, dead_letters=letters, too_many_bad=True)
    if job.publish:
        require_scores(imported)
    saved = save_table(imported, directory)
    if not job.publish:
        return ImportReport(imported, saved, dead_letters=saved.dead_letters)
    return ImportReport(imported, saved, *_publish(job, directory), saved.dead_letters)


def _taken_as_it_is(path: Path, options: ImportOptions) -> bool:
    said = {
        field.name: getattr(options, field.name)
        for field in fields(options)
        if field.name != "format"
    }
    silent = ImportOptions()
    nothing_said = all(value == getattr(silent, name) for name, value in said.items())
    return options.format in ("auto", "table") and is_table(path) and nothing_said


def _publish(job: ImportJob, directory: Path) -> tuple[Profile, Path]:
    done = import_profile(
        directory,
        job.root,
        clusters=job.clusters,
        seed=job.seed,
        encoder=job.encoder,
        encoder_dtype=job.encoder_dtype,
    )
    return done.profile, done.pool_file


def _place(job: ImportJob, imported: Imported) -> Path:
    """A folder of its own for these logs, read this way: the same import writes the same one."""
    digest = hashlib.sha256(repr(job.options).encode())
    if job.options.labels is not None:
        digest.update(input_fingerprint(job.options.labels).encode())
    for file in imported.files:
        for path in _parts(file):
            digest.update(hash_file(path).encode())
    first = Path(job.sources[0])
    name = pool_name(first.stem if first.is_file() else first.name)
    return job.root / FOLDER / TABLES / digest.hexdigest()[:10] / name


def _parts(file: LogFile) -> list[Path]:
    return [file.path / QUERIES, file.path / OUTCOMES] if file.path.is_dir() else [file.path]


def pair_figures(imported: Imported) -> list[Mapping[str, Any]]:
    """What the logs say of each pair: counts, and means over what is known (None: nothing is)."""
    import polars as pl

    columns = ("cost_usd", "input_tokens", "output_tokens", "duration_s")
    frame = (
        imported.outcomes.group_by("model", "tool")
        .agg(
            *(pl.col(name).cast(pl.Float64).mean() for name in columns),
            outcomes=pl.len(),
            scored=pl.col("score").count(),
            score=pl.col("score").cast(pl.Float64).mean(),
            priced=pl.col("cost_usd").count(),
            failed=pl.col("error_type").is_not_null().sum(),
        )
        .sort("model", "tool")
    )
    return list(frame.iter_rows(named=True))
