"""Alembic's migrations of the database. `gateway.store.schema` runs them."""
