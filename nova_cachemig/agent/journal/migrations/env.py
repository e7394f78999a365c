"""Alembic's entry point. It runs on the connection that ``migrate.py`` passes."""

from __future__ import annotations

from alembic import context

from nova_cachemig.agent.journal.schema import METADATA

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=METADATA,
    render_as_batch=connection.dialect.name == "sqlite",  # SQLite cannot alter a column in place
    compare_type=True,
)
with context.begin_transaction():
    context.run_migrations()
