"""Version 1: the ledger as it was before there were migrations.

The tables are spelled out, not taken from the schema of today: this is history and stays as it is.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables; a ledger whose making was interrupted has some of them already."""
    op.create_table(
        "meta",
        sa.Column("key", sa.String(64), primary_key=True),
        sa.Column("value", sa.Text, nullable=False),
        if_not_exists=True,
    )
    op.create_table(
        "runs",
        sa.Column("run_id", sa.String(200), primary_key=True),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("state", sa.String(24), nullable=False),
        sa.Column("input_path", sa.Text, nullable=False),
        sa.Column("input_sha256", sa.String(64), nullable=False),
        sa.Column("config_json", sa.Text, nullable=False),
        sa.Column("config_sha", sa.String(64), nullable=False),
        sa.Column("code_version", sa.String(64), nullable=False),
        sa.Column("max_cost_nano", sa.BigInteger),
        sa.Column("rows", sa.BigInteger, nullable=False),
        sa.Column("unique_rows", sa.BigInteger, nullable=False),
        sa.Column("bad_rows", sa.BigInteger, nullable=False),
        sa.Column("chunks", sa.Integer, nullable=False),
        sa.Column("sandbox_tier", sa.String(32)),
        sa.Column("profile_id", sa.String(64)),
        sa.Column("flow_run_id", sa.String(64)),
        sa.Column("mlflow_run_id", sa.String(64)),
        sa.Column("message", sa.Text),
        sa.Column("started_at", sa.DateTime, nullable=False),
        sa.Column("ended_at", sa.DateTime),
        if_not_exists=True,
    )
    op.create_table(
        "chunks",
        sa.Column("run_id", sa.String(200), primary_key=True),
        sa.Column("chunk_id", sa.String(32), primary_key=True),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("generation", sa.Integer, nullable=False),
        sa.Column("answered", sa.Integer, nullable=False),
        sa.Column("failed", sa.Integer, nullable=False),
        sa.Column("skipped", sa.Integer, nullable=False),
        sa.Column("in_doubt", sa.Integer, nullable=False),
        sa.Column("committed_at", sa.DateTime),
        if_not_exists=True,
    )
    op.create_table(
        "requests",
        sa.Column("request_id", sa.String(64), primary_key=True),
        sa.Column("run_id", sa.String(200), nullable=False),
        sa.Column("chunk_id", sa.String(32), nullable=False),
        sa.Column("query_id", sa.String(128), nullable=False),
        sa.Column("pair_id", sa.Text, nullable=False),
        sa.Column("call_index", sa.Integer, nullable=False),
        sa.Column("request_key", sa.String(64), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("sends", sa.Integer, nullable=False),
        sa.Column("reserved_nano", sa.BigInteger, nullable=False),
        sa.Column("cost_nano", sa.BigInteger),
        sa.Column("doubt_nano", sa.BigInteger, nullable=False),
        sa.Column("doubts", sa.Integer, nullable=False),
        sa.Column("doubt_reason", sa.Text),
        sa.Column("payload", sa.Text),
        sa.Column("claimed_at", sa.DateTime, nullable=False),
        sa.Column("settled_at", sa.DateTime),
        if_not_exists=True,
    )
    op.create_index("requests_by_chunk", "requests", ["run_id", "chunk_id"], if_not_exists=True)
    op.create_table(
        "retries",
        sa.Column("run_id", sa.String(200), primary_key=True),
        sa.Column("query_id", sa.String(128), primary_key=True),
        sa.Column("chunk_id", sa.String(32), nullable=False),
        sa.Column("round", sa.Integer, nullable=False),
        sa.Column("done", sa.Boolean, nullable=False),
        if_not_exists=True,
    )
    op.create_table(
        "commits",
        sa.Column("commit_id", sa.String(64), primary_key=True),
        sa.Column("table", sa.String(32), nullable=False),
        sa.Column("run_id", sa.String(200), nullable=False),
        sa.Column("chunk_id", sa.String(32), nullable=False),
        sa.Column("path", sa.Text, nullable=False),
        sa.Column("rows", sa.BigInteger, nullable=False),
        sa.Column("bytes", sa.BigInteger, nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("schema_version", sa.Integer, nullable=False),
        sa.Column("schema_sha", sa.String(64), nullable=False),
        sa.Column("code_version", sa.String(64), nullable=False),
        sa.Column("committed_at", sa.DateTime, nullable=False),
        if_not_exists=True,
    )
    op.create_index("commits_by_run", "commits", ["run_id", "chunk_id"], if_not_exists=True)
