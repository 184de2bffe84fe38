"""The flow `refresh_nightly`: a pool's knowledge made fresh, every night, by one deployment.

Cells that are missing or stale, canaries, drift, fit, gate, promotion and one page that says what
changed: see `flows.refreshing`. Chunks of cells and canaries are Prefect tasks; what is done lives
in the ledger, so that a worker that was killed is followed by one that goes on.
"""

from __future__ import annotations

from prefect import flow

from flows.endings import scheduled_ending
from flows.orchestration import chunk_tasks, flow_run_id, publish_link, publish_markdown
from flows.profile_pages import page_path
from flows.refresh_outcome import RefreshOutcome
from flows.refresh_report import refresh_text
from flows.refreshing import refresh_session
from flows.settings import RefreshSettings


@flow(
    name="refresh-nightly",
    flow_run_name="refresh {settings.questions}",
    retries=0,
    persist_result=False,
    validate_parameters=True,
)
def refresh_nightly(settings: RefreshSettings) -> RefreshOutcome:
    """Refresh under Prefect; see `flows.refreshing.refresh_session` for what it raises.

    Args:
        settings: what to refresh and how.
    """
    outcome = refresh_session(settings, wrap=chunk_tasks, flow_run_id=flow_run_id())
    text = f"```text\n{refresh_text(outcome)}```\n"
    publish_markdown("refresh-report", text, f"run {outcome.run_id}")
    if outcome.profile_id is not None:
        page = page_path(settings.root, outcome.profile_id)
        publish_link("profile-page", page, "what changed, to look at")
    scheduled_ending(
        outcome,
        unit="cells",
        max_cost_usd=settings.max_cost_usd,
        fail_on_error=settings.fail_on_error,
        then=f"atlas runs show {outcome.run_id}",
    )
    return outcome
