"""The table of replays that were asked for over HTTP; see `gateway.store.tables`."""

from sqlalchemy import JSON, Column, Double, Index, Table, Text, text

from gateway.store.metadata import METADATA

REPLAY_JOBS = Table(
    "replay_jobs",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("options", JSON, nullable=False),  # without the text of a portfolio, which may hold secrets
    Column("state", Text, nullable=False),  # running, done, failed or interrupted
    Column("reason", Text, nullable=False, server_default=text("''")),
    Column("owner", Text, nullable=False),  # the process that runs it
    Column("beat", Double, nullable=False),
    Column("created", Double, nullable=False),
    Column("ended", Double),
    Column("result", Text),  # JSON
    Index("replay_jobs_by_time", "created"),
)
