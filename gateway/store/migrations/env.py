"""Runs the migrations on the connection that `gateway.store.schema` passes, within its transaction. Alembic executes this file."""

from alembic import context

context.configure(connection=context.config.attributes["connection"])
context.run_migrations()
