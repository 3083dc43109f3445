"""How the members of an ensemble voted."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column, which older rows do not have."""
    op.add_column("requests", sa.Column("ensemble", sa.JSON))
