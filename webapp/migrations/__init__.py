"""Alembic migrations: one initial one; until the first release, schema changes edit it."""
