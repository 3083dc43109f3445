"""Sessions of the console in the browser."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table, which is new."""
    op.create_table(
        "console_sessions",
        sa.Column("id", sa.LargeBinary, primary_key=True),
        sa.Column("key_id", sa.Text),
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.Column("created", sa.Double, nullable=False),
        sa.Column("used", sa.Double, nullable=False),
    )
