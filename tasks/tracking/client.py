"""MLflow's client as everything here uses it: quiet, impatient, reporting to nobody."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlflow import MlflowClient

_SQLITE = "sqlite:///"


def quiet_client(uri: str) -> MlflowClient:
    """A client for tracking and registry alike; a SQLite file's folder is made.

    MLflow says nothing but warnings, sends no telemetry, and gives up soon.

    Args:
        uri: a SQLAlchemy address such as `sqlite:///mlruns/mlflow.db`, or a server's.
    """
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "15")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    from mlflow import MlflowClient

    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)
    if uri.startswith(_SQLITE):
        path = Path(uri.removeprefix(_SQLITE).partition("?")[0])
        path.parent.mkdir(parents=True, exist_ok=True)
    return MlflowClient(tracking_uri=uri, registry_uri=uri)


def experiment_id(client: MlflowClient, uri: str, artifacts: str | Path, name: str) -> str:
    """The id of an experiment, made or brought back where it is missing.

    Args:
        client: of that address.
        uri: the address.
        artifacts: folder or address of artifacts; not used with a server, which has its own.
        name: of the experiment.
    """
    from mlflow.exceptions import MlflowException

    found = client.get_experiment_by_name(name)
    if found is None:
        try:
            return str(client.create_experiment(name, artifact_location=_location(uri, artifacts)))
        except MlflowException:
            # Another process may have created it since we looked.
            found = client.get_experiment_by_name(name)
            if found is None:
                raise
    if found.lifecycle_stage == "deleted":
        client.restore_experiment(found.experiment_id)
    return str(found.experiment_id)


def _location(uri: str, artifacts: str | Path) -> str | None:
    if uri.startswith(("http://", "https://")):
        return None
    if "://" in str(artifacts):
        return str(artifacts)
    folder = Path(artifacts).absolute()
    folder.mkdir(parents=True, exist_ok=True)
    return folder.as_uri()
