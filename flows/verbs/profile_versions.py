"""`atlas profile list|publish|diff`: the versions of a pool's knowledge."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from flows.console import data, data_json, say, show, table
from flows.failures import UsageError
from flows.verbs.options import AsJson, Config, Root, home

if TYPE_CHECKING:
    from tasks.profiling.store import ProfileVersion


def list_(root: Root = None, config: Config = None, json: AsJson = False) -> None:
    """List every profile version, newest first: who promoted it, when and why."""
    from tasks.profiling.store import history, profile_versions

    settings = home(root, config)
    versions = profile_versions(settings.root)
    if json:
        entries = [entry._asdict() for entry in history(settings.root)]
        data_json(
            {
                "versions": [version._asdict() | _entry(version) for version in versions],
                "history": entries,
            }
        )
        return
    if not versions:
        say(f"no profile under {settings.root} yet; next: atlas profile run QUESTIONS")
        return
    headers = ["version", "fitted", "pairs", "in use", "last event", "by", "why"]
    table(headers, [_row(version) for version in versions], data)


def _entry(version: ProfileVersion) -> dict[str, object]:
    return {"entry": None if version.entry is None else version.entry._asdict()}


def _row(version: ProfileVersion) -> list[str]:
    made, entry = version.created_at, version.entry
    fitted = "damaged" if made is None else f"{made:%Y-%m-%d %H:%M}"
    told = ["", "", ""]
    if entry is not None:
        event = "promoted" if entry.event == "latest" else "saved"
        told = [f"{event} {entry.at:%Y-%m-%d %H:%M}", entry.by, entry.reason]
    use = "latest" if version.latest else ""
    return [version.profile_id, fitted, str(version.pairs), use, *told]


def publish(
    name: Annotated[str, typer.Argument(help="Id of a profile.")],
    reason: Annotated[str, typer.Option(help="Why; kept in the history of versions.")],
    root: Root = None,
    config: Config = None,
    json: AsJson = False,
) -> None:
    """Make a version the one that routing uses: a promotion, or a rollback. Spends nothing."""
    from tasks.profiling.store import find_profile, latest_id, set_latest

    settings = home(root, config)
    if not reason.strip():
        raise UsageError("--reason must say why: whoever reads the history will want to know")
    if name == "latest":
        raise UsageError("name the version by its id: `latest` is what is in use already")
    # A damaged version must not come into use.
    find_profile(settings.root, name)
    before = latest_id(settings.root)
    entry = set_latest(settings.root, name, reason.strip())
    if json:
        data_json({"profile_id": name, "previous": before, "moved": entry is not None})
    if entry is None:
        say(f"{name} is in use already: nothing was changed")
    else:
        say(f"{name} is in use now" + (f"; before: {before}" if before else ""))


def diff(
    before: Annotated[str, typer.Argument(metavar="A", help="Id of the earlier version.")],
    after: Annotated[str, typer.Argument(metavar="B", help="Id of the later version.")] = "latest",
    root: Root = None,
    config: Config = None,
    json: AsJson = False,
) -> None:
    """Say what changed between two versions: winners, accuracy and cost, cells, prices."""
    from tasks.profiling.diff import diff_profiles
    from tasks.profiling.store import find_profile
    from tasks.profiling.texts import diff_document

    settings = home(root, config)
    found = [find_profile(settings.root, name) for name in (before, after)]
    made = diff_profiles(found[0], found[1], settings.root)
    if json:
        data_json(made.as_json())
    else:
        show(diff_document(made), to_stdout=True)
