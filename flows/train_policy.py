"""The flow `train_policy`: a multi-step policy from the recorded answers behind a profile.

Everything is computed in this process on recorded outcomes: no pair is called and nothing is paid.
The card of the policy becomes an artifact; the same flow with the same settings goes on with a
training that was killed, and does nothing where it is finished.
"""

from __future__ import annotations

from prefect import flow

from flows.orchestration import publish_markdown
from flows.settings import TrainSettings
from flows.training import TrainOutcome, train_session


@flow(
    name="train-policy",
    flow_run_name="train on {settings.profile}",
    retries=0,
    persist_result=False,
    validate_parameters=True,
)
def train_policy(settings: TrainSettings) -> TrainOutcome:
    """Train under Prefect; see `flows.training.train_session` for what it raises.

    Args:
        settings: what to learn from and how.
    """
    outcome = train_session(settings)
    publish_markdown("policy", as_markdown(outcome), f"version {outcome.version.version}")
    return outcome


def as_markdown(outcome: TrainOutcome) -> str:
    """The policy's card as Markdown."""
    from tasks.report.policy_text import card_document

    return f"```text\n{card_document(outcome.card, 'policy').plain()}```\n"
