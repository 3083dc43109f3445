"""Replays that were asked for over HTTP."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table, which is new."""
    op.create_table(
        "replay_jobs",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("options", sa.JSON, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False, server_default=sa.text("''")),
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("beat", sa.Double, nullable=False),
        sa.Column("created", sa.Double, nullable=False),
        sa.Column("ended", sa.Double),
        sa.Column("result", sa.Text),
    )
    op.create_index("replay_jobs_by_time", "replay_jobs", ["created"])
