"""SQL tables of the ledger. Money is billionths of a dollar, so that sums are exact.

Times are UTC without a zone. Whoever changes a table here raises `reading.LEDGER_VERSION` and adds
the step to `warehouse/migrations/versions`; a test compares what both paths make.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
)

metadata = MetaData()


class FreeText(TypeDecorator[str]):
    """Text from outside. PostgreSQL refuses the character NUL, so no database gets one."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Any) -> str | None:  # noqa: ANN401, ARG002
        """The text as it is stored: a NUL becomes the replacement character."""
        return None if value is None else value.replace("\0", "\ufffd")


meta = Table(
    "meta",
    metadata,
    Column("key", String(64), primary_key=True),
    Column("value", Text, nullable=False),
)

alembic_version = Table(
    "alembic_version",
    metadata,
    Column("version_num", String(32), primary_key=True),
)

runs = Table(
    "runs",
    metadata,
    Column("run_id", String(200), primary_key=True),
    Column("kind", String(16), nullable=False),
    Column("state", String(24), nullable=False),
    Column("input_path", Text, nullable=False),
    Column("input_sha256", String(64), nullable=False),
    Column("config_json", Text, nullable=False),
    Column("config_sha", String(64), nullable=False),
    Column("code_version", String(64), nullable=False),
    Column("max_cost_nano", BigInteger),
    Column("rows", BigInteger, nullable=False, default=0),
    Column("unique_rows", BigInteger, nullable=False, default=0),
    Column("bad_rows", BigInteger, nullable=False, default=0),
    Column("chunks", Integer, nullable=False, default=0),
    Column("sandbox_tier", String(32)),
    Column("profile_id", String(64)),
    Column("flow_run_id", String(64)),
    Column("mlflow_run_id", String(64)),
    Column("message", FreeText),
    Column("started_at", DateTime, nullable=False),
    Column("ended_at", DateTime),
)

chunks = Table(
    "chunks",
    metadata,
    Column("run_id", String(200), primary_key=True),
    Column("chunk_id", String(32), primary_key=True),
    Column("state", String(16), nullable=False),
    Column("generation", Integer, nullable=False, default=0),
    Column("answered", Integer, nullable=False, default=0),
    Column("failed", Integer, nullable=False, default=0),
    Column("skipped", Integer, nullable=False, default=0),
    Column("in_doubt", Integer, nullable=False, default=0),
    Column("committed_at", DateTime),
)

requests = Table(
    "requests",
    metadata,
    Column("request_id", String(64), primary_key=True),
    Column("run_id", String(200), nullable=False),
    Column("chunk_id", String(32), nullable=False),
    Column("query_id", String(128), nullable=False),
    Column("pair_id", Text, nullable=False),
    Column("call_index", Integer, nullable=False),
    Column("request_key", String(64), nullable=False),
    Column("state", String(16), nullable=False),
    Column("sends", Integer, nullable=False),
    Column("reserved_nano", BigInteger, nullable=False),
    Column("cost_nano", BigInteger),
    Column("doubt_nano", BigInteger, nullable=False, default=0),
    Column("doubts", Integer, nullable=False, default=0),
    Column("doubt_reason", FreeText),
    Column("payload", FreeText),
    Column("claimed_at", DateTime, nullable=False),
    Column("settled_at", DateTime),
    Index("requests_by_chunk", "run_id", "chunk_id"),
)

retries = Table(
    "retries",
    metadata,
    Column("run_id", String(200), primary_key=True),
    Column("query_id", String(128), primary_key=True),
    Column("chunk_id", String(32), nullable=False),
    Column("round", Integer, nullable=False),
    Column("done", Boolean, nullable=False, default=False),
)

commits = Table(
    "commits",
    metadata,
    Column("commit_id", String(64), primary_key=True),
    Column("table", String(32), nullable=False),
    Column("run_id", String(200), nullable=False),
    Column("chunk_id", String(32), nullable=False),
    Column("path", Text, nullable=False),
    Column("rows", BigInteger, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("schema_version", Integer, nullable=False),
    Column("schema_sha", String(64), nullable=False),
    Column("code_version", String(64), nullable=False),
    Column("committed_at", DateTime, nullable=False),
    Index("commits_by_run", "run_id", "chunk_id"),
)

invalidations = Table(
    "invalidations",
    metadata,
    Column("pair_id", Text, primary_key=True),
    Column("before", DateTime, primary_key=True),
    Column("reason", FreeText, nullable=False),
    Column("run_id", String(200)),
    Column("created_at", DateTime, nullable=False),
)
