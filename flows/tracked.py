"""Batch runs in MLflow: a resumed run goes on in the MLflow run it began."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from warehouse.ledger import open_ledger

if TYPE_CHECKING:
    from flows.settings import HomeSettings
    from tasks.report.facts import ProfileFacts, RouteFacts
    from tasks.report.profile_page_facts import ProfilePage

logger = logging.getLogger(__name__)


class TrackedRun:
    """One batch run in MLflow, begun when there is something to track.

    Args:
        settings: where MLflow and the ledger are.
        run_id: the batch run.
        kind: route or profile.
        params: logged as parameters; secrets are cut out.
    """

    def __init__(
        self, settings: HomeSettings, run_id: str, kind: str, params: Mapping[str, object]
    ) -> None:
        from tasks.tracking import open_tracker

        with contextlib.closing(open_ledger(settings.root)) as ledger:
            run = ledger.run(run_id)
        complete = run is not None and run.state == "complete"
        self._root = settings.root
        self._tracker = open_tracker(
            settings.mlflow_uri, settings.artifacts, enabled=settings.tracking and not complete
        )
        self._run_id, self._kind, self._params = run_id, kind, params
        self._earlier = run.mlflow_run_id if run is not None else None
        self._id: str | None = None
        self._beginning: threading.Thread | None = None

    def opened(self) -> None:
        """Begin beside the run, which must not wait the seconds that MLflow takes to come up."""
        self._beginning = threading.Thread(target=self._open, name="atlas-mlflow")
        self._beginning.start()

    def _open(self) -> None:
        """Begin, and write MLflow's id into the run's row, so that the next session finds it."""
        begun = self._start()
        if not begun or begun == self._earlier:
            return
        try:
            with contextlib.closing(open_ledger(self._root)) as ledger:
                ledger.update_run(self._run_id, mlflow_run_id=begun)
        except Exception as error:
            logger.warning("MLflow's run %s could not be noted: %s", begun, error)

    def route(self, facts: RouteFacts) -> None:
        """Log what a routing session came to, and end the MLflow run."""
        from tasks.tracking.runs import log_route

        if begun := self._begin():
            log_route(self._tracker, facts, run_id=begun, params=self._params)

    def profile(
        self, facts: ProfileFacts, files: Sequence[Path], page: ProfilePage | None = None
    ) -> None:
        """Log a published profile with its page and pictures, and end the MLflow run."""
        from tasks.tracking.runs import log_profile

        if begun := self._begin():
            log_profile(self._tracker, facts, run_id=begun, files=files, page=page)

    def page(self, page: ProfilePage) -> None:
        """Keep the page of a profile and its pictures with the run, which goes on."""
        from tasks.tracking.runs import log_page

        if begun := self._begin():
            log_page(self._tracker, begun, page)

    def end(self, state: str) -> None:
        """End the MLflow run, if one was begun, as a batch run of that state ends."""
        from tasks.tracking.tracker import run_status

        if self._beginning is not None and (begun := self._begin()):
            self._tracker.finish(begun, run_status(state))

    def _begin(self) -> str:
        if self._beginning is not None:
            self._beginning.join()
        return self._start()

    def _start(self) -> str:
        from tasks.tracking.runs import EXPERIMENT

        if self._id is None:
            tags = {"atlas.kind": self._kind, "atlas.run_id": self._run_id}
            self._id = self._tracker.start(
                EXPERIMENT, self._run_id, self._params, tags, run_id=self._earlier
            )
        return self._id


@contextlib.contextmanager
def tracked(
    settings: HomeSettings, run_id: str, kind: str, params: Mapping[str, object]
) -> Iterator[TrackedRun]:
    """Track a batch run; one that is complete already is left alone.

    Args:
        settings: where MLflow and the ledger are.
        run_id: the batch run.
        kind: route or profile.
        params: logged as parameters; secrets are cut out.
    """
    run = TrackedRun(settings, run_id, kind, params)
    try:
        yield run
    except BaseException:
        run.end("failed")
        raise
