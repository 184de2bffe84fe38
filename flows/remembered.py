"""The settings of a run, kept beside its plan, so that `atlas runs retry` can go on with it."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

from flows.run_places import staging_folder
from flows.settings import HomeSettings

if TYPE_CHECKING:
    from flows.settings import RouteSettings

FILE = "settings.json"
_ELSEWHERE = frozenset(HomeSettings.model_fields)
"""Settings of the home belong to whoever resumes; addresses among them may hold passwords."""


def remember(settings: RouteSettings, run_id: str) -> None:
    """Write what the run was told into its staging folder.

    Raises:
        WarehouseError: the folder cannot be written.
    """
    from warehouse.commits import make_folder, published

    told = settings.model_dump(mode="json", exclude=set(_ELSEWHERE))
    places = ["backlog", "pool", *(["policy"] if "/" in (settings.policy or "") else [])]
    told |= {name: os.path.abspath(told[name]) for name in places}  # noqa: PTH100
    folder = staging_folder(settings.root, run_id)
    make_folder(folder)
    with published(folder / FILE) as temporary:
        temporary.write_text(json.dumps(told, indent=2), encoding="utf-8")


def recall(home: HomeSettings, run_id: str, **changed: Any) -> RouteSettings | None:  # noqa: ANN401
    """The settings a run was told, with the home of now; None where they were not kept.

    Args:
        home: where everything is kept.
        run_id: the run.
        changed: settings to replace.
    """
    from pydantic import ValidationError

    from flows.settings import RouteSettings

    path = staging_folder(home.root, run_id) / FILE
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        return RouteSettings(**(told | home.model_dump() | {"name": run_id} | changed))
    except (OSError, ValueError, TypeError, ValidationError):
        return None
