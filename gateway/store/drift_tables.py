"""The tables of drift; see `gateway.store.tables`."""

from sqlalchemy import JSON, BigInteger, Column, Double, Index, Integer, Table, Text, text

from gateway.store.metadata import METADATA, ROW_ID, count

# What is known of each deployment that is watched.
DRIFT_WATCHES = Table(
    "drift_watches",
    METADATA,
    Column("deployment", Text, primary_key=True),
    Column("model", Text, nullable=False),
    Column("bank", Text, nullable=False),
    Column("epoch", Integer, nullable=False),  # grows with each new baseline
    Column("candidates", JSON, nullable=False),  # probes that the baseline chooses from, [id, digest] each
    Column("chosen", JSON(none_as_null=True)),  # ids of the probes; null until the baseline is complete
    Column("own_rate", Double, nullable=False, server_default=text("0")),
    Column("rounds", BigInteger, nullable=False, server_default=text("0")),
    Column("next", Double, nullable=False),  # time of the next asks
    Column("evidence", Double, nullable=False, server_default=text("1")),
    Column("reason", Text, nullable=False, server_default=text("''")),  # why it cannot be watched now
)
# One row per answer to a probe. Round 0 is the baseline.
DRIFT_ASKS = Table(
    "drift_asks",
    METADATA,
    Column("id", ROW_ID, primary_key=True),
    Column("deployment", Text, nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("round", BigInteger, nullable=False),
    Column("probe", Text, nullable=False),
    Column("time", Double, nullable=False),
    Column("score", Double),  # null: the answer could not be graded
    Column("canonical", Text),  # a digest of what the checker took out of the answer
    count("prompt_tokens"),
    Column("response_model", Text),
    Column("fingerprint", Text),
    count("nusd"),
    Index("drift_asks_by_deployment", "deployment", "epoch", "id"),
    Index("drift_asks_by_time", "time"),
)
DRIFT_EVENTS = Table(
    "drift_events",
    METADATA,
    Column("id", ROW_ID, primary_key=True),
    Column("time", Double, nullable=False),
    Column("model", Text, nullable=False),
    Column("deployment", Text, nullable=False),
    Column("kind", Text, nullable=False),  # changed: found by probes; announced: the provider says so
    Column("words", Text, nullable=False),
    Column("evidence", Double),
)
