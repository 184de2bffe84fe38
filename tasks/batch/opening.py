"""Opening a run: recorded the first time, found and put in order every further time."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from tasks.batch.item import ItemSource
from tasks.batch.spec import BatchSettings, config_sha
from tasks.call.clock import Clock
from warehouse.commits import remove_uncommitted
from warehouse.errors import WarehouseError
from warehouse.ledger import Ledger, RunRecord, sent_log_path, sent_requests


def open_run(
    settings: BatchSettings, ledger: Ledger, source: ItemSource, clock: Clock
) -> RunRecord:
    """Record a new run, or take up the one of that name; call it while holding the run's lock.

    What a killed session left behind is settled here: claims become doubts or are freed, files
    without a commit are set aside.

    Raises:
        WarehouseError: the run exists with another configuration.
    """
    sha = config_sha(settings.identity)
    run = ledger.run(settings.run_id)
    if run is None:
        run = RunRecord(
            run_id=settings.run_id,
            kind=settings.kind,
            state="running",
            input_path=settings.input_path,
            input_sha256=settings.input_sha256,
            config_json=json.dumps(settings.identity, sort_keys=True, default=str),
            config_sha=sha,
            code_version=settings.code_version,
            started_at=clock.now(),
            max_cost_usd=settings.max_cost_usd,
            rows=settings.rows,
            unique_rows=settings.unique_rows,
            bad_rows=settings.bad_rows,
            chunks=len(source.chunk_ids()),
            sandbox_tier=settings.sandbox_tier,
            profile_id=settings.profile_id,
            flow_run_id=settings.flow_run_id,
        )
        ledger.create_run(run, source.chunk_ids())
        return run
    if run.config_sha != sha:
        raise WarehouseError(_differs(run, settings.identity))
    if run.state != "complete":
        ledger.update_run(
            settings.run_id, state="running", max_cost_usd=settings.max_cost_usd, message=None
        )
    if settings.grows:
        ledger.add_chunks(settings.run_id, source.chunk_ids())
        grown = {"rows": settings.rows, "unique_rows": settings.unique_rows}
        ledger.update_run(settings.run_id, chunks=len(source.chunk_ids()), **grown)
    sent = sent_requests(sent_log_path(settings.root, settings.run_id))
    ledger.doubt_orphans(settings.run_id, sent=sent)
    remove_uncommitted(settings.root, settings.run_id, ledger.commits(run_id=settings.run_id))
    return run


def _differs(run: RunRecord, identity: Mapping[str, Any]) -> str:
    details = "; ".join(differences(json.loads(run.config_json), identity))
    return (
        f"Run {run.run_id!r} exists with another configuration ({details}). "
        "Repeat the first command to resume it, or give this one its own --name."
    )


_FILES = {"input_sha256": "the content of the backlog", "pool": "the content of the pool file"}
"""Parts of an identity that are hashes of files, which say nothing to people."""


def differences(known: Mapping[str, Any], identity: Mapping[str, Any]) -> list[str]:
    """What differs between the identities of two runs, in words, by the name of the setting.

    Args:
        known: of the run that exists, as the ledger keeps it.
        identity: of the one that is asked for.
    """
    wanted = json.loads(json.dumps(identity, default=str))
    changed = [key for key in known.keys() | wanted.keys() if known.get(key) != wanted.get(key)]
    return [
        _FILES.get(key) or f"{key}: {known.get(key)!r} then, {wanted.get(key)!r} now"
        for key in sorted(changed)
    ]
