"""Profiles on disk: one folder a version, written at once or not at all, never rewritten.

<root>/<profile_id>/
    profile.json            what it is, how it was fitted, sha256 of every file beside it
    clusters.parquet        one row per cluster
    cluster_stats.parquet   one row per cluster and pair, and per pair overall (cluster -1)
    train.parquet           the training rows, where they were kept
    predictor.npz           the per-question predictor, where there is one
    selection.npz           what routers are worth out of fold, where it was estimated
    correlation.npz         correlation between pairs, where it was computed

The last four are read, and checked, when they are first looked at. Folders of format 1 lack the
last three and are read as ever.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import polars as pl
from numpy.typing import NDArray

from profiles.clusters import Clusters, ClusterSettings
from profiles.deferred import Stored, part_digest, read_part, write_part
from profiles.durable import sync_file, sync_folder
from profiles.errors import ProfileError
from profiles.pool import Pair
from profiles.profile import (
    FORMAT,
    PARTS,
    DatasetTable,
    Profile,
    ProfileSettings,
    TrainingRows,
    content_id,
    part_digests,
    split_part,
)
from profiles.profile_frames import clusters_frame, statistics_frame, statistics_from_frame

READABLE = (1, FORMAT)
MANIFEST = "profile.json"
_CLUSTERS, _STATS = "clusters.parquet", "cluster_stats.parquet"
_FILES = {name: f"{name}.parquet" if name == "train" else f"{name}.npz" for name in PARTS}
"""File of every part that may be missing."""
_DAMAGES = (KeyError, TypeError, ValueError, IndexError, OSError, pl.exceptions.PolarsError)
"""What reading a damaged file raises."""


def save_profile(profile: Profile, root: Path) -> Path:
    """Write a profile to `root/<profile_id>` and return that folder.

    A folder of this id that is already there holds the same knowledge: it is checked and kept.

    Raises:
        ProfileError: if the folder cannot be written, or one of this id is there but damaged.
    """
    root = Path(root)
    final = root / profile.profile_id
    if final.exists():
        load_profile(final, whole=True)
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
            load_profile(final, whole=True)
        sync_folder(root)
    except OSError as error:
        msg = f"cannot write the profile to {root} ({error.strerror or error}); free or change it"
        raise ProfileError(msg) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return final


def load_profile(folder: Path, *, whole: bool = False) -> Profile:
    """Read a profile, checking files against their hashes and the contents against the id.

    Args:
        folder: of one profile.
        whole: read and check every part now, not when it is first looked at.

    Raises:
        ProfileError: if it is missing, incomplete, damaged, or of a newer format. A part that is
            damaged raises it when it is first looked at.
    """
    folder = Path(folder)
    manifest = _read_manifest(folder)
    for name in (_CLUSTERS, _STATS):
        _check_file(folder, name, manifest)
    try:
        profile = _assemble(folder, manifest)
    except ProfileError as error:
        raise _not_whole(folder, error) from error
    except _DAMAGES as error:
        raise _not_whole(folder, error) from error
    if profile.profile_id != manifest["profile_id"]:
        msg = f"{folder}: the contents are not those of {manifest['profile_id']}; {_AGAIN}"
        raise ProfileError(msg)
    if whole:
        for name in PARTS:
            getattr(profile, name)
    return profile


def _check_file(folder: Path, name: str, manifest: dict[str, Any]) -> None:
    try:
        with (folder / name).open("rb") as file:
            actual = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        msg = f"{folder / name} cannot be read ({error.strerror}); {_AGAIN}"
        raise ProfileError(msg) from error
    if actual != manifest["files"][name]:
        msg = f"{folder / name} is damaged (its sha256 is not the recorded one); {_AGAIN}"
        raise ProfileError(msg)


def _not_whole(folder: Path, error: Exception) -> ProfileError:
    return ProfileError(f"{folder} is not a whole profile ({error}); {_AGAIN}")


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
    if manifest.get("format") not in READABLE:
        readable = " and ".join(str(number) for number in READABLE)
        msg = (
            f"{path} has format {manifest.get('format')!r}, this version reads {readable};"
            " update atlas, or profile again"
        )
        raise ProfileError(msg)
    needed = {_CLUSTERS, _STATS}
    known = needed | set(_FILES.values())
    if not needed <= manifest["files"].keys() <= known or "profile_id" not in manifest:
        msg = f"{path} does not name the files of a profile; {_AGAIN}"
        raise ProfileError(msg)
    return manifest


def _write_all(profile: Profile, folder: Path) -> None:
    clusters_frame(profile).write_parquet(folder / _CLUSTERS, compression="zstd")
    statistics_frame(profile).write_parquet(folder / _STATS, compression="zstd")
    parts = {name: getattr(profile, name) for name in PARTS}
    for name, value in parts.items():
        if name == "train" and value is not None:
            _train_frame(value).write_parquet(folder / _FILES[name], compression="zstd")
        elif value is not None:
            write_part(folder / _FILES[name], *split_part(name, value))
    hashes = {}
    for path in sorted(folder.iterdir()):
        with path.open("rb") as file:
            hashes[path.name] = hashlib.file_digest(file, "sha256").hexdigest()
    words = _manifest(profile, hashes) | {"parts": part_digests(parts)}
    manifest = json.dumps(words, indent=2, allow_nan=False)
    (folder / MANIFEST).write_text(manifest + "\n", encoding="utf-8")
    for path in folder.iterdir():
        sync_file(path)
    sync_folder(folder)


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
    choose_k = tuple(chosen.pop("choose_k", ()))
    if manifest["format"] == 1:
        chosen |= {"predictor": False, "selection": False}
    settings = ProfileSettings(clusters=kmeans, choose_k=choose_k, **chosen)
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
    }
    created_at = datetime.fromisoformat(manifest["created_at"])
    if manifest["format"] == 1:
        if _FILES["train"] in manifest["files"]:
            _check_file(folder, _FILES["train"], manifest)
            parts["train"] = _training_rows(folder)
        parts.setdefault("train", None)
        return Profile(profile_id=content_id(parts, version=1), created_at=created_at, **parts)
    digests = {name: manifest["parts"][name] for name in PARTS}
    for name, digest in digests.items():
        if digest is not None:
            read = partial(_read_deferred, folder, name, manifest)
            parts[name] = Stored(digest, read)
    return Profile(profile_id=content_id(parts, digests), created_at=created_at, **parts)


def _read_deferred(folder: Path, name: str, manifest: dict[str, Any]) -> Any:  # noqa: ANN401
    """One part, its file and its contents checked.

    Raises:
        ProfileError: it is damaged.
    """
    _check_file(folder, _FILES[name], manifest)
    try:
        value = _READERS[name](folder)
        digest = part_digest(*split_part(name, value))
    except _DAMAGES as error:
        raise _not_whole(folder, error) from error
    if digest != manifest["parts"][name]:
        msg = f"{folder / _FILES[name]} is not that of {manifest['profile_id']}; {_AGAIN}"
        raise ProfileError(msg)
    return value


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
    frame = pl.read_parquet(folder / _FILES["train"])
    return TrainingRows(
        tuple(frame.get_column("query_id").to_list()),
        frame.get_column("embedding").to_numpy().astype(np.float32),
        frame.get_column("scores").to_numpy().astype(np.float64),
        frame.get_column("costs_usd").to_numpy().astype(np.float64),
    )


def _predictor(folder: Path) -> Any:  # noqa: ANN401
    from profiles.predictor import Predictor

    return Predictor.from_parts(*read_part(folder / _FILES["predictor"]))


def _selection(folder: Path) -> Any:  # noqa: ANN401
    from profiles.selection import Selection

    return Selection.from_parts(*read_part(folder / _FILES["selection"]))


def _correlation(folder: Path) -> Any:  # noqa: ANN401
    from profiles.correlation import PairCorrelation

    return PairCorrelation(**read_part(folder / _FILES["correlation"])[1])


_READERS: dict[str, Callable[[Path], Any]] = {
    "train": _training_rows,
    "predictor": _predictor,
    "selection": _selection,
    "correlation": _correlation,
}


def _numbers(values: NDArray[np.float64]) -> list[float | None]:
    return [float(value) if np.isfinite(value) else None for value in values]


def _array(values: list[float | None]) -> NDArray[np.float64]:
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)
