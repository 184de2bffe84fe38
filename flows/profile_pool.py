"""The flow `profile_pool`: every pair of a pool on labelled questions, one Prefect task a chunk.

Only cells (question × pair) that no committed outcome covers are run, exactly like a backlog:
claimed, asked, graded, committed, resumable. Then the questions of the training split are
embedded and clustered, and everything known becomes one immutable profile, shown as an artifact.
"""

from __future__ import annotations

from prefect import flow

from flows.orchestration import chunk_tasks, flow_run_id, publish_link, publish_markdown
from flows.profile_pages import page_path
from flows.profiling import ProfileOutcome, profile_session
from flows.settings import ProfileSettings


@flow(
    name="profile-pool",
    flow_run_name="profile {settings.questions}",
    retries=0,
    persist_result=False,
    validate_parameters=True,
)
def profile_pool(settings: ProfileSettings) -> ProfileOutcome:
    """Profile a pool under Prefect; see `flows.profiling.profile_session` for what it raises.

    Args:
        settings: what to profile and how.
    """
    outcome = profile_session(settings, wrap=chunk_tasks, flow_run_id=flow_run_id())
    publish_markdown("profile-report", as_markdown(outcome), f"run {outcome.run_id}")
    if outcome.profile is not None:
        page = page_path(settings.root, outcome.profile.profile_id)
        publish_link("profile-page", page, "what the profile knows, to look at")
    return outcome


def as_markdown(outcome: ProfileOutcome) -> str:
    """The profile's tables as Markdown, or how far the cells are."""
    if outcome.facts is None:
        return f"{outcome.status}: {outcome.pending:,} of {outcome.new_cells:,} cells wait\n"
    from tasks.report.profile_table import profile_table

    return f"```text\n{profile_table(outcome.facts).plain()}```\n"
