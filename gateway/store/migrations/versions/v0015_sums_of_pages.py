"""What the pages of the console read quickly: sums by day, latencies by hour, more sums by hour, and indexes of requests."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

_KEY = ("key_id", "team", "model", "policy")
_OLD_SUMS = (
    *("requests", "errors", "prompt_tokens", "cached_tokens", "completion_tokens", "nusd", "unpriced_calls"),
    *("cache_hits", "saved_nusd"),
)
_NEW_SUMS = ("stand_ins", "continued", "compared", "compared_nusd", "best_nusd")
_ZERO = sa.text("0")


def _sum(name: str) -> "sa.Column[int]":
    return sa.Column(name, sa.BigInteger, nullable=False, server_default=_ZERO)


def upgrade() -> None:
    """Create the tables, with sums by day of the sums by hour; the new sums and the latencies begin now."""
    for name in _NEW_SUMS:
        op.add_column("usage_hourly", _sum(name))
    op.create_table(
        "usage_daily",
        sa.Column("day", sa.BigInteger, primary_key=True, autoincrement=False),
        *(sa.Column(name, sa.Text, primary_key=True) for name in _KEY),
        *map(_sum, (*_OLD_SUMS, *_NEW_SUMS)),
    )
    names, sums = ", ".join((*_KEY, *_OLD_SUMS)), ", ".join(f"sum({name})" for name in _OLD_SUMS)
    day, key = "hour - hour % 86400", ", ".join(_KEY)
    op.execute(
        f"INSERT INTO usage_daily (day, {names}) SELECT {day}, {key}, {sums} FROM usage_hourly GROUP BY {day}, {key}"
    )
    op.create_table(
        "latency_hourly",
        sa.Column("scope", sa.Text, primary_key=True),
        sa.Column("hour", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("bucket", sa.Integer, primary_key=True, autoincrement=False),
        _sum("requests"),
    )
    op.add_column("requests", sa.Column("call_began_ms", sa.Double))
    op.create_index("requests_by_key", "requests", ["key_id", "time", "id"])
    op.create_index("requests_by_served", "requests", ["served", "time", "id"])
    for name, condition in (
        ("requests_with_errors", "error IS NOT NULL OR failover IS NOT NULL"),
        ("requests_of_stand_ins", "served <> chosen"),
    ):
        where = sa.text(condition)
        op.create_index(name, "requests", ["time", "id"], sqlite_where=where, postgresql_where=where)
