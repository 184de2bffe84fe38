"""One MLflow client with explicit run ids, which never stops the run it watches.

The active run of MLflow's fluent interface is thread-local and therefore never used.
"""

from __future__ import annotations

import functools
import logging
import math
import re
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, TypeVar

from tasks.tracking.base import NullTracker, Status, Tracking
from tasks.tracking.client import experiment_id, quiet_client
from tasks.tracking.redaction import is_secret_name, without_secrets

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from mlflow import MlflowClient

logger = logging.getLogger(__name__)

T = TypeVar("T")

METRICS_A_BATCH = 1000
PARAMS_A_BATCH = 100
KEY_LENGTH = 250
PARAM_LENGTH = 6000
TAG_LENGTH = 8000
"""Limits of MLflow's `log-batch` request."""

GIVE_UP_AFTER = 3
"""Failures in a row after which a dead server is not asked again."""

_FORBIDDEN = re.compile(r"[^\w\-. /]")


class Tracker:
    """Logs to one MLflow store.

    MLflow is imported and the store is created at the first `start`. Whatever fails is said once
    in a warning; after three failures in a row the store is left alone.

    Args:
        uri: a SQLAlchemy address such as `sqlite:///mlruns/mlflow.db`, or a server's.
        artifacts: folder or address of artifacts; not used with a server, which has its own.
        clock: seconds since 1970, for the time stamps of metrics.
    """

    def __init__(
        self, uri: str, artifacts: str | Path, *, clock: Callable[[], float] = time.time
    ) -> None:
        self._uri = uri
        self._artifacts = str(artifacts)
        self._clock = clock
        self._client: MlflowClient | None = None
        self._failures = 0
        self._warned = False

    def start(
        self,
        experiment: str,
        name: str,
        params: Mapping[str, object],
        tags: Mapping[str, str] | None = None,
        *,
        run_id: str | None = None,
    ) -> str:
        """Begin a run, or go on with the one named `run_id`; empty if it cannot be tracked.

        Params keep the first value they were logged with, as MLflow demands.
        """
        begun = self._guarded("start a run", lambda: self._start(experiment, name, run_id))
        if begun is None:
            return run_id or ""
        identifier, logged = begun
        fresh = {key: value for key, value in _params(params).items() if key not in logged}
        marks = {_name(key)[:KEY_LENGTH]: without_secrets(v) for key, v in (tags or {}).items()}
        self._guarded("log params", lambda: self._log_texts(identifier, fresh, marks))
        return identifier

    def log(self, run_id: str, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Log metrics in one request per thousand; unknown and infinite ones are left out."""
        self.curves(run_id, {step or 0: metrics})

    def curves(self, run_id: str, steps: Mapping[int, Mapping[str, float]]) -> None:
        """Log metrics of many steps in one request per thousand; see `log`."""
        known = [
            (metric_name(name), float(value), step)
            for step, metrics in steps.items()
            for name, value in metrics.items()
            if math.isfinite(value)
        ]
        if run_id and known:
            self._guarded("log metrics", lambda: self._log_metrics(run_id, known))

    def artifact(self, run_id: str, path: Path, folder: str | None = None) -> None:
        """Keep a file, or all files of a folder, with the run."""
        if run_id:
            self._guarded("keep a file", lambda: self._log_path(run_id, path, folder))

    def figure(self, run_id: str, figure: Figure, name: str) -> None:
        """Keep a figure with the run under a name such as `figures/accuracy.png`."""
        if run_id:
            self._guarded("keep a figure", lambda: self._log_figure(run_id, figure, name))

    def text(self, run_id: str, text: str, name: str) -> None:
        """Keep a text, such as a page or an SVG, under a name such as `figures/front.svg`."""
        if run_id:
            keep = functools.partial(self._log_text, run_id, text, name)
            self._guarded("keep a text", keep)

    def finish(self, run_id: str, status: Status) -> None:
        """End the run."""
        if run_id:
            self._guarded("end a run", lambda: self._mlflow().set_terminated(run_id, status))

    def _guarded(self, what: str, action: Callable[[], T]) -> T | None:
        """Do it; None if it fails or is no longer tried. Money is at work elsewhere."""
        if self._failures >= GIVE_UP_AFTER:
            return None
        try:
            result = action()
        except Exception as error:
            self._failures += 1
            if not self._warned:
                self._warned = True
                reason = without_secrets(" ".join(str(error).split())[:200])
                logger.warning(
                    "MLflow at %s could not %s (%s: %s). The run goes on; what it misses can be "
                    "read in the warehouse. Check the address, or use --no-tracking.",
                    without_secrets(self._uri), what, type(error).__name__, reason,
                )  # fmt: skip
            return None
        self._failures = 0
        return result

    def _mlflow(self) -> MlflowClient:
        if self._client is None:
            self._client = quiet_client(self._uri)
        return self._client

    def _start(self, experiment: str, name: str, run_id: str | None) -> tuple[str, set[str]]:
        """The run's id and the params it already has."""
        from mlflow.exceptions import MlflowException

        client = self._mlflow()
        if run_id:
            try:
                run = client.get_run(run_id)
                client.update_run(run_id, status="RUNNING")
                return run_id, set(run.data.params)
            except MlflowException as error:
                if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                    raise
        place = experiment_id(client, self._uri, self._artifacts, experiment)
        run = client.create_run(place, run_name=name)
        return str(run.info.run_id), set()

    def _log_texts(self, run_id: str, params: dict[str, str], tags: dict[str, str]) -> None:
        from mlflow.entities import Param, RunTag

        pairs = [Param(key, value) for key, value in params.items()]
        marks = [RunTag(key, value[:TAG_LENGTH]) for key, value in tags.items()]
        for start in range(0, max(len(pairs), len(marks)), PARAMS_A_BATCH):
            here = slice(start, start + PARAMS_A_BATCH)
            self._mlflow().log_batch(run_id, params=pairs[here], tags=marks[here])

    def _log_metrics(self, run_id: str, metrics: list[tuple[str, float, int]]) -> None:
        from mlflow.entities import Metric

        now = int(self._clock() * 1000)
        entries = [Metric(key, value, now, step) for key, value, step in metrics]
        for start in range(0, len(entries), METRICS_A_BATCH):
            self._mlflow().log_batch(run_id, metrics=entries[start : start + METRICS_A_BATCH])

    def _log_path(self, run_id: str, path: Path, folder: str | None) -> None:
        client = self._mlflow()
        if path.is_dir():
            client.log_artifacts(run_id, str(path), folder)
        else:
            client.log_artifact(run_id, str(path), folder)

    def _log_text(self, run_id: str, text: str, name: str) -> None:
        self._mlflow().log_text(run_id, text, name)

    def _log_figure(self, run_id: str, figure: Figure, name: str) -> None:
        from tasks.report.canvas import png

        kept = PurePosixPath(name)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / kept.name
            path.write_bytes(png(figure))
            where = str(kept.parent) if kept.parent.name else None
            self._mlflow().log_artifact(run_id, str(path), where)


def open_tracker(uri: str, artifacts: str | Path, *, enabled: bool = True) -> Tracking:
    """The tracker that the settings ask for."""
    return Tracker(uri, artifacts) if enabled else NullTracker()


def metric_name(name: str) -> str:
    """A name MLflow accepts: `@@` of a pair becomes `--`, other foreign characters `_`."""
    parts = (_name(part).strip(". ") or "_" for part in name.split("/"))
    return "/".join(parts)[:KEY_LENGTH].rstrip("/. ")


def _name(text: str) -> str:
    return _FORBIDDEN.sub("_", text.replace("@@", "--"))


def _params(params: Mapping[str, object]) -> dict[str, str]:
    return {
        metric_name(key): "[secret]"
        if is_secret_name(key)
        else without_secrets(str(value))[:PARAM_LENGTH]
        for key, value in params.items()
    }


def run_status(state: str) -> Status:
    """MLflow's word for the state of a batch run."""
    if state == "complete":
        return "FINISHED"
    return "FAILED" if state == "failed" else "KILLED"
