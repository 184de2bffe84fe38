"""The flow `evaluate_routers`: routers on a table of recorded outcomes, one Prefect task a chunk.

Every router is fitted on the table's `train` rows. Then each held-out split is routed through each
router as a real backlog: staged, embedded, decided, claimed in the ledger, answered by the
recorded client, committed. The figures are read back from committed rows and become an artifact.
"""

from __future__ import annotations

from prefect import flow

from flows.evaluating import evaluation_session
from flows.orchestration import chunk_tasks, flow_run_id, publish_markdown
from flows.settings import EvaluateSettings
from tasks.evaluate.evaluate import Evaluation


@flow(
    name="evaluate-routers",
    flow_run_name="evaluate {settings.directory}",
    retries=0,
    persist_result=False,
    validate_parameters=True,
)
def evaluate_routers(settings: EvaluateSettings) -> Evaluation:
    """Evaluate routers under Prefect; see `flows.evaluating.evaluation_session` for what it raises.

    Args:
        settings: what to evaluate and how.
    """
    evaluation = evaluation_session(settings, wrap=chunk_tasks, flow_run_id=flow_run_id())
    publish_markdown("evaluation", as_markdown(evaluation), f"table {evaluation.table.name}")
    return evaluation


def as_markdown(evaluation: Evaluation) -> str:
    """The table of routers as Markdown."""
    from tasks.report.terminal import routers_table

    return f"```text\n{routers_table(evaluation.facts()).plain()}```\n"
