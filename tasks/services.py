"""The two services beside ATLAS, Prefect and MLflow: embedded, or reachable at an address."""

from __future__ import annotations

import tomllib
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, NamedTuple
from urllib.parse import urlsplit, urlunsplit

from tasks.tracking.redaction import without_secrets

TIMEOUT_S = 3.0
_SQLITE = "sqlite:///"


class Service(NamedTuple):
    """How a service stands."""

    name: str
    status: Literal["ok", "warn", "fail"]
    detail: str
    remedy: str = ""


def prefect_service(environ: Mapping[str, str], *, used: bool) -> Service:
    """Prefect: the server its settings name, or the temporary one of every run."""
    if not used:
        return Service("prefect", "ok", "not used (--runner plain)")
    url = environ.get("PREFECT_API_URL") or _profile_url(environ)
    if not url:
        return Service("prefect", "ok", "embedded: a temporary server starts with a run (10 s)")
    failure = _failure(url.rstrip("/") + "/health")
    shown = without_secrets(url)
    if failure:
        remedy = "Start it with `prefect server start`, or unset PREFECT_API_URL."
        return Service("prefect", "fail", f"{shown} does not answer: {failure}", remedy)
    return Service("prefect", "ok", f"server at {shown}")


def _profile_url(environ: Mapping[str, str]) -> str | None:
    """The address in Prefect's active profile, if there is one."""
    home = Path(environ.get("PREFECT_HOME") or Path.home() / ".prefect")
    try:
        profiles = tomllib.loads((home / "profiles.toml").read_text(encoding="utf-8"))
        url = profiles["profiles"][profiles["active"]]["PREFECT_API_URL"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return url if isinstance(url, str) else None


def mlflow_service(uri: str | None) -> Service:
    """MLflow: a SQLite file, a server, or another database."""
    if uri is None:
        return Service("mlflow", "ok", "not used (--no-tracking)")
    shown = without_secrets(uri)
    remedy = "Correct --mlflow-uri, or use --no-tracking; runs do not stop for it."
    if uri.startswith(_SQLITE):
        failure = _sqlite_failure(Path(uri.removeprefix(_SQLITE).partition("?")[0]))
        kind = "embedded"
    elif uri.startswith(("http://", "https://")):
        failure = _failure(uri.rstrip("/") + "/health")
        kind = "server at"
    else:
        failure = _database_failure(uri)
        kind = "database at"
    if failure:
        return Service("mlflow", "warn", f"{shown}: {failure}", remedy)
    return Service("mlflow", "ok", f"{kind} {shown}")


def _sqlite_failure(path: Path) -> str | None:
    if path.is_dir():
        return "is a folder"
    if path.exists():
        with path.open("rb") as file:
            begin = file.read(16)
        return None if begin in (b"", b"SQLite format 3\x00") else "is not a SQLite database"
    folder = path.absolute().parent
    while not folder.exists():
        folder = folder.parent
    return None if folder.is_dir() else f"{folder} is a file, not a folder"


def _database_failure(uri: str) -> str | None:
    from sqlalchemy import create_engine

    try:
        engine = create_engine(uri)
        try:
            engine.connect().close()
        finally:
            engine.dispose()
    except Exception as error:
        return without_secrets(f"{type(error).__name__}: {' '.join(str(error).split())[:120]}")
    return None


def _failure(url: str) -> str | None:
    """Why an address does not answer with 200, or None if it does."""
    if not url.startswith(("http://", "https://")):
        return "is no http address"
    parts = urlsplit(url)
    bare = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
    try:
        with urllib.request.urlopen(bare, timeout=TIMEOUT_S) as response:  # noqa: S310
            return None if response.status == 200 else f"status {response.status}"
    except urllib.error.HTTPError as error:
        return f"status {error.code}"
    except (OSError, ValueError) as error:
        return without_secrets(str(getattr(error, "reason", error)))
