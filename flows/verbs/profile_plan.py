"""`atlas profile plan`: what a profiling run would do and take, before a cent is spent."""

from __future__ import annotations

import os
from contextlib import closing

from flows.console import data_json, show
from flows.settings import ProfileSettings
from flows.verbs.options import AsJson, command_line, with_settings


@with_settings(ProfileSettings, argument="questions")
def plan(settings: ProfileSettings, json: AsJson = False) -> None:
    """Price the missing, stale and invalidated cells: calls, tokens, money, time; spends nothing.

    It says of every cell why it is planned. Nothing to do is said in so many words.
    """
    from flows.profiling import profile_job, say_read
    from tasks.profiling.planning import plan_profile
    from tasks.profiling.pricing import price_plan
    from tasks.profiling.texts import plan_document
    from warehouse.ledger import open_ledger

    planned = plan_profile(profile_job(settings), env=os.environ, to_pay=False)
    say_read(settings, planned)
    with closing(open_ledger(settings.root)) as ledger:
        priced = price_plan(planned, ledger)
    if json:
        data_json(priced.as_json())
        return
    command = command_line("profile run", settings, "questions")
    document = plan_document(priced, () if priced.nothing else (command,))
    show(document, color=settings.color, to_stdout=True)
