"""What Alembic runs: the migrations, on the connection and in the transaction of the caller.

A new version is a module in `versions` beside the others, written by hand; the tables
themselves are declared in `warehouse/ledger/schema.py`.
"""

from __future__ import annotations

from alembic import context

from warehouse.ledger.schema import metadata


def run_on(connection: object) -> None:
    """Run the migrations; whoever began the transaction ends it."""
    context.configure(connection=connection, target_metadata=metadata)  # type: ignore[arg-type]
    with context.begin_transaction():
        context.run_migrations()


run_on(context.config.attributes["connection"])
