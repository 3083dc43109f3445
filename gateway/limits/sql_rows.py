"""The rows of limits in the database: loads them, and writes them back. Every transaction on them takes one lock first."""

from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from gateway.limits.engine import BudgetTerm, Counted, Owner, Swept, Terms, WindowKey
from gateway.limits.exchange import LeaseRow, Rows, WindowRow

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Table
    from sqlalchemy.ext.asyncio import AsyncConnection

LOCK_ID = 0x10C6  # of PostgreSQL's advisory lock; an SQLite transaction that writes has the lock of the file
SWEPT_AT_ONCE = 100
RECENT_S = 3_600.0  # before the newest row of the ledger: leases that may still be in use


async def lock(connection: "AsyncConnection") -> None:
    """Waits until no other transaction works on limits."""
    if connection.dialect.name == "postgresql":
        await connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({LOCK_ID})")


async def database_clock(connection: "AsyncConnection") -> float:
    """PostgreSQL's clock, seconds since the epoch."""
    result = await connection.exec_driver_sql("SELECT extract(epoch FROM clock_timestamp())::float8")
    return float(result.scalar_one())


class StoredRows:
    """The rows of some leases and terms.

    Attributes:
        rows: for `gateway.limits.exchange`.
    """

    def __init__(self, connection: "AsyncConnection") -> None:
        self.rows = Rows()
        self._connection = connection
        self._terms: dict[WindowKey, BudgetTerm] = {}
        self._found: set[str] = set()

    async def load(self, leases: Sequence[str], terms: Iterable[Terms] = ()) -> Rows:
        """Loads the leases that exist, and all windows and counters that they and the terms are about; makes missing ones."""
        await self._load_leases(leases)
        counts: set[tuple[str, Counted]] = {
            (scope, "parallel") for lease in self.rows.leases.values() for scope in lease.parallel
        }
        for each in terms:
            self._terms |= {term.key: term for term in each.budgets}
            counts |= {(count.scope, count.kind) for count in each.counts}
        await self._load_windows(
            {key for lease in self.rows.leases.values() for key in lease.windows} | set(self._terms)
        )
        await self._load_cells(counts)
        return self.rows

    async def save(self) -> None:
        """Writes all rows back."""
        from gateway.store.tables import BUDGETS, LEASES, RATES

        rows = self.rows
        await self._put(
            BUDGETS,
            [
                {"scope": key.scope, "period": key.period, "start": key.start, "leases": window.leases}
                | {"spent_nusd": window.spent, "expected_nusd": window.expected, "worst_nusd": window.worst}
                | ({"limit_nusd": self._terms[key].limit} if key in self._terms else {})
                for key, window in rows.windows.items()
            ],
        )
        await self._put(RATES, [{"scope": s, "kind": kind, "cells": cells} for (s, kind), cells in rows.cells.items()])
        await self._put(LEASES, [_lease(id, lease) for id, lease in rows.leases.items()])
        if ended := self._found - rows.leases.keys():
            await self._connection.execute(LEASES.delete().where(LEASES.c.id.in_(ended)))

    async def _load_leases(self, leases: Sequence[str]) -> None:
        from gateway.store.tables import LEASES

        found = await self._connection.execute(LEASES.select().where(LEASES.c.id.in_(leases)))
        for row in found.mappings():
            windows = tuple(WindowKey(*window) for window in row["windows"])
            owner = Owner(row["key_id"], row["team"])
            money = row["spent_nusd"], row["expected_nusd"], row["worst_nusd"]
            end = row["deadline"], row["swept_nusd"], row["estimated_nusd"]
            lease = LeaseRow(owner, windows, tuple(row["parallel"]), row["began"], *money, row["places"], *end)
            self.rows.leases[row["id"]] = lease
        self._found = set(self.rows.leases)

    async def _load_windows(self, keys: Collection[WindowKey]) -> None:
        from gateway.store.tables import BUDGETS

        columns = [BUDGETS.c.scope, BUDGETS.c.period, BUDGETS.c.start]
        found = await self._connection.execute(BUDGETS.select().where(_among(columns, keys)))
        for row in found.mappings():
            key = WindowKey(row["scope"], row["period"], int(row["start"]))
            money = row["spent_nusd"], row["expected_nusd"], row["worst_nusd"]
            self.rows.windows[key] = WindowRow(*money, row["leases"])
        for key in keys - self.rows.windows.keys():
            spent = await spent_in(self._connection, self._terms[key]) if key in self._terms else 0
            self.rows.windows[key] = WindowRow(spent)

    async def _load_cells(self, counts: Collection[tuple[str, Counted]]) -> None:
        from gateway.store.tables import RATES

        self.rows.cells |= {key: {} for key in counts}
        found = await self._connection.execute(RATES.select().where(_among([RATES.c.scope, RATES.c.kind], counts)))
        for row in found.mappings():
            self.rows.cells[row["scope"], row["kind"]] = {
                int(second): amount for second, amount in row["cells"].items()
            }

    async def _put(self, table: "Table", rows: list[dict[str, Any]]) -> None:
        """Inserts rows, or replaces those with the same primary key."""
        from sqlalchemy.dialects import postgresql, sqlite

        insert = postgresql.insert if self._connection.dialect.name == "postgresql" else sqlite.insert
        for row in rows:
            statement = insert(table).values(row)
            key = [column.name for column in table.primary_key]
            values = {name: statement.excluded[name] for name in row if name not in key}
            await self._connection.execute(statement.on_conflict_do_update(index_elements=key, set_=values))


