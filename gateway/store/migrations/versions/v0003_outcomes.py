"""How good answers were, and an index by which feedback finds its request."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create both tables, which are new, and the index."""
    op.create_table(
        "outcomes",
        sa.Column("request_id", sa.Text, primary_key=True),
        sa.Column("source", sa.Text, primary_key=True),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("deployment", sa.Text),
        sa.Column("checkpoint", sa.Text),
        sa.Column("encoding", sa.LargeBinary),
        sa.Column("surface", sa.LargeBinary),
        sa.Column("score", sa.Double),
        sa.Column("reliability", sa.Double, nullable=False, server_default=sa.text("1")),
        sa.Column("time", sa.Double, nullable=False),
        sa.Column("written", sa.Double, nullable=False),
        sa.Column("priority", sa.Double, nullable=False),
        sa.Column("comment", sa.Text),
        sa.Column("expected", sa.Text),
    )
    op.create_index("outcomes_by_priority", "outcomes", ["model", "source", "priority"])
    op.create_index("outcomes_by_written", "outcomes", ["written"])
    op.create_table(
        "feedback_keys",
        sa.Column("source", sa.Text, primary_key=True),
        sa.Column("idempotency_key", sa.Text, primary_key=True),
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.Column("answer", sa.LargeBinary, nullable=False),
        sa.Column("time", sa.Double, nullable=False),
    )
    op.create_index("feedback_keys_by_time", "feedback_keys", ["time"])
    op.create_index("requests_by_request_id", "requests", ["request_id"])
