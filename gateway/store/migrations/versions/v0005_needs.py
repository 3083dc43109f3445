"""What a decision took into account of a request, beside its text."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column. Requests that were recorded before have none."""
    op.add_column("requests", sa.Column("needs", sa.JSON))
