"""Tables about the writing itself: runs and commits, which also live in the ledger."""

from __future__ import annotations

from warehouse.tables.columns import (
    TableSchema,
    count,
    enum,
    flag,
    ident,
    identity,
    moment,
    money,
    small,
    text,
    version,
)

RUN_STATE = ("planned", "running", "paused_budget", "failed", "cancelled", "complete")

RUNS = TableSchema(
    name="runs",
    description="Every batch run and profiling run; the ledger's copy is the live one.",
    grain="one row per run",
    key=("run_id",),
    columns=(
        ident("run_id", "The run.", required=True),
        text("name", "Its name for people."),
        ident("kind", "What it does, such as route or profile.", required=True),
        ident("input_sha256", "Hash of its input."),
        text("config_json", "Its configuration as JSON, without secrets."),
        ident("config_sha", "Hash of the configuration."),
        ident("code_version", "Version of ATLAS."),
        flag("git_dirty", "Whether the checkout had uncommitted changes."),
        ident("lock_owner", "The process that holds it."),
        moment("heartbeat_at", "When that process last said it is alive."),
        enum("state", RUN_STATE, "Where it stands.", required=True),
        money("max_cost_usd", "Its budget; null is none."),
        money("spent_usd", "What it is charged with, doubt included."),
        ident("flow_run_id", "Its flow run."),
        ident("mlflow_run_id", "Its MLflow run."),
        moment("started_at", "When it started."),
        moment("ended_at", "When it ended."),
        version(),
    ),
)

COMMITS = TableSchema(
    name="commits",
    description="The files that readers may see: a file without a commit does not exist.",
    grain="one row per published chunk file",
    key=("commit_id",),
    columns=(
        ident("commit_id", "Hash of what was committed.", required=True),
        ident("table", "The table it belongs to.", required=True),
        *identity(),
        text("path", "The file, relative to the warehouse's root.", required=True),
        count("rows", "Rows in it.", required=True),
        count("bytes", "Its size.", required=True, unit="B"),
        ident("sha256", "Hash of its bytes.", required=True),
        small("schema_version", "Version of the table's schema.", required=True),
        ident("schema_sha", "Hash of the table's columns and types.", required=True),
        ident("code_version", "Version of ATLAS that wrote it.", required=True),
        moment("committed_at", "When it was written.", required=True),
    ),
)
