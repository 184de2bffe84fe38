"""Progress of one session, which counts what earlier sessions of the run spent."""

from __future__ import annotations

import os
import sys
from contextlib import closing
from decimal import Decimal

from flows.settings import HomeSettings
from tasks.report.progress import Progress
from warehouse.ledger import open_ledger


class SessionProgress(Progress):
    """Progress as the settings want it shown.

    Args:
        settings: how to show it, and where the ledger is.
        run_id: the run.
        unit: what its rows are called.
    """

    def __init__(self, settings: HomeSettings, run_id: str, unit: str = "rows") -> None:
        stream, live = sys.stderr, None if settings.progress == "auto" else False
        if settings.progress == "never":
            stream = open(os.devnull, "w")  # noqa: SIM115, PTH123 - lives as long as the process
        color = None if settings.color == "auto" else settings.color == "always"
        super().__init__(stream=stream, live=live, color=color, unit=unit)
        self._root, self._run_id = settings.root, run_id

    def start(
        self,
        total: int,
        already_done: int,
        max_cost: Decimal | None,
        already_spent: Decimal | None = None,
    ) -> None:
        """Begin a session; see `Progress.start`. What was spent is looked up if it is not given."""
        if already_spent is None:
            with closing(open_ledger(self._root)) as ledger:
                already_spent = ledger.spend(self._run_id).total_usd
        super().start(total, already_done, max_cost, already_spent)
