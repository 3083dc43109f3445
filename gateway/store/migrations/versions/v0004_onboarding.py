"""Answers to probes, and jobs that onboard models."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create both tables, which are new."""
    op.create_table(
        "probe_answers",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True),
        sa.Column("caller", sa.Text, nullable=False),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("deployment", sa.Text),
        sa.Column("bank", sa.Text, nullable=False),
        sa.Column("probe", sa.Text, nullable=False),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("ask", sa.Integer, nullable=False),
        sa.Column("time", sa.Double, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("tries", sa.Integer, nullable=False, server_default=sa.text("0")),
        *(
            sa.Column(name, sa.BigInteger, nullable=False, server_default=sa.text("0"))
            for name in ("reserved_nusd", "nusd", "unpriced_calls", "prompt_tokens", "completion_tokens")
        ),
        sa.Column("answer", sa.JSON),
        sa.Column("canonical", sa.Text),
        sa.Column("score", sa.Double),
        sa.Column("reason", sa.Text),
        sa.Column("fingerprint", sa.Text),
        sa.Column("response_model", sa.Text),
    )
    op.create_index("probe_answers_by_model", "probe_answers", ["model", "ask"])
    op.create_index("probe_answers_by_bank", "probe_answers", ["bank"])
    op.create_table(
        "onboarding_jobs",
        sa.Column("model", sa.Text, primary_key=True),
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("options", sa.JSON, nullable=False),
        sa.Column("ask", sa.Integer, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("runner", sa.Text, nullable=False),
        sa.Column("owner", sa.Text),
        sa.Column("beat", sa.Double, nullable=False),
        sa.Column("created", sa.Double, nullable=False),
        sa.Column("ended", sa.Double),
        sa.Column("progress", sa.JSON),
        sa.Column("reason", sa.Text, nullable=False, server_default=sa.text("''")),
        sa.Column("version", sa.BigInteger),
    )
