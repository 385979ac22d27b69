"""Alembic's entry: migrate over the connection that `migrate.upgrade` opened."""

from alembic import context

from physlab.collab.schema import metadata

given = context.config.attributes
context.configure(connection=given["connection"], target_metadata=metadata, version_table=given["table"])
with context.begin_transaction():
    context.run_migrations()
