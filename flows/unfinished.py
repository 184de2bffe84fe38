"""Saying, before a new run of a backlog begins, that an earlier one is not finished.

A run without a name is found again by what it was told. Where the file or a setting changed since,
the same command begins another run, which pays for every row; whoever meant to go on should know.
"""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from flows.console import say
from tasks.batch.opening import differences
from tasks.report.formats import clean, dollars
from warehouse.ledger import open_ledger

if TYPE_CHECKING:
    from flows.settings import RouteSettings
    from tasks.route import Prepared
    from warehouse.ledger import LedgerReader, RunRecord


def say_unfinished(settings: RouteSettings, prepared: Prepared) -> None:
    """Name the newest run of the same file that paid for something and did not end.

    Silent where the run has a name of its own or goes on with what it began. Call it once the
    ledger was opened to write, which brings it up to date.

    Raises:
        WarehouseError: the ledger cannot be read.
    """
    if settings.name:
        return
    with closing(open_ledger(settings.root, read_only=True)) as ledger:
        runs = ledger.runs()
        if any(run.run_id == prepared.run_id for run in runs):
            return
        for run in runs:
            if _is_unfinished(run, settings.backlog):
                sentence = _sentence(ledger, run, prepared)
                if sentence:
                    say(f"note: {sentence}")
                    return


def _is_unfinished(run: RunRecord, backlog: str) -> bool:
    if run.kind != "route" or run.state == "complete":
        return False
    return Path(run.input_path).resolve() == Path(backlog).resolve()


def _sentence(ledger: LedgerReader, run: RunRecord, prepared: Prepared) -> str:
    paid = ledger.spend(run.run_id).total_usd
    answered = ledger.counts(run.run_id).answered
    if not paid and not answered:
        return ""
    changed = "; ".join(differences(json.loads(run.config_json), prepared.identity))
    return (
        f"run {run.run_id} of the same file is not finished: {answered:,} of {run.unique_rows:,} "
        f"rows answered, {dollars(paid)} paid. This is another run, which asks and pays for every "
        f"row, because there changed: {clean(changed)}. To go on with the earlier one, put that "
        "back and repeat its command."
    )
