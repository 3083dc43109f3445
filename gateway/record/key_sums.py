"""What keys and teams have used, from the sums by hour: no request is read. Imports SQLAlchemy."""

from collections.abc import Collection, Mapping
from typing import Literal, NamedTuple

from sqlalchemy import ColumnElement, Connection, Table, Text, func, literal_column, select

from gateway.store.tables import DAY
from gateway.store.usage_tables import USAGE_DAILY, USAGE_HOURLY

_AT_ONCE = 500  # SQLite limits the variables of one statement


class DaySums(NamedTuple):
    """One UTC day of a key.

    Attributes:
        day: such as 2026-11-01.
        unpriced_calls: calls whose price is not known, so that they are not in `nusd`.
    """

    day: str
    nusd: int
    requests: int
    errors: int
    unpriced_calls: int


def days_of_key(connection: Connection, key_id: str, since: float) -> list[DaySums]:
    """The days on which a key was used, the oldest first.

    Args:
        since: seconds since the epoch, the beginning of an hour.
    """
    c = USAGE_HOURLY.c
    day = literal_column(DAY[connection.dialect.name].replace("(time", "(hour"), Text()).label("day")
    sums = [func.sum(c[name]) for name in DaySums._fields[1:]]
    query = select(day, *sums).where(c.key_id == key_id, c.hour >= since).group_by(day).order_by(day)
    return [DaySums(name, *map(int, numbers)) for name, *numbers in connection.execute(query)]


def spent_since(
    connection: Connection, kind: Literal["key", "team"], names: Collection[str], since: float
) -> Mapping[str, int]:
    """Nano-USD by the id of a key or the name of a team; those that have spent nothing are missing.

    Args:
        since: seconds since the epoch; the hour that it is in counts.
    """
    hour = USAGE_HOURLY.c.hour
    return _spent(connection, USAGE_HOURLY, kind, names, hour > since - 3600)


def spent_on_days(
    connection: Connection, kind: Literal["key", "team"], names: Collection[str], since: float
) -> Mapping[str, int]:
    """The same for many keys or teams, by the sums of UTC days.

    Args:
        since: seconds since the epoch, the beginning of a day.
    """
    return _spent(connection, USAGE_DAILY, kind, names, USAGE_DAILY.c.day >= since)


def _spent(
    connection: Connection,
    table: Table,
    kind: Literal["key", "team"],
    names: Collection[str],
    period: ColumnElement[bool],
) -> Mapping[str, int]:
    column, asked = table.c["key_id" if kind == "key" else "team"], sorted(names)
    found = {}
    for begin in range(0, len(asked), _AT_ONCE):
        some = column.in_(asked[begin : begin + _AT_ONCE])
        query = select(column, func.sum(table.c.nusd)).where(some, period).group_by(column)
        found.update({name: int(nusd) for name, nusd in connection.execute(query)})
    return found
