"""Alembic migrations; run by ``state.db.migrate``."""
