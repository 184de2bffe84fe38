"""The whole of ATLAS once over, on an embedded pool: no key, no network, some minutes.

Seven steps, each of them a command that a user can type: write an example, profile every pair,
compare routers on held-out questions, price and route the backlog, draw the report, train a
multi-step policy and put it to the gate, route a part of the backlog with it. Everything is kept,
so doing it again takes up what is there and repeats nothing.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from flows.console import say, show
from flows.settings import (
    EvaluateSettings,
    HomeSettings,
    ProfileSettings,
    PromoteSettings,
    RouteSettings,
    TrainSettings,
)

if TYPE_CHECKING:
    from flows.profiling import ProfileOutcome
    from flows.routing import RouteReport
    from tasks.evaluate.evaluate import Evaluation

ROUTERS = ("random", "best-single", "dataset-best", "cluster", "auto", "oracle")
BUDGET_USD = Decimal(10)
POLICY_ROWS = 300
"""Questions of the backlog that the policy routes."""
PRICE = 0.05
"""What money is worth to the policy: a call of the dearest pair must earn five points."""
DEMO_CLUSTERS = 8
"""Given, not chosen: what the demo shows should not depend on how K is chosen."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class DemoSettings:
    """What the demo does.

    Attributes:
        home: where everything is kept; its `runner` decides whether Prefect is around it.
        folder: where the example goes.
        labelled: labelled questions, all pairs are asked all of them.
        backlog: questions to route.
    """

    home: HomeSettings
    folder: Path
    labelled: int
    backlog: int
    seed: int


class DemoFailedError(Exception):
    """A step of the demo did not come to its end; what it did is kept."""


def demo(settings: DemoSettings) -> None:
    """Run the seven steps, saying before each what it does and after it how long it took.

    Raises:
        DemoFailedError: profiling or routing stopped early; the same command goes on.
    """
    began = time.monotonic()
    steps = _Steps()
    steps("writing an example: pool, labelled questions, backlog, search corpus", _init, settings)
    profile = steps("profiling: every pair on every labelled question", _profile, settings)
    evaluation = steps(
        "comparing routers on the held-out questions, each routed as a backlog", _evaluate, settings
    )
    _show_evaluation(evaluation, settings)
    report = steps(f"routing {settings.backlog:,} new questions", _route, settings, profile)
    page = steps("drawing the report", _page, settings, report)
    reference = steps(
        "training a multi-step policy on the recorded answers, and putting it to the gate",
        _train, settings, profile,
    )  # fmt: skip
    several = steps(
        f"routing {POLICY_ROWS} of the questions with it", _route_several, settings, reference
    )
    _show_end(settings, (report, several), page, time.monotonic() - began)


class _Steps:
    """Numbers the steps and times them."""

    def __init__(self) -> None:
        self._number = 0

    def __call__(self, what: str, step: Callable[..., T], *arguments: object) -> T:
        self._number += 1
        say(f"[{self._number}/7] {what}")
        began = time.monotonic()
        result = step(*arguments)
        say(f"[{self._number}/7] done in {time.monotonic() - began:.0f} s")
        return result


def _init(settings: DemoSettings) -> None:
    from tasks.generate.benchmark import write_benchmark

    if (settings.folder / "backlog.jsonl").exists():
        say(f"{settings.folder} is there already and is taken as it is")
        return
    write_benchmark(
        settings.folder,
        seed=settings.seed,
        labelled=settings.labelled,
        backlog=settings.backlog,
    )


def _profile_settings(settings: DemoSettings) -> ProfileSettings:
    return ProfileSettings(
        **settings.home.model_dump(),
        questions=str(settings.folder / "labelled.parquet"),
        pool=settings.folder / "pool.yaml",
        clusters=DEMO_CLUSTERS,
    )


def _profile(settings: DemoSettings) -> ProfileOutcome:
    from flows.verbs.profile_run import run_profile_session

    outcome = run_profile_session(_profile_settings(settings))
    if outcome.profile is None:
        raise DemoFailedError(f"Profiling ended {outcome.status}; `atlas demo` takes it up again.")
    return outcome


