"""How scheduled runs end: a failure nobody would read as an exit code is a failed flow run."""

from types import SimpleNamespace

import pytest

from flows.endings import scheduled_ending
from flows.failures import CommandError


def session(**changed):
    values = {"status": "complete", "pending": 0, "failed_share": 0.5, "fatal": {}}
    return SimpleNamespace(**(values | changed))


def ends(ended):
    scheduled_ending(
        ended, unit="rows", max_cost_usd=None, fail_on_error=0.1, then="atlas runs retry run-1"
    )


@pytest.fixture
def deployed(monkeypatch):
    monkeypatch.setattr("flows.orchestration.of_a_deployment", lambda: True)


def test_too_many_failed_rows_fail_the_flow_run_of_a_deployment(deployed):
    with pytest.raises(
        CommandError, match="50% of the rows failed, more than the 10% allowed"
    ) as e:
        ends(session())

    assert e.value.then == "atlas runs retry run-1"


@pytest.mark.parametrize(
    "changed",
    [{"failed_share": 0.1}, {"status": "paused_budget"}, {"status": "cancelled"}],
    ids=["as many as allowed", "budget", "by hand"],
)
def test_what_goes_on_by_itself_is_no_failure(deployed, changed):
    assert ends(session(**changed)) is None


def test_closed_providers_fail_it(deployed):
    with pytest.raises(CommandError, match="No provider can go on"):
        ends(session(status="failed", fatal={"model": "unpaid"}))


def test_at_a_terminal_nothing_is_raised_for_it(monkeypatch):
    monkeypatch.setattr("flows.orchestration.of_a_deployment", lambda: False)

    assert ends(session()) is None
