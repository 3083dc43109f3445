"""When keys were used last, what the cache saved, which budget steered a request, and what is billed beside tokens."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table and add the columns, which older rows do not have."""
    op.create_table(
        "key_use",
        sa.Column("key_id", sa.Text, primary_key=True),
        sa.Column("last_used", sa.Double, nullable=False),
    )
    op.add_column("requests", sa.Column("saved_nusd", sa.BigInteger))
    op.add_column("requests", sa.Column("near_limit", sa.Double))
    zero = sa.text("0")
    for name in ("cache_hits", "saved_nusd"):
        op.add_column("usage_hourly", sa.Column(name, sa.BigInteger, nullable=False, server_default=zero))
    op.add_column("ledger", sa.Column("service_tier", sa.Text))
    op.add_column("ledger", sa.Column("web_searches", sa.BigInteger, nullable=False, server_default=zero))