async def expired(connection: "AsyncConnection", now: float) -> list[str]:
    """The leases whose deadline has passed, and that were not swept yet."""
    from sqlalchemy import select

    from gateway.store.tables import LEASES

    where = LEASES.c.deadline < now, LEASES.c.swept_nusd.is_(None)
    return list(await connection.scalars(select(LEASES.c.id).where(*where).limit(SWEPT_AT_ONCE)))


async def delete_old(connection: "AsyncConnection", before: float) -> None:
    """Deletes the leases that were swept long ago."""
    from gateway.store.tables import LEASES

    await connection.execute(LEASES.delete().where(LEASES.c.deadline < before, LEASES.c.swept_nusd.is_not(None)))


async def spent_in(connection: "AsyncConnection", term: BudgetTerm) -> int:
    """What the ledger has of a window: it may have begun before its budget did."""
    from sqlalchemy import func, select

    from gateway.store.tables import LEDGER

    kind, _, name = term.key.scope.partition(":")
    column = LEDGER.c.key_id if kind == "key" else LEDGER.c.team
    where = column == name, LEDGER.c.time >= term.key.start, LEDGER.c.time < term.end
    return int(await connection.scalar(select(func.coalesce(func.sum(LEDGER.c.nusd), 0)).where(*where)) or 0)


async def recent_leases(connection: "AsyncConnection") -> list[str]:
    """The leases of which the ledger got a row lately."""
    from sqlalchemy import func, select

    from gateway.store.tables import LEDGER

    newest = await connection.scalar(select(func.max(LEDGER.c.time)))
    where = LEDGER.c.time > (newest or 0.0) - RECENT_S, LEDGER.c.lease.is_not(None)
    return list(await connection.scalars(select(LEDGER.c.lease).where(*where).distinct()))


async def of_leases(connection: "AsyncConnection", leases: Sequence[str]) -> dict[str, int]:
    """Nano-USD of the calls of each lease, without what was swept."""
    from sqlalchemy import func, select

    from gateway.store.tables import LEDGER

    of_calls = LEDGER.c.lease.in_(leases), LEDGER.c.request_id.is_not(None)
    sums = select(LEDGER.c.lease, func.coalesce(func.sum(LEDGER.c.nusd), 0)).where(*of_calls).group_by(LEDGER.c.lease)
    return {lease: int(nusd) for lease, nusd in await connection.execute(sums)}


async def add_to_ledger(connection: "AsyncConnection", swept: Iterable[Swept]) -> None:
    """Adds what was booked for leases that did not settle; negative where that is undone."""
    from gateway.store.tables import LEDGER

    rows = [
        {"time": one.time, "lease": one.lease, "key_id": one.owner.key_id, "team": one.owner.team, "nusd": one.nusd}
        | {"estimated": True}
        for one in swept
        if one.nusd
    ]
    if rows:
        await connection.execute(LEDGER.insert(), rows)


def _lease(id: str, lease: LeaseRow) -> dict[str, Any]:
    return {
        "id": id,
        "key_id": lease.owner.key_id,
        "team": lease.owner.team,
        "windows": [list(key) for key in lease.windows],
        "parallel": list(lease.parallel),
        "began": lease.began,
        "spent_nusd": lease.spent,
        "expected_nusd": lease.expected,
        "worst_nusd": lease.worst,
        "places": lease.places,
        "deadline": lease.deadline,
        "swept_nusd": lease.swept,
        "estimated_nusd": lease.estimated,
    }


def _among(columns: Sequence[Any], keys: Collection[tuple[Any, ...]]) -> "ColumnElement[bool]":
    from sqlalchemy import tuple_

    return tuple_(*columns).in_([tuple(key) for key in keys])
