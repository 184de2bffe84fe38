"""Prefect around a batch run: one task a chunk, one artifact at the end, little chatter."""

from __future__ import annotations

import logging
import os
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from flows.console import say

if TYPE_CHECKING:
    from tasks.batch.chunk import ChunkReport
    from tasks.batch.spec import Work

API_VARIABLE = "PREFECT_API_URL"
_ENVIRONMENT = {
    "PREFECT_LOGGING_LEVEL": "WARNING",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "DO_NOT_TRACK": "1",
    # Prefect waits 20 s, which a busy machine needs for the first start alone.
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",
}
"""What Prefect is told unless the user told it something else."""


def quiet_prefect() -> None:
    """Keep Prefect from chatting and from phoning home, unless the user told it otherwise."""
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)


def announce_server() -> None:
    """Say that Prefect starts a server of its own, where none is named; keep Prefect quiet."""
    quiet_prefect()
    if not api_url():
        _say_once(
            "starting an embedded Prefect server (about 10 s) ... (--runner plain goes without)"
        )


@cache
def _say_once(text: str) -> None:
    # The embedded server lives as long as the process: later flows find it running.
    say(text)


def api_url() -> str | None:
    """Address of the Prefect server that is named in the environment or in Prefect's profile."""
    if os.environ.get(API_VARIABLE):
        return os.environ[API_VARIABLE]
    from prefect.settings import PREFECT_API_URL

    url: str | None = PREFECT_API_URL.value()
    return url


def chunk_tasks(work: Work) -> Work:
    """The work of a chunk as a Prefect task: it is given an id, and our ledger does the rest.

    Nothing is cached, retried or persisted by Prefect: exactly-once lives in the ledger.
    """
    from prefect import task
    from prefect.cache_policies import NO_CACHE

    @task(
        name="chunk",
        task_run_name="chunk-{chunk_id}",
        cache_policy=NO_CACHE,
        retries=0,
        persist_result=False,
    )
    async def work_chunk(chunk_id: str) -> ChunkReport:
        return await work(chunk_id)

    return work_chunk


def publish_markdown(key: str, text: str, description: str) -> None:
    """Show a report beside the flow run; one that cannot be shown never fails a paid run."""
    from prefect.artifacts import create_markdown_artifact

    try:
        create_markdown_artifact(markdown=text, key=key, description=description)
    except Exception as error:
        logging.getLogger(__name__).warning("Prefect could not keep the report %s: %s", key, error)


def publish_link(key: str, path: Path, description: str) -> None:
    """Show a file beside the flow run as a link; without a file, or without luck, nothing."""
    from prefect.artifacts import create_link_artifact

    if not path.exists():
        return
    try:
        create_link_artifact(
            link=path.absolute().as_uri(), link_text=path.name, key=key, description=description
        )
    except Exception as error:
        logging.getLogger(__name__).warning("Prefect could not keep the link %s: %s", key, error)


def flow_run_id() -> str | None:
    """Id of the flow run around this code."""
    from prefect.runtime import flow_run

    return str(flow_run.id) if flow_run.id else None


def of_a_deployment() -> bool:
    """Whether a worker runs this for a deployment, with nobody at a terminal."""
    from prefect.runtime import deployment

    return bool(deployment.id)
