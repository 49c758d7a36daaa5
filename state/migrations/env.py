"""Alembic's entry: the connection, and the transaction around it, are given by ``state.db.migrate``."""

from __future__ import annotations

from alembic import context

from state.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transactional_ddl=True,
    render_as_batch=True,
)
context.run_migrations()
