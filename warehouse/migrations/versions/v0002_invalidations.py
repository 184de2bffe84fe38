"""Version 2: outcomes can be declared stale."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the table `invalidations`."""
    op.create_table(
        "invalidations",
        sa.Column("pair_id", sa.Text, primary_key=True),
        sa.Column("before", sa.DateTime, primary_key=True),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("run_id", sa.String(200)),
        sa.Column("created_at", sa.DateTime, nullable=False),
    )
