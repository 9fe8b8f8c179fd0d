"""Alembic runs this: migrations on the connection that webapp.db hands over."""

from alembic import context

from webapp.tables import Base

context.configure(connection=context.config.attributes["connection"], target_metadata=Base.metadata)
with context.begin_transaction():
    context.run_migrations()
