"""The flow `route_backlog`: a backlog through a router, one Prefect task a chunk.

The backlog is read, checked, deduplicated and cut into chunks before anything is paid. Chunk by
chunk its questions are embedded, decided, claimed in the ledger, asked, graded and committed; a
chunk is one task, and inside it everything is asyncio. The final report becomes an artifact. The
same flow with the same settings resumes what an earlier one left.
"""

from __future__ import annotations

from prefect import flow

from flows.endings import scheduled_ending
from flows.orchestration import chunk_tasks, flow_run_id, publish_markdown
from flows.routing import RouteReport, route_session
from flows.settings import RouteSettings


@flow(
    name="route-backlog",
    flow_run_name="route {settings.backlog}",
    retries=0,
    persist_result=False,
    validate_parameters=True,
)
def route_backlog(settings: RouteSettings) -> RouteReport:
    """Route a backlog under Prefect; see `flows.routing.route_session` for what it raises.

    Args:
        settings: what to route and how.
    """
    report = route_session(settings, wrap=chunk_tasks, flow_run_id=flow_run_id())
    publish_markdown("route-report", as_markdown(report), f"run {report.run_id}: {report.status}")
    scheduled_ending(
        report,
        unit="rows",
        max_cost_usd=settings.max_cost_usd,
        fail_on_error=settings.fail_on_error,
        then=f"atlas runs retry {report.run_id}",
    )
    return report


def as_markdown(report: RouteReport) -> str:
    """The final panel as Markdown."""
    from tasks.report.terminal import route_panel

    return f"```text\n{route_panel(report.facts).plain()}```\n"
