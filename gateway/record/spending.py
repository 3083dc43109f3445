"""Sums of the ledger."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Text, case, func, literal_column, select

from gateway.store.tables import DAY, LEDGER


def sums_by(
    connection: Connection, by: Sequence[str], since: float | None = None, until: float | None = None
) -> list[dict[str, Any]]:
    """Return the sums of the billed calls, one row per group, the most expensive first; by day alone, the oldest first.

    Args:
        by: of `SPENDING_GROUPS`.
        since, until: from the first until before the second, seconds since the epoch.
    """
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
    # PostgreSQL's sums of whole numbers are decimals.
    numbers = (
        "calls",
        "prompt_tokens",
        "cached_tokens",
        "completion_tokens",
        "nusd",
        "unpriced_calls",
        "estimated_calls",
    )
    rows = [dict(row) | {name: int(row[name]) for name in numbers} for row in connection.execute(query).mappings()]
    if list(by) == ["day"]:
        return sorted(rows, key=lambda row: str(row["day"]))
    return sorted(rows, key=lambda row: (-row["nusd"], *(str(row[name]) for name in by)))


def _group(name: str, dialect: str) -> ColumnElement[str | None]:
    if name == "day":
        return literal_column(DAY[dialect], Text())
    return func.coalesce(LEDGER.c.key_name, LEDGER.c.key_id) if name == "key" else LEDGER.c[name]
