"""What the recorder writes beside requests and ledger; see `gateway.record.rows` and `gateway.record.housekeeping`."""

from sqlalchemy import JSON, BigInteger, Column, Double, Index, LargeBinary, Table, Text

from gateway.store.metadata import METADATA, ROW_ID

# What clients sent. Request ids are the clients' own, so time and key tell their requests apart.
REQUEST_BODIES = Table(
    "request_bodies",
    METADATA,
    Column("id", ROW_ID, primary_key=True),
    Column("request_id", Text, nullable=False),
    Column("time", Double, nullable=False),
    Column("key_id", Text),
    Column("size", BigInteger, nullable=False),  # bytes
    Column("body", LargeBinary),  # compressed by zstd; null: too large to be kept
    Index("request_bodies_by_time", "time", "request_id"),
)
# The last batch that each recorder has committed, so that a batch whose commit was cut off is not written twice.
RECORDERS = Table(
    "recorders",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("batch", BigInteger, nullable=False),
    Column("time", Double, nullable=False),
)
# The models of a portfolio, in the order of the arrays in `requests.all_candidates`.
PORTFOLIOS = Table("portfolios", METADATA, Column("id", Text, primary_key=True), Column("models", JSON, nullable=False))
