"""A profile straight from a table of recorded outcomes: the job behind `atlas profile import`."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from tasks.call.recorded import REQUIRED_COLUMNS
from tasks.evaluate.table import OutcomeTable, pool_name, pool_of_pairs, read_table
from tasks.profiling.cells_kept import keep_cells, table_cells
from tasks.profiling.store import publish_profile
from tasks.query import content_hash
from warehouse.commits import make_folder, published

if TYPE_CHECKING:
    import polars as pl

    from profiles.pool import Pool
    from profiles.profile import Profile

FOLDER = "imports"
POOL_FILE = "pool.yaml"


class Imported(NamedTuple):
    """A published profile and the pool file that routes by it, replaying what was recorded."""

    profile: Profile
    pool_file: Path


def import_profile(
    directory: Path,
    root: Path,
    *,
    clusters: int | Literal["auto"] = "auto",
    seed: int = 0,
    encoder: str = "minilm",
    encoder_dtype: str = "float32",
) -> Imported:
    """Fit a profile on a table's `train` rows and publish it as the latest under `root`.

    Beside it, `root/imports/<name>-<hash>/` gets a pool file and a copy of the outcomes, so that
    `atlas route` can replay them: a question is known there by its text as well as by its own
    `query_id`. Where a text stands under several ids, the first one in the file speaks for it.

    Args:
        directory: folder of `queries.parquet` and `outcomes.parquet`.
        root: warehouse; embeddings are kept under it.
        clusters: K; `auto` is the one that routes best on training rows left out.
        seed: of KMeans.
        encoder: embeds the questions.
        encoder_dtype: number format of its weights.

    Raises:
        RecordedTableError: the table cannot be used.
        PoolError: a model's or tool's name cannot stand in a pool file.
        EmbeddingError, ProfileError: the questions cannot be embedded or learnt from.
        WarehouseError: a folder cannot be written.
    """
    from profiles.build_profile import build_profile, train_queries
    from profiles.profile import ProfileSettings
    from tasks.embedder import cached_embedder

    table = read_table(directory, needs_test=False)
    pool_file = write_pool(table, root)
    pool = _load(pool_file)
    embedder = cached_embedder(root, encoder, dtype=encoder_dtype)
    try:
        texts = train_queries(table.queries).get_column("text").to_list()
        profile = build_profile(
            queries=table.queries,
            outcomes=table.outcomes,
            embeddings=embedder(texts),
            pairs=pool.pairs,
            pool_fingerprint=pool.fingerprint,
            encoder_fingerprint=embedder.fingerprint,
            created_at=datetime.now(UTC),
            settings=ProfileSettings.of(clusters, seed),
        )
    finally:
        embedder.close()
    keep_cells(root, profile.profile_id, table_cells(table))
    publish_profile(root, profile)
    return Imported(profile, pool_file)


def write_pool(table: OutcomeTable, root: Path) -> Path:
    """Write the pool file and the outcomes it replays; the same table gives the same files.

    Raises:
        WarehouseError: the folder cannot be written.
    """
    import yaml

    digits = table.sha256[:10]
    name = pool_name(table.name)
    folder = root / FOLDER / f"{name}-{digits}"
    make_folder(folder)
    replayed = f"outcomes-{digits}.parquet"
    with published(folder / replayed) as temporary:
        replay_rows(table).write_parquet(temporary, compression="zstd")
    pool = pool_of_pairs(name, table.pairs, replays=replayed)
    text = yaml.safe_dump(_pool_document(pool, table), sort_keys=False, allow_unicode=True)
    with published(folder / POOL_FILE) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return folder / POOL_FILE


def replay_rows(table: OutcomeTable) -> pl.DataFrame:
    """The outcomes under their own ids, and once more under the hash of the question's text.

    A backlog knows a question by its text alone: its `query_id` is the text's hash.
    """
    import polars as pl

    outcomes = table.outcomes.select(REQUIRED_COLUMNS)
    ids = table.queries.get_column("query_id")
    by_text = (
        table.queries.select(
            "query_id",
            hashed=pl.col("text").map_elements(content_hash, return_dtype=pl.String),
        )
        .unique("hashed", keep="first", maintain_order=True)
        .filter(~pl.col("hashed").is_in(ids.implode()))
    )
    again = (
        outcomes.join(by_text, on="query_id", how="inner", maintain_order="left")
        .with_columns(query_id="hashed")
        .select(REQUIRED_COLUMNS)
    )
    return pl.concat([outcomes, again])


def _pool_document(pool: Pool, table: OutcomeTable) -> dict[str, Any]:
    return {
        "name": pool.name,
        "description": f"Recorded outcomes of {table.directory.resolve()}, replayed; calls nobody.",
        "models": {
            key: {"provider": spec.provider, "parameters": dict(spec.parameters)}
            for key, spec in pool.models.items()
        },
        "tools": {key: {"kind": spec.kind} for key, spec in pool.tools.items()},
        "pairs": {"include": [pair.pair_id for pair in pool.pairs]},
    }


def _load(pool_file: Path) -> Pool:
    from profiles.pool_file import load_pool

    return load_pool(pool_file)
