"""What tracks a run, and what tracks nothing."""
# ruff: noqa: ARG002 - doing nothing with its arguments is what `NullTracker` is for

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Status = Literal["FINISHED", "FAILED", "KILLED"]


class Tracking(Protocol):
    """Where runs are logged."""

    def start(
        self,
        experiment: str,
        name: str,
        params: Mapping[str, object],
        tags: Mapping[str, str] | None = None,
        *,
        run_id: str | None = None,
    ) -> str:
        """Begin a run, or go on with the one named `run_id`; empty if it cannot be tracked."""
        ...

    def log(self, run_id: str, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Log metrics in one request per thousand."""
        ...

    def curves(self, run_id: str, steps: Mapping[int, Mapping[str, float]]) -> None:
        """Log metrics of many steps in one request per thousand."""
        ...

    def artifact(self, run_id: str, path: Path, folder: str | None = None) -> None:
        """Keep a file, or all files of a folder, with the run."""
        ...

    def figure(self, run_id: str, figure: Figure, name: str) -> None:
        """Keep a figure with the run under a name such as `figures/accuracy.png`."""
        ...

    def text(self, run_id: str, text: str, name: str) -> None:
        """Keep a text, such as a page or an SVG, under a name such as `figures/front.svg`."""
        ...

    def finish(self, run_id: str, status: Status) -> None:
        """End the run."""
        ...


class NullTracker:
    """Tracks nothing: `--no-tracking`."""

    def start(
        self,
        experiment: str,
        name: str,
        params: Mapping[str, object],
        tags: Mapping[str, str] | None = None,
        *,
        run_id: str | None = None,
    ) -> str:
        """No run: the empty id, or the one it goes on with."""
        return run_id or ""

    def log(self, run_id: str, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Nothing."""

    def curves(self, run_id: str, steps: Mapping[int, Mapping[str, float]]) -> None:
        """Nothing."""

    def artifact(self, run_id: str, path: Path, folder: str | None = None) -> None:
        """Nothing."""

    def figure(self, run_id: str, figure: Figure, name: str) -> None:
        """Nothing."""

    def text(self, run_id: str, text: str, name: str) -> None:
        """Nothing."""

    def finish(self, run_id: str, status: Status) -> None:
        """Nothing."""
