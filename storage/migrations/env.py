"""Runs the migrations on the connection, and in the transaction, that `storage.schema` hands in."""

from __future__ import annotations

from alembic import context

import storage.commitment_tables  # noqa: F401 - its tables are of the same `Base`
from storage.models import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    render_as_batch=True,  # SQLite alters a table by copying it
)
with context.begin_transaction():
    context.run_migrations()
