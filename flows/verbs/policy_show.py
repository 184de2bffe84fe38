"""`atlas policy show`: what a policy was trained on, and what it is worth."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from flows.console import data_json, show
from flows.settings import HomeSettings
from flows.verbs.options import AsJson, with_settings
from flows.verbs.policy_list import version_json

if TYPE_CHECKING:
    from tasks.registry.registry import PolicyRegistry
    from tasks.registry.versions import PolicyVersion

_TOLD = {"gate": "gate", "gate_reason": "", "promoted_at": "promoted", "promoted_reason": ""}
"""Tags of a version that are shown, with their labels."""


@with_settings(HomeSettings)
def show_(
    settings: HomeSettings,
    reference: Annotated[
        str | None,
        typer.Argument(
            metavar="POLICY",
            help="champion, challenger, a version's number, or an id; else the champion, or the "
            "newest without one.",
        ),
    ] = None,
    json: AsJson = False,
) -> None:
    """Show a policy: what it learnt from, what it does at each price, its held-out table."""
    from tasks.registry.registry import PolicyRegistry
    from tasks.report.policy_text import card_document

    registry = PolicyRegistry(settings.mlflow_uri, settings.artifacts)
    version = _version(registry, reference)
    card = registry.card(version, settings.root)
    if json:
        data_json(version_json(version) | {"card": card})
        return
    head = [("used as", ", ".join(version.aliases) or "nothing")]
    head += [(label, version.tags[tag]) for tag, label in _TOLD.items() if version.tags.get(tag)]
    document = card_document(card, f"{version.name}, version {version.version}", head)
    show(document, color=settings.color, to_stdout=True)


def _version(registry: PolicyRegistry, reference: str | None) -> PolicyVersion:
    """The version named, else the champion, else the newest.

    Raises:
        PolicyNotFoundError: there is none.
    """
    from tasks.registry.versions import CHAMPION

    if reference is not None:
        return registry.resolve(reference)
    versions = registry.versions()
    champion = [one for one in versions if CHAMPION in one.aliases]
    if not versions:
        return registry.resolve(CHAMPION)  # which says what to do
    return (champion or versions)[-1]
