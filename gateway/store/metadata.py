"""What all tables of the database share: the collection that they are in, and kinds of columns."""

from sqlalchemy import BigInteger, Column, Integer, MetaData, text

METADATA = MetaData()
# SQLite numbers the rows of an `INTEGER PRIMARY KEY` itself.
ROW_ID = BigInteger().with_variant(Integer(), "sqlite")


def count(name: str) -> Column[int]:
    """A column of numbers that begin at 0."""
    return Column(name, BigInteger, nullable=False, server_default=text("0"))
