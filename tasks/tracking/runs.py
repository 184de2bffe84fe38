"""What a profile and a routed backlog leave in MLflow."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.report import plots
from tasks.report.selection_table import selection_metrics
from tasks.tracking.tracker import run_status

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from tasks.report.facts import ProfileFacts, RouteFacts
    from tasks.report.profile_page_facts import ProfilePage
    from tasks.tracking.base import Tracking

logger = logging.getLogger(__name__)

EXPERIMENT = "atlas"
"""One experiment for all kinds of run, so that MLflow compares them side by side."""

_CELL_FIELDS = {
    "accuracy": "score_mean",
    "accuracy_shrunk": "score_shrunk",
    "n": "n_scored",
    "cost_usd": "cost_mean_usd",
}


def log_profile(
    tracker: Tracking,
    facts: ProfileFacts,
    *,
    run_id: str | None = None,
    files: Sequence[Path] = (),
    page: ProfilePage | None = None,
) -> str:
    """Log a published profile: params, metrics by cluster and pair, pictures, page, files.

    Args:
        tracker: where to.
        facts: the profile with its parameters.
        run_id: the run begun earlier, to go on with it.
        files: files or folders to keep with the run.
        page: what its page shows; the page and its pictures are kept with the run.

    Returns:
        The run's id, empty if nothing is tracked.
    """
    profile = facts.profile
    params: dict[str, object] = {
        "profile_id": profile.profile_id,
        "pool": facts.pool_name,
        "pool_fingerprint": profile.pool_fingerprint,
        "encoder": profile.encoder_fingerprint,
        "source": facts.source,
        "clusters": profile.k,
        "pairs": len(profile.pairs),
        **(facts.parameters or {}),
    }
    tags = {"atlas.kind": "profile", "atlas.profile_id": profile.profile_id}
    run = tracker.start(EXPERIMENT, profile.profile_id, params, tags, run_id=run_id)
    tracker.log(run, dict(profile_metrics(facts)))
    _figure(tracker, run, "accuracy", lambda: plots.accuracy_heatmap(profile))
    if page is not None:
        log_page(tracker, run, page)
    for path in files:
        tracker.artifact(run, path)
    tracker.finish(run, "FINISHED")
    return run


def log_page(tracker: Tracking, run_id: str, page: ProfilePage) -> None:
    """Keep a page and its pictures with a run; nothing where nothing is tracked."""
    if run_id:
        for name, text in page_files(page):
            tracker.text(run_id, text, name)


def page_files(page: ProfilePage) -> Iterator[tuple[str, str]]:
    """The page and each of its pictures as a file of its own: (name, text)."""
    from tasks.report.profile_page import draw_profile_page, page_pictures

    yield "profile.html", draw_profile_page(page)
    for name, drawn in page_pictures(page):
        yield f"figures/{name}.svg", drawn


def profile_metrics(facts: ProfileFacts) -> Iterator[tuple[str, float]]:
    """Figures over all questions first, then by cluster; unknown ones are NaN and left out."""
    profile = facts.profile
    yield "questions", float(profile.clusters.sizes.sum())
    yield "outcomes", float(profile.statistics.n[-1].sum())
    yield "unscored", float((profile.statistics.n[-1] - profile.statistics.n_scored[-1]).sum())
    if facts.spent_usd is not None:
        yield "cost_usd", float(facts.spent_usd)
    for row in (profile.k, *range(profile.k)):
        where = "all" if row == profile.k else f"cluster {row:02d}"
        for metric, field in _CELL_FIELDS.items():
            values = getattr(profile.statistics, field)[row]
            for pair, value in zip(profile.pairs, values, strict=True):
                yield f"{metric}/{where}/{pair.pair_id}", float(value)
    yield from selection_metrics(profile)


def log_route(
    tracker: Tracking,
    facts: RouteFacts,
    *,
    run_id: str | None = None,
    params: Mapping[str, object] | None = None,
    files: Sequence[Path] = (),
) -> str:
    """Log how a batch run ended; a resumed one goes on in the MLflow run it began.

    Args:
        tracker: where to.
        facts: how the run stands.
        run_id: the MLflow run that an earlier session began.
        params: settings of the run.
        files: files or folders to keep with it.

    Returns:
        The run's id, empty if nothing is tracked.
    """
    described = {"router": facts.router, "source": facts.source, **(params or {})}
    tags = {"atlas.kind": "route", "atlas.run_id": facts.run_id, "atlas.state": facts.state}
    run = tracker.start(EXPERIMENT, facts.run_id, described, tags, run_id=run_id)
    tracker.log(run, dict(route_metrics(facts)))
    if facts.pairs:
        _figure(tracker, run, "pairs", lambda: plots.pair_shares(facts))
    if facts.spend:
        _figure(tracker, run, "spend", lambda: plots.spend_over_time(facts))
    for path in files:
        tracker.artifact(run, path)
    tracker.finish(run, run_status(facts.state))
    return run


def route_metrics(facts: RouteFacts) -> Iterator[tuple[str, float]]:
    """Rows, money, tokens, time and accuracy, in all and by pair; unknown ones are left out."""
    for name in ("rows", "answered", "failed", "pending", "in_doubt", "cached", "bad_rows"):
        yield name, float(getattr(facts, name))
    yield "cost_usd", float(facts.spent_usd)
    yield "elapsed_s", facts.elapsed_s
    for name in ("input_tokens", "cached_tokens", "output_tokens"):
        if (tokens := getattr(facts, name)) is not None:
            yield name, float(tokens)
    if facts.steps is not None:
        yield "calls_per_question", facts.steps.calls
        if facts.steps.confidence is not None:
            yield "mean_confidence", facts.steps.confidence
    if facts.session_rows and facts.elapsed_s > 0:
        yield "rows_per_s", facts.session_rows / facts.elapsed_s
    graded = sum(pair.graded for pair in facts.pairs if pair.accuracy is not None)
    if graded:
        sums = (pair.graded * pair.accuracy for pair in facts.pairs if pair.accuracy is not None)
        yield "graded", float(graded)
        yield "accuracy", sum(sums) / graded
    for pair in facts.pairs:
        yield f"rows/{pair.pair_id}", float(pair.rows)
        if pair.accuracy is not None:
            yield f"accuracy/{pair.pair_id}", pair.accuracy
        if pair.cost_usd is not None:
            yield f"cost_usd/{pair.pair_id}", float(pair.cost_usd)


def _figure(tracker: Tracking, run: str, name: str, draw: Callable[[], Figure]) -> None:
    """Draw and keep a figure; one that cannot be drawn is said and left out."""
    if not run:
        return
    try:
        figure = draw()
    except Exception as error:
        logger.warning("The figure %r could not be drawn and is left out: %s", name, error)
        return
    tracker.figure(run, figure, f"figures/{name}.png")