def _evaluate(settings: DemoSettings) -> Evaluation:
    from flows.profiling import profile_job
    from flows.verbs.evaluate import run_evaluation
    from tasks.evaluate.exporting import export_table
    from tasks.profiling.profile import plan_profile

    planned = plan_profile(profile_job(_profile_settings(settings)), env=os.environ)
    table = settings.folder / "outcomes"
    export_table(planned, table)
    return run_evaluation(
        EvaluateSettings(**settings.home.model_dump(), directory=table, routers=ROUTERS)
    )


def _show_evaluation(evaluation: Evaluation, settings: DemoSettings) -> None:
    from tasks.report.terminal import routers_table

    show(routers_table(evaluation.facts()), color=settings.home.color, to_stdout=True)


def _route(settings: DemoSettings, profile: ProfileOutcome) -> RouteReport:
    from flows.verbs.plan import show_plan
    from flows.verbs.route import run_route

    assert profile.profile is not None
    route = RouteSettings(
        **settings.home.model_dump(),
        backlog=str(settings.folder / "backlog.jsonl"),
        pool=settings.folder / "pool.yaml",
        profile=profile.profile.profile_id,
        max_cost_usd=BUDGET_USD,
        name="demo",
    )
    show_plan(route)
    report = run_route(route)
    if report.status != "complete":
        raise DemoFailedError(f"Routing ended {report.status}; `atlas demo` takes it up again.")
    return report


def _page(settings: DemoSettings, report: RouteReport) -> Path:
    from flows.verbs.report import write_page
    from flows.verbs.run_lookup import find_run, read_ledger

    page = settings.folder / "report.html"
    with closing(read_ledger(settings.home)) as ledger:
        run = find_run(ledger, report.run_id)
    write_page(page, report.facts, settings.home.root, run.profile_id)
    return page


def _train(settings: DemoSettings, profile: ProfileOutcome) -> str:
    """Train, judge, and return what to route with: the champion, else the challenger."""
    from flows.promote_policy import promote_policy
    from flows.verbs.train import run_training_session
    from tasks.registry.versions import CHAMPION
    from tasks.report.policy_text import held_out_document

    assert profile.profile is not None
    home = settings.home.model_dump()
    # A small training: seconds, where the defaults take half a minute.
    trained = run_training_session(
        TrainSettings(**home, profile=profile.profile.profile_id, epochs=12, folds=2, max_calls=3)
    )
    show(held_out_document(trained.card), color=settings.home.color, to_stdout=True)
    number = str(trained.version.version)
    promotion = promote_policy(PromoteSettings(**home, price=PRICE), number)
    if promotion.compared is not None:
        for reason in promotion.compared.decision.reasons:
            say(f"gate: {reason}")
    say(f"gate: {promotion.sentence}")
    return number if promotion.refused else CHAMPION


def _route_several(settings: DemoSettings, reference: str) -> RouteReport:
    from flows.verbs.route import run_route

    report = run_route(
        RouteSettings(
            **settings.home.model_dump(),
            backlog=str(settings.folder / "backlog.jsonl"),
            pool=settings.folder / "pool.yaml",
            policy=reference,
            price=PRICE,
            limit=POLICY_ROWS,
            max_cost_usd=BUDGET_USD,
            name="demo-policy",
        )
    )
    if report.status != "complete":
        raise DemoFailedError(f"Routing ended {report.status}; `atlas demo` takes it up again.")
    return report


def _show_end(
    settings: DemoSettings, reports: tuple[RouteReport, RouteReport], page: Path, seconds: float
) -> None:
    from tasks.report.terminal import route_panel

    report, several = reports
    for each in (report, several):
        show(route_panel(each.facts), color=settings.home.color, to_stdout=True)
    say(f"the demo took {seconds:.0f} s; what to look at now:")
    say(f"  {page}   the report as a page")
    say(f"  {report.answers_path}   the answers as Parquet")
    say("  make ui   the profile and the route in MLflow, side by side")
    say(f"  atlas runs export {report.run_id} --format csv --out answers.csv")
    say("  atlas runs show demo · atlas profile show · atlas policy show · atlas tables")
