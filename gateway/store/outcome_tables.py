"""The tables about how good answers were; see `gateway.store.tables`."""

from sqlalchemy import Column, Double, Index, LargeBinary, Table, Text, text

from gateway.store.metadata import METADATA

# How good answers were: what clients, graders and importers say. One row for each request and source; a later one replaces it.
OUTCOMES = Table(
    "outcomes",
    METADATA,
    Column("request_id", Text, primary_key=True),
    Column("source", Text, primary_key=True),  # the id of a gateway key, `grader:NAME` or `import:NAME`
    Column("kind", Text, nullable=False),  # exact, judge or feedback
    Column("model", Text, nullable=False),
    Column("deployment", Text),
    Column("checkpoint", Text),
    Column("encoding", LargeBinary),  # as in `requests`; null: nothing can be learned from the outcome
    Column("surface", LargeBinary),
    Column("score", Double),  # null: revoked
    Column("reliability", Double, nullable=False, server_default=text("1")),
    Column("time", Double, nullable=False),  # of the request
    Column("written", Double, nullable=False),
    Column("priority", Double, nullable=False),  # of a model's outcomes from one source, the highest ones are kept
    Column("comment", Text),  # with `store_prompts` only
    Column("expected", Text),
    Index("outcomes_by_priority", "model", "source", "priority"),
    Index("outcomes_by_written", "written"),
)
# The `idempotency-key` headers of the last day, and what was answered.
FEEDBACK_KEYS = Table(
    "feedback_keys",
    METADATA,
    Column("source", Text, primary_key=True),
    Column("idempotency_key", Text, primary_key=True),
    Column("digest", LargeBinary, nullable=False),  # of the body
    Column("answer", LargeBinary, nullable=False),
    Column("time", Double, nullable=False),
    Index("feedback_keys_by_time", "time"),
)
