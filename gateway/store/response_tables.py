"""The tables of stored responses; see `gateway.api.responses.store`."""

from sqlalchemy import BigInteger, Column, Double, Index, LargeBinary, Table, Text, text

from gateway.store.metadata import METADATA, ROW_ID

# Stored responses of the Responses API. A chain is a conversation.
CHAINS = Table(
    "chains",
    METADATA,
    Column("chain", ROW_ID, primary_key=True),
    Column("used", Double, nullable=False),
    Column("rows", BigInteger, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("owner", Text, nullable=False, server_default=text("''")),
    Index("chains_used", "used"),
    Index("chains_owner", "owner", "used"),
)
RESPONSES = Table(
    "responses",
    METADATA,
    Column("owner", Text, primary_key=True),
    Column("id", Text, primary_key=True),
    Column("chain", BigInteger, nullable=False),
    Column("previous", Text),
    Column("session", Text),
    Column("bytes", BigInteger, nullable=False),
    Column("input", LargeBinary, nullable=False),
    Column("response", LargeBinary, nullable=False),
    Column("output", LargeBinary, nullable=False),
    Index("responses_chain", "chain"),
)
ITEMS = Table(
    "items",
    METADATA,
    Column("owner", Text, primary_key=True),
    Column("id", Text, primary_key=True),
    Column("response", Text, nullable=False),
    Column("chain", BigInteger, nullable=False),
    Index("items_chain", "chain"),
    sqlite_with_rowid=False,
)
