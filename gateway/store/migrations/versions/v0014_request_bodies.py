"""Whole bodies of requests."""

import sqlalchemy as sa
from alembic import op

from gateway.store.metadata import ROW_ID

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table, which is new."""
    op.create_table(
        "request_bodies",
        sa.Column("id", ROW_ID, primary_key=True),
        sa.Column("request_id", sa.Text, nullable=False),
        sa.Column("time", sa.Double, nullable=False),
        sa.Column("key_id", sa.Text),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("body", sa.LargeBinary),
    )
    op.create_index("request_bodies_by_time", "request_bodies", ["time", "request_id"])
