"""Evaluating routers on a table of recorded outcomes, with or without Prefect around it."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from dataclasses import fields
from typing import TYPE_CHECKING

from flows.console import say
from flows.routing import run_async
from flows.settings import EvaluateSettings
from tasks.batch.stop import StopFlag
from tasks.evaluate.evaluate import EvaluateJob, Evaluation, evaluate

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from tasks.batch.spec import WrapChunk

EXPERIMENT = "atlas"
_FIGURES = ("macro", "micro", "cost_usd", "calls", "ece", "decisions_per_s")
"""What MLflow is told of every router and split."""

logger = logging.getLogger(__name__)


def evaluation_session(
    settings: EvaluateSettings,
    *,
    env: Mapping[str, str] | None = None,
    wrap: WrapChunk = lambda work: work,
    flow_run_id: str | None = None,
) -> Evaluation:
    """Route every held-out split through every router, and track what came of it.

    Args:
        settings: what to evaluate and how.
        env: the process's own environment by default.
        wrap: wraps the work of a chunk, in a Prefect task for example.
        flow_run_id: id of the Prefect flow run around it.

    Raises:
        RecordedTableError: the table cannot be used, or a chosen outcome was never recorded.
        EvaluationStoppedError: it was stopped by hand.
        Exception: what else `tasks.evaluate.evaluate.evaluate` raises.
    """
    stop = StopFlag(on_stop=lambda: say("Stopping: rows in flight are finished."))
    work = evaluate(
        evaluate_job(settings),
        env=os.environ if env is None else env,
        note=say if settings.progress != "never" else lambda _text: None,
        stop=stop,
        wrap=wrap,
    )
    evaluation = run_async(work)
    track(settings, evaluation, flow_run_id)
    return evaluation


def evaluate_job(settings: EvaluateSettings) -> EvaluateJob:
    """The job that the settings describe."""
    shared = {field.name for field in fields(EvaluateJob)} & set(type(settings).model_fields)
    return EvaluateJob(**{name: getattr(settings, name) for name in shared})


def track(settings: EvaluateSettings, evaluation: Evaluation, flow_run_id: str | None) -> None:
    """Log an evaluation to MLflow: settings, figures by router and split, one picture a split."""
    from tasks.tracking import open_tracker

    tracker = open_tracker(settings.mlflow_uri, settings.artifacts, enabled=settings.tracking)
    table = evaluation.table
    params = settings.public() | {
        "table_sha256": table.sha256,
        "encoder_fingerprint": evaluation.encoder_fingerprint or "",
    }
    tags = {"atlas.kind": "evaluate", "atlas.flow_run_id": flow_run_id or ""}
    run = tracker.start(EXPERIMENT, f"evaluate-{table.name}", params, tags)
    if not run:
        return
    metrics = {
        f"{split}/{router}/{name}": figures[name]
        for router, splits in evaluation.as_json().items()
        for split, figures in splits.items()
        for name in _FIGURES
        if figures[name] is not None
    }
    tracker.log(run, metrics)
    for split in table.held_out:
        figure = picture(evaluation, split)
        if figure is not None:
            tracker.figure(run, figure, f"figures/{split}.png")
    tracker.finish(run, "FINISHED")


def picture(evaluation: Evaluation, split: str) -> Figure | None:
    """Accuracy against cost of every router on a split; without costs, accuracy alone.

    Returns:
        None where it cannot be drawn; a figure is a courtesy.
    """
    from tasks.report.plots import accuracy_against_cost, router_intervals

    routers = [one for one in evaluation.facts().routers if one.split == split]
    try:
        priced = any(router.cost_usd is not None for router in routers)
        return accuracy_against_cost(routers) if priced else router_intervals(routers)
    except Exception as error:
        logger.warning("The figure of split %s could not be drawn: %s", split, error)
        return None
