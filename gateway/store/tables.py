"""All tables and views of the database, for SQLite and PostgreSQL.

Times are seconds since the epoch (UTC), money is nano-USD, durations are milliseconds. A change here needs a migration in
`gateway.store.migrations`, and `gateway.store.schema.HEAD` names the newest one. A replica of the version before may still use the
database during an upgrade: add columns with a default first, and remove what is unused one version later.
"""

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Computed,
    Connection,
    Double,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    text,
)

from gateway.store import (
    console_tables,
    drift_tables,
    onboarding_tables,
    outcome_tables,
    recorder_tables,
    replay_tables,
    response_tables,
    usage_tables,
)
from gateway.store.metadata import METADATA, ROW_ID, count

# Importing these puts their tables into METADATA.
__all__ = [
    "METADATA",
    "console_tables",
    "drift_tables",
    "onboarding_tables",
    "outcome_tables",
    "recorder_tables",
    "replay_tables",
    "response_tables",
    "usage_tables",
]

FAILED = "error IS NOT NULL OR failover IS NOT NULL"  # an error for the client, or a call that failed
STOOD_IN = "served <> chosen"  # another model than the chosen one answered
# One row per request. `id` grows in the order of writing, which is nearly that of `time`: pages are read by (time, id).
REQUESTS = Table(
    "requests",
    METADATA,
    Column("id", ROW_ID, primary_key=True),
    Column("request_id", Text, nullable=False),
    Column("time", Double, nullable=False),
    Column("requested", Text),
    Column("policy", Text),
    Column("chosen", Text),
    Column("served", Text),
    Column("deployment", Text),
    Column("p_correct", Double),
    Column("stand_in_distance", Double),
    Column("predicted_loss", Double),
    Column("candidates", JSON),
    Column("failover", JSON),
    Column("parts", JSON),
    Column("stream", Boolean),
    Column("status", Integer),
    Column("error", Text),
    Column("prompt_tokens", BigInteger),
    Column("completion_tokens", BigInteger),
    Column("usage_estimated", Boolean),
    Column("cost_nusd", BigInteger),
    Column("cost_usd", Double, Computed("cost_nusd / 1e9", persisted=True)),  # for readers
    Column("latency_ms", Double),
    Column("first_token_ms", Double),
    Column("overhead_ms", Double),
    Column("prompt", JSON),
    Column("api", Text),
    Column("conversation", Text),
    Column("simulated", Boolean),
    Column("key_id", Text),
    Column("key_name", Text),
    Column("team", Text),
    Column("end_user", Text),
    Column("safety_identifier", Text),
    Column("metadata", JSON),
    Column("tags", JSON),
    Column("cached_tokens", BigInteger),
    Column("cache_write_tokens", BigInteger),
    Column("reasoning_tokens", BigInteger),
    Column("propensity", Double),
    Column("checkpoint", Text),
    Column("trace_id", Text),
    Column("cache", Text),
    # What the decision was based on; see `gateway.record.predictions`.
    Column("portfolio", Text),
    Column("all_candidates", LargeBinary),
    Column("encoding", LargeBinary),
    Column("surface", LargeBinary),
    Column("needs", JSON),
    Column("stand_in_rule", Text),
    Column("saved_nusd", BigInteger),
    Column("near_limit", Double),
    Column("ensemble", JSON),
    Column("call_began_ms", Double),
    Index("requests_by_time", "time", "id"),
    Index("requests_by_request_id", "request_id"),
    # Of the pages of the console; see `gateway.record.pages`.
    Index("requests_by_key", "key_id", "time", "id"),
    Index("requests_by_served", "served", "time", "id"),
    Index("requests_with_errors", "time", "id", sqlite_where=text(FAILED), postgresql_where=text(FAILED)),
    Index("requests_of_stand_ins", "time", "id", sqlite_where=text(STOOD_IN), postgresql_where=text(STOOD_IN)),
)
# One row per billed call. Rows are only ever added.
LEDGER = Table(
    "ledger",
    METADATA,
    Column("id", ROW_ID, primary_key=True),
    Column("time", Double, nullable=False),
    Column("request_id", Text),
    Column("call", Integer, nullable=False, server_default=text("0")),
    Column("lease", Text),
    Column("key_id", Text),
    Column("key_name", Text),
    Column("team", Text),
    Column("policy", Text),
    Column("model", Text),
    Column("deployment", Text),
    count("prompt_tokens"),
    count("completion_tokens"),
    count("cached_tokens"),
    count("cache_write_5m_tokens"),
    count("cache_write_1h_tokens"),
    count("reasoning_tokens"),
    count("prompt_audio_tokens"),
    count("completion_audio_tokens"),
    Column("nusd", BigInteger),  # null: the price is unknown
    Column("estimated", Boolean, nullable=False, server_default=text("false")),
    Column("service_tier", Text),  # null: the usual one
    count("web_searches"),
    Index("ledger_by_time", "time", "id"),
    Index(
        "ledger_by_lease", "lease", sqlite_where=text("lease IS NOT NULL"), postgresql_where=text("lease IS NOT NULL")
    ),
)
# The processes that use the database; see `gateway.replicas.presence`.
REPLICAS = Table(
    "replicas",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("replica", Text, nullable=False),
    Column("machine", Text, nullable=False),
    Column("process", BigInteger, nullable=False),
    Column("sharing", Text, nullable=False),
    Column("began", Double, nullable=False),
    Column("beat", Double, nullable=False),
)
KEYS = Table(
    "keys",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("digest", LargeBinary, nullable=False),
    Column("digest2", LargeBinary),  # of the secret before the last rotation
    Column("digest2_until", Double),
    Column("name", Text, nullable=False),
    Column("team", Text),
    Column("access", JSON, nullable=False),  # the fields of `gateway.config.access.AccessEntry`
    Column("created", Double, nullable=False),
    Column("revoked", Double),
    Index(
        "keys_by_name",
        "name",
        unique=True,
        sqlite_where=text("revoked IS NULL"),
        postgresql_where=text("revoked IS NULL"),
    ),
)
# When requests used a key last, of the portfolio file or of the table `keys`, seconds since the epoch.
KEY_USE = Table(
    "key_use", METADATA, Column("key_id", Text, primary_key=True), Column("last_used", Double, nullable=False)
)
TEAMS = Table(
    "teams",
    METADATA,
    Column("name", Text, primary_key=True),
    Column("access", JSON, nullable=False),
    Column("created", Double, nullable=False),
)
# Secrets that the gateways of one database share.
SECRETS = Table(
    "secrets", METADATA, Column("name", Text, primary_key=True), Column("value", LargeBinary, nullable=False)
)
# The windows of budgets. Spending is counted in the transaction that writes the ledger, so it is the sum of the ledger's rows.
BUDGETS = Table(
    "budgets",
    METADATA,
    Column("scope", Text, primary_key=True),  # key:ID or team:NAME
    Column("period", Text, primary_key=True),
    Column("start", BigInteger, primary_key=True, autoincrement=False),
    Column("limit_nusd", BigInteger),
    count("spent_nusd"),
    count("expected_nusd"),  # reserved, if all goes as expected and in the worst case
    count("worst_nusd"),
    count("leases"),
)
# What processes hold of the limits; see `gateway.limits.exchange.LeaseRow`.
LEASES = Table(
    "leases",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("key_id", Text),
    Column("team", Text),
    Column("windows", JSON, nullable=False),
    Column("parallel", JSON, nullable=False),
    Column("began", Double, nullable=False),
    count("spent_nusd"),
    count("expected_nusd"),
    count("worst_nusd"),
    count("places"),
    Column("deadline", Double, nullable=False),
    Column("swept_nusd", BigInteger),
    count("estimated_nusd"),
    Index("leases_by_deadline", "deadline"),
)
# Requests and tokens of the last minute by second, and places that are held.
RATES = Table(
    "rates",
    METADATA,
    Column("scope", Text, primary_key=True),
    Column("kind", Text, primary_key=True),
    Column("cells", JSON, nullable=False),
)
# Embeddings of the portfolio's models that were computed from answers to the gateway; see `gateway.model_versions`. The
# deployment is "" for one of the model itself. At most one version of a model, and of each of its deployments, is live.
MODEL_VERSIONS = Table(
    "model_versions",
    METADATA,
    Column("id", ROW_ID, primary_key=True),
    Column("model", Text, nullable=False),
    Column("deployment", Text, nullable=False, server_default=text("''")),
    Column("version", BigInteger, nullable=False),
    Column("checkpoint", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("note", Text, nullable=False, server_default=text("''")),
    Column("evaluations", BigInteger, nullable=False),
    Column("time", Double, nullable=False),
    Column("live", Boolean, nullable=False),
    Column("embedding", LargeBinary, nullable=False),  # safetensors
    Column("used", Boolean, nullable=False, server_default=text("false")),  # is or was live
    Index("model_versions_by_number", "model", "deployment", "version", unique=True),
    Index(
        "model_versions_live",
        "model",
        "deployment",
        unique=True,
        sqlite_where=text("live"),
        postgresql_where=text("live"),
    ),
)
# How far routing trusts a model or, if the deployment is not "", one of its deployments.
MODEL_STATES = Table(
    "model_states",
    METADATA,
    Column("model", Text, primary_key=True),
    Column("deployment", Text, primary_key=True, server_default=text("''")),
    Column("state", Text, nullable=False),
    Column("reason", Text, nullable=False, server_default=text("''")),
    Column("since", Double, nullable=False),
    # Of the state "limited": the largest share of requests, and when it ends.
    Column("share", Double, nullable=False, server_default=text("1")),
    count("requests"),
    count("most_requests"),
    Column("target_error", Double),
)
# The UTC day of `ledger.time` as a text, by dialect.
DAY = {
    "sqlite": "date(time, 'unixepoch')",
    "postgresql": "to_char(to_timestamp(time) AT TIME ZONE 'UTC', 'YYYY-MM-DD')",
}
_SPEND = (
    "count(*) AS calls, sum(prompt_tokens) AS prompt_tokens, sum(cached_tokens) AS cached_tokens,"
    " sum(completion_tokens) AS completion_tokens, coalesce(sum(nusd), 0) / 1e9 AS usd,"
    " count(*) - count(nusd) AS unpriced_calls, count(CASE WHEN estimated THEN 1 END) AS estimated_calls FROM ledger"
)


def views(dialect: str) -> dict[str, str]:
    """The SQL of each view, for "sqlite" or "postgresql". Days are UTC."""
    day = DAY[dialect]
    return {
        "spend_by_day": f"SELECT {day} AS day, {_SPEND} GROUP BY {day}",
        "spend_by_key": (
            f"SELECT key_id, max(key_name) AS key_name, team, min({day}) AS first_day, max({day}) AS last_day, {_SPEND}"
            " GROUP BY key_id, team"
        ),
    }


def create_all(connection: Connection) -> None:
    """Create all tables, indexes and views in an empty database."""
    METADATA.create_all(connection, checkfirst=False)
    for name, sql in views(connection.dialect.name).items():
        connection.exec_driver_sql(f"CREATE VIEW {name} AS {sql}")
