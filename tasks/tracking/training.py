"""What a training leaves in MLflow: params, curves, the held-out table, two figures, its card."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

from tasks.registry.cards import card_text
from tasks.report.policy_plots import held_out_front, reliability_figure
from tasks.report.policy_text import held_out_document

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from tasks.learn.train_policy import Curve, Trained
    from tasks.tracking.base import Tracking

logger = logging.getLogger(__name__)

MAIN = "policy-0"
"""The network whose curves go by their plain names; others have theirs before."""


def log_training(tracker: Tracking, run_id: str, trained: Trained) -> None:
    """Log what a training came to; the run goes on.

    Args:
        tracker: where to.
        run_id: the run begun earlier; nothing is logged where it is empty.
        trained: policy, card, table and curves.
    """
    if not run_id:
        return
    tracker.curves(run_id, dict(training_curves(trained.curves)))
    tracker.log(run_id, dict(training_metrics(trained)))
    table = trained.table.as_json()
    tracker.text(run_id, json.dumps(table, indent=2), "held_out.json")
    tracker.text(run_id, held_out_document(trained.card).plain(), "held_out.txt")
    tracker.text(run_id, card_text(trained.card), "card.json")
    _figure(tracker, run_id, "front", lambda: held_out_front(trained.card))
    _figure(tracker, run_id, "reliability", lambda: reliability_figure(trained.card))


def training_curves(curves: tuple[Curve, ...]) -> Iterator[tuple[int, Mapping[str, float]]]:
    """Metrics by iteration: those of the first network plain, `guard-0/entropy` of others."""
    steps: dict[int, dict[str, float]] = {}
    for curve in curves:
        prefix = "" if curve.network == MAIN else f"{curve.network}/"
        here = steps.setdefault(curve.iteration, {})
        here |= {f"{prefix}{name}": value for name, value in curve.metrics.items()}
    yield from sorted(steps.items())


def training_metrics(trained: Trained) -> Iterator[tuple[str, float]]:
    """Figures of the held-out table by router and price, and the aggregator's calibration."""
    for row in trained.table.rows:
        where = f"held_out/{row.router}/price {row.price:g}"
        yield f"{where}/accuracy", row.accuracy.value
        yield f"{where}/utility", row.utility.value
        yield f"{where}/calls", row.calls
        if row.cost_usd is not None:
            yield f"{where}/cost_usd", row.cost_usd
    yield "held_out/questions", float(trained.table.questions)
    yield "aggregator/calibration_error", trained.reliability.error


def _figure(tracker: Tracking, run_id: str, name: str, draw: Callable[[], Figure]) -> None:
    """Draw and keep a figure; one that cannot be drawn is said and left out."""
    try:
        figure = draw()
    except Exception as error:
        logger.warning("The figure %r could not be drawn and is left out: %s", name, error)
        return
    tracker.figure(run_id, figure, f"figures/{name}.png")
