"""The table of the console's sessions; see `gateway.console.sessions`."""

from sqlalchemy import Column, Double, LargeBinary, Table, Text

from gateway.store.metadata import METADATA

CONSOLE_SESSIONS = Table(
    "console_sessions",
    METADATA,
    Column("id", LargeBinary, primary_key=True),  # digest of the value of the cookie
    Column("key_id", Text),  # null: of the admin key
    Column("digest", LargeBinary, nullable=False),  # of the key that opened the session
    Column("created", Double, nullable=False),
    Column("used", Double, nullable=False),
)
