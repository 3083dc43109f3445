"""Deployments whose answers are watched for changes, the answers to their probes, and events."""

import sqlalchemy as sa
from alembic import op

from gateway.store.metadata import ROW_ID

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables, which are new."""
    op.create_table(
        "drift_watches",
        sa.Column("deployment", sa.Text, primary_key=True),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("bank", sa.Text, nullable=False),
        sa.Column("epoch", sa.Integer, nullable=False),
        sa.Column("candidates", sa.JSON, nullable=False),
        sa.Column("chosen", sa.JSON),
        sa.Column("own_rate", sa.Double, nullable=False, server_default=sa.text("0")),
        sa.Column("rounds", sa.BigInteger, nullable=False, server_default=sa.text("0")),
        sa.Column("next", sa.Double, nullable=False),
        sa.Column("evidence", sa.Double, nullable=False, server_default=sa.text("1")),
        sa.Column("reason", sa.Text, nullable=False, server_default=sa.text("''")),
    )
    op.create_table(
        "drift_asks",
        sa.Column("id", ROW_ID, primary_key=True),
        sa.Column("deployment", sa.Text, nullable=False),
        sa.Column("epoch", sa.Integer, nullable=False),
        sa.Column("round", sa.BigInteger, nullable=False),
        sa.Column("probe", sa.Text, nullable=False),
        sa.Column("time", sa.Double, nullable=False),
        sa.Column("score", sa.Double),
        sa.Column("canonical", sa.Text),
        sa.Column("prompt_tokens", sa.BigInteger, nullable=False, server_default=sa.text("0")),
        sa.Column("response_model", sa.Text),
        sa.Column("fingerprint", sa.Text),
        sa.Column("nusd", sa.BigInteger, nullable=False, server_default=sa.text("0")),
    )
    op.create_index("drift_asks_by_deployment", "drift_asks", ["deployment", "epoch", "id"])
    op.create_index("drift_asks_by_time", "drift_asks", ["time"])
    op.create_table(
        "drift_events",
        sa.Column("id", ROW_ID, primary_key=True),
        sa.Column("time", sa.Double, nullable=False),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("deployment", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("words", sa.Text, nullable=False),
        sa.Column("evidence", sa.Double),
    )
