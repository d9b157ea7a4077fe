"""Alembic migrations; `storage.schema` runs them when a database is opened."""
