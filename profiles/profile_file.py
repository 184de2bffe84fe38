"""Profiles on disk: one folder a version, written at once or not at all, never rewritten.

<root>/<profile_id>/
    profile.json            what it is, how it was fitted, sha256 of every file beside it
    clusters.parquet        one row per cluster
    cluster_stats.parquet   one row per cluster and pair, and per pair overall (cluster -1)
    train.parquet           the training rows, where they were kept
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import polars as pl
from numpy.typing import NDArray

from profiles.clusters import Clusters, ClusterSettings
from profiles.errors import ProfileError
from profiles.pool import Pair
from profiles.profile import DatasetTable, Profile, ProfileSettings, TrainingRows, content_id
from profiles.profile_frames import clusters_frame, statistics_frame, statistics_from_frame

FORMAT = 1
MANIFEST = "profile.json"
_CLUSTERS, _STATS, _TRAIN = "clusters.parquet", "cluster_stats.parquet", "train.parquet"


def save_profile(profile: Profile, root: Path) -> Path:
    """Write a profile to `root/<profile_id>` and return that folder.

    A folder of this id that is already there holds the same knowledge: it is checked and kept.

    Raises:
        ProfileError: if the folder cannot be written, or one of this id is there but damaged.
    """
    root = Path(root)
    final = root / profile.profile_id
    if final.exists():
        load_profile(final)
        return final
    temporary = root / f".{profile.profile_id}.{uuid4().hex}.tmp"
    try:
        temporary.mkdir(parents=True)
        _write_all(profile, temporary)
        try:
            temporary.rename(final)
        except OSError:
            # Another process published the same profile first.
            if not final.exists():
                raise
            load_profile(final)
        _sync_folder(root)
    except OSError as error:
        msg = f"cannot write the profile to {root} ({error.strerror or error}); free or change it"
        raise ProfileError(msg) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return final


def load_profile(folder: Path) -> Profile:
    """Read a profile, checking every file against its hash and the contents against the id.

    Raises:
        ProfileError: if it is missing, incomplete, damaged, or of a newer format.
    """
    folder = Path(folder)
    manifest = _read_manifest(folder)
    for name, wanted in manifest["files"].items():
        try:
            actual = hashlib.sha256((folder / name).read_bytes()).hexdigest()
        except OSError as error:
            msg = f"{folder / name} cannot be read ({error.strerror}); {_AGAIN}"
            raise ProfileError(msg) from error
        if actual != wanted:
            msg = f"{folder / name} is damaged (its sha256 is not the recorded one); {_AGAIN}"
            raise ProfileError(msg)
    try:
        profile = _assemble(folder, manifest)
    except (KeyError, TypeError, ValueError, IndexError, pl.exceptions.PolarsError) as error:
        msg = f"{folder} is not a whole profile ({error}); {_AGAIN}"
        raise ProfileError(msg) from error
    if profile.profile_id != manifest["profile_id"]:
        msg = f"{folder}: the contents are not those of {manifest['profile_id']}; {_AGAIN}"
        raise ProfileError(msg)
    return profile


_AGAIN = "remove the folder and profile again (finished cells are not paid for twice)"


def _read_manifest(folder: Path) -> dict[str, Any]:
    path = folder / MANIFEST
    try:
        manifest = json.loads(path.read_bytes())
    except FileNotFoundError as error:
        msg = (
            f"there is no profile in {folder} ({MANIFEST} is missing);"
            " make one with `atlas profile run` or `atlas profile import`"
        )
        raise ProfileError(msg) from error
    except (OSError, ValueError) as error:
        msg = f"{path} cannot be read as JSON; {_AGAIN}"
        raise ProfileError(msg) from error
    if not isinstance(manifest, dict) or not isinstance(manifest.get("files"), dict):
        msg = f"{path} is not the manifest of a profile; {_AGAIN}"
        raise ProfileError(msg)
    if manifest.get("format") != FORMAT:
        msg = (
            f"{path} has format {manifest.get('format')!r}, this version reads {FORMAT};"
            " update atlas, or profile again"
        )
        raise ProfileError(msg)
    needed = {_CLUSTERS, _STATS}
    if not needed <= manifest["files"].keys() <= needed | {_TRAIN} or "profile_id" not in manifest:
        msg = f"{path} does not name the files of a profile; {_AGAIN}"
        raise ProfileError(msg)
    return manifest


def _write_all(profile: Profile, folder: Path) -> None:
    frames = {_CLUSTERS: clusters_frame(profile), _STATS: statistics_frame(profile)}
    if profile.train is not None:
        frames[_TRAIN] = _train_frame(profile.train)
    hashes = {}
    for name, frame in frames.items():
        frame.write_parquet(folder / name, compression="zstd")
        hashes[name] = hashlib.sha256((folder / name).read_bytes()).hexdigest()
    manifest = json.dumps(_manifest(profile, hashes), indent=2, allow_nan=False)
    (folder / MANIFEST).write_text(manifest + "\n", encoding="utf-8")
    for path in folder.iterdir():
        with path.open("rb") as file:
            os.fsync(file.fileno())
    _sync_folder(folder)


def _sync_folder(folder: Path) -> None:
    # Windows cannot open a folder; there a rename is durable on its own.
    with contextlib.suppress(PermissionError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _manifest(profile: Profile, hashes: dict[str, str]) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "profile_id": profile.profile_id,
        "pool_fingerprint": profile.pool_fingerprint,
        "encoder_fingerprint": profile.encoder_fingerprint,
        "created_at": profile.created_at.isoformat(),
        "pairs": [list(pair) for pair in profile.pairs],
        "settings": asdict(profile.settings),
        "radius99": profile.clusters.radius99,
        "notes": list(profile.clusters.notes),
        "prior_strength": profile.statistics.prior_strength,
        "train_micro": _numbers(profile.train_micro),
        "train_macro": _numbers(profile.train_macro),
        "datasets": {
            name: _numbers(row)
            for name, row in zip(profile.datasets.names, profile.datasets.scores, strict=True)
        },
        "files": hashes,
    }


def _assemble(folder: Path, manifest: dict[str, Any]) -> Profile:
    pairs = tuple(Pair(str(model), str(tool)) for model, tool in manifest["pairs"])
    chosen = dict(manifest["settings"])
    kmeans = ClusterSettings(**chosen.pop("clusters"))
    settings = ProfileSettings(clusters=kmeans, **chosen)
    table = pl.read_parquet(folder / _CLUSTERS).sort("cluster_id")
    clusters = Clusters(
        centroids=np.array(table.get_column("centroid").to_list(), dtype=np.float32),
        radius99=float(manifest["radius99"]),
        sizes=table.get_column("size").to_numpy().astype(np.int64),
        settings=kmeans,
        notes=tuple(manifest["notes"]),
    )
    stats = pl.read_parquet(folder / _STATS)
    parts: dict[str, Any] = {
        "pool_fingerprint": manifest["pool_fingerprint"],
        "pairs": pairs,
        "encoder_fingerprint": manifest["encoder_fingerprint"],
        "clusters": clusters,
        "statistics": statistics_from_frame(
            stats, pairs, clusters.k, float(manifest["prior_strength"])
        ),
        "train_micro": _array(manifest["train_micro"]),
        "train_macro": _array(manifest["train_macro"]),
        "datasets": DatasetTable(
            tuple(manifest["datasets"]),
            np.array([_array(row) for row in manifest["datasets"].values()]),
        ),
        "top_terms": tuple(tuple(terms) for terms in table.get_column("top_terms")),
        "example_query_ids": tuple(tuple(ids) for ids in table.get_column("example_query_ids")),
        "settings": settings,
        "train": _training_rows(folder) if _TRAIN in manifest["files"] else None,
    }
    created_at = datetime.fromisoformat(manifest["created_at"])
    return Profile(profile_id=content_id(parts), created_at=created_at, **parts)


def _train_frame(train: TrainingRows) -> pl.DataFrame:
    pairs, width = train.scores.shape[1], train.embeddings.shape[1]
    return pl.DataFrame(
        {
            "query_id": list(train.query_ids),
            "embedding": pl.Series(train.embeddings, dtype=pl.Array(pl.Float32, width)),
            "scores": pl.Series(train.scores, dtype=pl.Array(pl.Float64, pairs)),
            "costs_usd": pl.Series(train.costs_usd, dtype=pl.Array(pl.Float64, pairs)),
        }
    )


def _training_rows(folder: Path) -> TrainingRows:
    frame = pl.read_parquet(folder / _TRAIN)
    return TrainingRows(
        tuple(frame.get_column("query_id").to_list()),
        frame.get_column("embedding").to_numpy().astype(np.float32),
        frame.get_column("scores").to_numpy().astype(np.float64),
        frame.get_column("costs_usd").to_numpy().astype(np.float64),
    )


def _numbers(values: NDArray[np.float64]) -> list[float | None]:
    return [float(value) if np.isfinite(value) else None for value in values]


def _array(values: list[float | None]) -> NDArray[np.float64]:
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)
