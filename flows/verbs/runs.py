"""`atlas runs`: list, show, retry, cancel and export batch runs."""

from __future__ import annotations

import json as json_module
from contextlib import closing
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flows.console import data, data_json, say, table
from flows.verbs.options import AsJson, Config, Root, home
from flows.verbs.run_changes import cancel, export, retry
from flows.verbs.run_lookup import Name, find_run, read_ledger, shown_state

if TYPE_CHECKING:
    from flows.settings import HomeSettings
    from tasks.report.facts import Steps
    from warehouse.ledger import LedgerReader, RunRecord

app = typer.Typer(
    rich_markup_mode=None,
    add_completion=False,
    no_args_is_help=True,
    help="List, show, retry, cancel and export batch runs.",
)


@app.command("list")
def list_(root: Root = None, config: Config = None, json: AsJson = False) -> None:
    """List all runs, newest first."""
    settings = home(root, config)
    with closing(read_ledger(settings)) as ledger:
        rows = [_listed(settings, ledger, run) for run in ledger.runs()]
    if json:
        data_json(rows)
        return
    headers = ["run", "kind", "state", "started", "rows", "answered", "failed", "spent"]
    table(
        headers,
        [
            [
                row["run_id"],
                row["kind"],
                row["state"],
                f"{row['started_at']:%Y-%m-%d %H:%M}",
                f"{row['rows']:,}",
                f"{row['answered']:,}",
                f"{row['failed']:,}",
                f"${row['spent_usd']:.4f}",
            ]
            for row in rows
        ],
    )


def _listed(settings: HomeSettings, ledger: LedgerReader, run: RunRecord) -> dict[str, Any]:
    counts = ledger.counts(run.run_id)
    return {
        "run_id": run.run_id,
        "kind": run.kind,
        "state": shown_state(settings, run),
        "started_at": run.started_at,
        "ended_at": run.ended_at,
        "rows": run.rows,
        "answered": counts.answered,
        "failed": counts.failed,
        "spent_usd": ledger.spend(run.run_id).total_usd,
    }


@app.command("show")
def show(
    name: Name,
    in_doubt: Annotated[
        bool, typer.Option("--in-doubt", help="List the requests of unknown fate instead.")
    ] = False,
    root: Root = None,
    config: Config = None,
    json: AsJson = False,
) -> None:
    """Show a run: its state, counts, money, settings and files; or its requests in doubt."""
    settings = home(root, config)
    with closing(read_ledger(settings)) as ledger:
        run = find_run(ledger, name)
        if in_doubt:
            _show_doubts(ledger, run, json=json)
            return
        shown = _shown(settings, ledger, run)
    if json:
        data_json(shown)
        return
    for key, value in shown.items():
        if isinstance(value, dict):
            data(f"{key}:")
            for inner, figure in value.items():
                data(f"  {inner}: {_plain(figure)}")
        else:
            data(f"{key}: {_plain(value)}")


def _shown(settings: HomeSettings, ledger: LedgerReader, run: RunRecord) -> dict[str, Any]:
    from flows.run_places import dead_letters
    from tasks.report.run_steps import steps_of

    counts, spend = ledger.counts(run.run_id), ledger.spend(run.run_id)
    states = [state for state, _, _ in ledger.chunk_states(run.run_id).values()]
    steps = steps_of(settings.root, ledger, run.run_id)
    files: dict[str, str] = {}
    for record in ledger.commits(run_id=run.run_id):
        files.setdefault(record.table, str(Path(record.path).parent))
    letters = dead_letters(settings.root, run)
    return {
        "run": run.run_id,
        "kind": run.kind,
        "state": shown_state(settings, run),
        "message": run.message,
        "input": run.input_path,
        "started_at": run.started_at,
        "ended_at": run.ended_at,
        "rows": {
            "read": run.rows,
            "distinct": run.unique_rows,
            "unreadable": run.bad_rows,
            "answered": counts.answered,
            "failed": counts.failed,
            "in_doubt": counts.in_doubt,
            "waiting": run.unique_rows - counts.answered - counts.failed - counts.in_doubt,
        },
        "chunks": {state: states.count(state) for state in ("committed", "partial", "planned")},
        **({} if steps is None else {"steps": _steps(steps)}),
        "money": {
            "settled_usd": spend.settled_usd,
            "doubt_usd": spend.doubt_usd,
            "reserved_usd": spend.reserved_usd,
            "total_usd": spend.total_usd,
            "max_cost_usd": run.max_cost_usd,
            "calls_of_unknown_price": spend.unpriced,
        },
        "settings": json_module.loads(run.config_json),
        "sandbox": run.sandbox_tier,
        "profile_id": run.profile_id,
        "code_version": run.code_version,
        "flow_run_id": run.flow_run_id,
        "mlflow_run_id": run.mlflow_run_id,
        "dead_letters": letters,
        "files": {name: settings.root / folder for name, folder in sorted(files.items())},
    }


def _steps(steps: Steps) -> dict[str, Any]:
    """What the questions of a policy's run took."""
    return {
        "calls_per_question": round(steps.calls, 4),
        "mean_confidence": None if steps.confidence is None else round(steps.confidence, 4),
        **{f"share_with_{one.calls}_calls": round(one.share, 4) for one in steps.shares},
    }


def _show_doubts(ledger: LedgerReader, run: RunRecord, *, json: bool) -> None:
    """Requests that were ever in doubt, with the charge kept for each and the one settled since."""
    rows = [
        {
            "request_id": request.request_id,
            "query_id": request.query_id,
            "pair_id": request.pair_id,
            "state": request.state,
            "sends": request.sends,
            "doubt_usd": request.doubt_usd,
            "settled_usd": request.cost_usd,
            "reason": request.doubt_reason,
        }
        for request in ledger.requests(run.run_id, in_doubt=True)
    ]
    if json:
        data_json(rows)
        return
    if not rows:
        say(f"no request of run {run.run_id} was ever in doubt")
        return
    cells = [[_plain(value) for value in row.values()] for row in rows]
    table([name.removesuffix("_usd") for name in rows[0]], cells)
    say(f"{len(rows):,} requests; `doubt` is what stays charged for an answer that may exist")


def _plain(value: Any) -> str:  # noqa: ANN401
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S} UTC"
    return "-" if value is None else str(value)


app.command("retry")(retry)
app.command("cancel")(cancel)
app.command("export")(export)
