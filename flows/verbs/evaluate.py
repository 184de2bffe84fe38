"""`atlas evaluate`: routers compared on a table of recorded outcomes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flows.console import data_json, say, show
from flows.failures import INTERRUPTED, CommandError, UsageError
from flows.settings import EvaluateSettings, HomeSettings, flag_name
from flows.verbs.options import AsJson, with_settings

if TYPE_CHECKING:
    from tasks.evaluate.evaluate import Evaluation

app = typer.Typer(rich_markup_mode=None, add_completion=False)

Figure = Annotated[
    Path | None,
    typer.Option("--figure", metavar="FILE", help="Draw split test into this PNG file."),
]


@app.command()
@with_settings(EvaluateSettings, argument="directory")
def evaluate(settings: EvaluateSettings, json: AsJson = False, figure: Figure = None) -> None:
    """Compare routers on recorded outcomes; every figure comes from a really routed backlog.

    DIRECTORY holds queries.parquet and outcomes.parquet. Routers are fitted on split train and
    route test and ood. Routers: auto[@K], predictor[@K], cluster[@K], random, best-single,
    dataset-best, oracle, cheapest, fixed:PAIR, knn[:k], cluster-plain[+ADDITION...][@K] with
    additions shrink, nmin, ood, kmeans, raw, per_cluster.

    Multi-step routers, fitted on the recorded answers of split train: majority, cascade, policy,
    policy-ppo, hybrid. --max-calls 2 or --max-cost-per-query 0.001 is the budget, a mean over
    questions, at which their price is chosen on train; without one a call of the dearest pair must
    earn one point of accuracy. calls and cost_usd are what was realised.

    --cells 0.25 learns from that share of the training cells, --leave-out DATASET from no row of
    a dataset, which is then scored whole as split left_out; both change what is learnt alone.

    --off-policy values routers on the decisions of a run, or of every run of a warehouse folder,
    whose questions are labelled and were routed with --explore: what each would have come to, by
    IPS, SNIPS, DR and switch-DR. See docs/off-policy.md.

    --json gives {router: {split: figures}}: scores in [0, 1] with 95 % intervals, cost in dollars
    a question, ece the calibration error of expected scores. random is the exact expectation of a
    uniform draw; the routed draw stands beside it as micro_realised. auto says what it resolved to.

    Exit codes: 0 done, 1 error, 2 usage, 130 stopped by hand.
    """
    if settings.off_policy:
        off_policy(settings, json=json, figure=figure)
        return
    if settings.profile is not None:
        # Not an error: ATLAS_PROFILE may be set for other verbs.
        say("note: --profile counts with --off-policy alone; here routers are fitted anew")
    from tasks.evaluate.backlog import EvaluationStoppedError
    from tasks.report.terminal import routers_table

    try:
        evaluation = run_evaluation(settings)
    except EvaluationStoppedError as stopped:
        say(str(stopped))
        raise typer.Exit(INTERRUPTED) from None
    if json:
        data_json(evaluation.as_json())
    else:
        show(routers_table(evaluation.facts()), color=settings.color, to_stdout=True)
    if figure is not None:
        draw(evaluation, figure)


def run_evaluation(settings: EvaluateSettings) -> Evaluation:
    """Evaluate with the runner that the settings name.

    Raises:
        RouterNameError: before anything is started.
    """
    from tasks.evaluate.router_names import read_routers

    read_routers(settings.routers)
    if settings.runner == "plain":
        from flows.evaluating import evaluation_session

        return evaluation_session(settings)
    from flows.orchestration import announce_server

    announce_server()
    from flows.evaluate_routers import evaluate_routers

    return evaluate_routers(settings)


_OFF_POLICY = {
    "directory", "off_policy", "profile", "routers", "alpha", "seed", "encoder", "encoder_dtype",
}  # fmt: skip
"""Settings that mean something with --off-policy, beside those of every command."""


def off_policy(settings: EvaluateSettings, *, json: bool, figure: Path | None) -> None:
    """Value routers on the decisions of routed runs, and show what was found.

    What is set and means nothing here is said and passed over: it may come from the environment.

    Raises:
        UsageError: a figure is asked for.
        Exception: what `tasks.off_policy.evaluate.evaluate` raises.
    """
    from tasks.off_policy.evaluate import DEFAULT_TARGETS, OffPolicyJob, evaluate
    from tasks.off_policy.table import off_policy_table

    alien = settings.model_fields_set - _OFF_POLICY - set(HomeSettings.model_fields)
    if alien:
        named = ", ".join(flag_name(name) for name in sorted(alien))
        say(f"note: nothing is made of {named} with --off-policy")
    if figure is not None:
        raise UsageError("There is no --figure of --off-policy: leave it out.")
    chosen = settings.routers if "routers" in settings.model_fields_set else DEFAULT_TARGETS
    found = evaluate(
        OffPolicyJob(
            source=str(settings.directory),
            root=settings.root,
            routers=chosen,
            alpha=settings.alpha,
            profile=settings.profile,
            encoder=settings.encoder,
            encoder_dtype=settings.encoder_dtype,
            seed=settings.seed,
        ),
        note=say if settings.progress != "never" else lambda _text: None,
    )
    if json:
        data_json(found.as_json())
    else:
        show(off_policy_table(found), color=settings.color, to_stdout=True)


def draw(evaluation: Evaluation, path: Path) -> None:
    """Write the picture of split test.

    Raises:
        CommandError: it cannot be drawn or written.
    """
    from flows.evaluating import picture
    from tasks.report.canvas import png

    made = picture(evaluation, "test")
    if made is None:
        raise CommandError("The figure could not be drawn; the warning above says why.")
    try:
        path.write_bytes(png(made))
    except OSError as error:
        raise CommandError(f"The figure {path} cannot be written: {error.strerror}.") from error
    say(f"figure: {path}")
