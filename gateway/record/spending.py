"""Sums of the ledger, and of what the exact cache saved."""

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, RowMapping, Text, case, func, literal_column, select

from gateway.config.access_reader import FILE_KEY
from gateway.store.tables import DAY, KEYS, LEDGER
from gateway.store.usage_tables import USAGE_HOURLY

HOUR_S = 3600
_NUMBERS = (
    "calls",
    "prompt_tokens",
    "cached_tokens",
    "completion_tokens",
    "nusd",
    "unpriced_calls",
    "estimated_calls",
)
_NO_SAVINGS = {"cache_hits": 0, "saved_nusd": 0}


def sums_by(
    connection: Connection, by: Sequence[str], since: float | None = None, until: float | None = None
) -> list[dict[str, Any]]:
    """Return the sums of the billed calls, one row per group, the most expensive first; by day alone, the oldest first.

    `cache_hits` and `saved_nusd` are of the answers that the cache gave instead of a call; they are known by the hour.

    Args:
        by: of `SPENDING_GROUPS`.
        since, until: from the first until before the second, seconds since the epoch.
    """
    rows = {tuple(row[name] for name in by): row | _NO_SAVINGS for row in _billed(connection, by, since, until)}
    for row in _saved(connection, by, since, until):
        group = tuple(row[name] for name in by)
        rows[group] = rows.get(group, {name: row[name] for name in by} | dict.fromkeys(_NUMBERS, 0)) | row
    if list(by) == ["day"]:
        return sorted(rows.values(), key=lambda row: str(row["day"]))
    return sorted(rows.values(), key=lambda row: (-row["nusd"], *(str(row[name]) for name in by)))


def _billed(
    connection: Connection, by: Sequence[str], since: float | None, until: float | None
) -> list[dict[str, Any]]:
    c = LEDGER.c
    groups = [_group(name, connection.dialect.name).label(name) for name in by]
    query = select(
        *groups,
        func.count().label("calls"),
        *(func.sum(c[name]).label(name) for name in ("prompt_tokens", "cached_tokens", "completion_tokens")),
        func.coalesce(func.sum(c.nusd), 0).label("nusd"),
        (func.count() - func.count(c.nusd)).label("unpriced_calls"),
        func.count(case((c.estimated, 1))).label("estimated_calls"),
    ).group_by(*groups)
    if since is not None:
        query = query.where(c.time >= since)
    if until is not None:
        query = query.where(c.time < until)
    return _rows(connection.execute(query).mappings(), _NUMBERS)


def _saved(connection: Connection, by: Sequence[str], since: float | None, until: float | None) -> list[dict[str, Any]]:
    c = USAGE_HOURLY.c
    key = func.coalesce(KEYS.c.name, func.replace(func.nullif(c.key_id, ""), FILE_KEY, ""))
    day = literal_column(DAY[connection.dialect.name].replace("(time", "(hour"), Text())
    of_name: dict[str, ColumnElement[Any]] = {
        "key": key,
        "day": day,
        **{name: func.nullif(c[name], "") for name in ("model", "team", "policy")},
    }
    groups = [of_name[name].label(name) for name in by]
    sums = [func.sum(c[name]).label(name) for name in _NO_SAVINGS]
    columns: list[ColumnElement[Any]] = [*groups, *sums]
    query = select(*columns).select_from(USAGE_HOURLY.outerjoin(KEYS, KEYS.c.id == c.key_id))
    query = query.where(c.cache_hits > 0).group_by(*groups)
    if since is not None:
        query = query.where(c.hour > since - HOUR_S)
    if until is not None:
        query = query.where(c.hour < until)
    return _rows(connection.execute(query).mappings(), _NO_SAVINGS)


def _rows(found: Iterable[RowMapping], numbers: Iterable[str]) -> list[dict[str, Any]]:
    """The rows; PostgreSQL's sums of whole numbers are decimals."""
    return [dict(row) | {name: int(row[name]) for name in numbers} for row in found]


def _group(name: str, dialect: str) -> ColumnElement[str | None]:
    if name == "day":
        return literal_column(DAY[dialect], Text())
    return func.coalesce(LEDGER.c.key_name, LEDGER.c.key_id) if name == "key" else LEDGER.c[name]
