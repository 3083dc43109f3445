"""Sums by hour are found by their key and team."""

from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the indexes."""
    op.create_index("usage_hourly_by_key", "usage_hourly", ["key_id", "hour"])
    op.create_index("usage_hourly_by_team", "usage_hourly", ["team", "hour"])
