"""The rule that chose a stand-in."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column, which older rows do not have."""
    op.add_column("requests", sa.Column("stand_in_rule", sa.Text))
