"""Which versions of models were in use: a rollback goes back to one of them, and not to a candidate that was not taken."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column. Of the versions before, those count as used that were not made by refinement, or are live."""
    op.add_column("model_versions", sa.Column("used", sa.Boolean, nullable=False, server_default=sa.text("false")))
    op.execute("UPDATE model_versions SET used = true WHERE live OR source <> 'refinement'")
