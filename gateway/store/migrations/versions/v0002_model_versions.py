"""Versions and states of models."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create both tables, which are new."""
    op.create_table(
        "model_versions",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("deployment", sa.Text, nullable=False, server_default=sa.text("''")),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("checkpoint", sa.Text, nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("note", sa.Text, nullable=False, server_default=sa.text("''")),
        sa.Column("evaluations", sa.BigInteger, nullable=False),
        sa.Column("time", sa.Double, nullable=False),
        sa.Column("live", sa.Boolean, nullable=False),
        sa.Column("embedding", sa.LargeBinary, nullable=False),
    )
    op.create_index("model_versions_by_number", "model_versions", ["model", "deployment", "version"], unique=True)
    live = sa.text("live")
    op.create_index(
        "model_versions_live",
        "model_versions",
        ["model", "deployment"],
        unique=True,
        sqlite_where=live,
        postgresql_where=live,
    )
    op.create_table(
        "model_states",
        sa.Column("model", sa.Text, primary_key=True),
        sa.Column("deployment", sa.Text, primary_key=True, server_default=sa.text("''")),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False, server_default=sa.text("''")),
        sa.Column("since", sa.Double, nullable=False),
        sa.Column("share", sa.Double, nullable=False, server_default=sa.text("1")),
        sa.Column("requests", sa.BigInteger, nullable=False, server_default=sa.text("0")),
        sa.Column("most_requests", sa.BigInteger, nullable=False, server_default=sa.text("0")),
        sa.Column("target_error", sa.Double),
    )
