"""Finding a run in the ledger, for verbs that look at one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from flows.failures import CommandError

if TYPE_CHECKING:
    from flows.settings import HomeSettings
    from warehouse.ledger import Ledger, LedgerReader, RunRecord

Name = Annotated[str, typer.Argument(help="Name of the run, as `atlas runs list` shows it.")]


def read_ledger(settings: HomeSettings) -> LedgerReader:
    """The ledger that is there, to look at.

    Raises:
        WarehouseError: there is none, or it cannot be used.
    """
    from warehouse.ledger import open_ledger

    return open_ledger(settings.root, read_only=True)


def change_ledger(settings: HomeSettings) -> Ledger:
    """The ledger that is there, to write to; one is never made by looking for it.

    Raises:
        WarehouseError: there is none, or it cannot be used.
    """
    from warehouse.ledger import open_ledger

    read_ledger(settings).close()
    return open_ledger(settings.root)


def find_run(ledger: LedgerReader, name: str) -> RunRecord:
    """The run of that name.

    Raises:
        CommandError: there is none; says which name is close.
    """
    run = ledger.run(name)
    if run is None:
        import difflib

        names = [one.run_id for one in ledger.runs()]
        close = difflib.get_close_matches(name, names, n=1)
        hint = f" Did you mean {close[0]}?" if close else ""
        raise CommandError(f"There is no run {name!r}.{hint}", "atlas runs list")
    return run


def shown_state(settings: HomeSettings, run: RunRecord) -> str:
    """The run's state; a `running` one whose process is gone was killed."""
    from warehouse.run_lock import is_live

    if run.state == "running" and not is_live(settings.root, run.run_id):
        return "killed"
    return run.state
