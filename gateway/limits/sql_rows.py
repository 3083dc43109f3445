"""The rows of limits in the database: loads them, and writes them back. Every transaction on them takes one lock first."""

from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import orjson

from gateway.config.access_reader import FILE_KEY
from gateway.limits.engine import Ask, BudgetTerm, Counted, Owner, Swept, Terms, WindowKey
from gateway.limits.exchange import LeaseRow, Rows, WindowRow

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

LOCK_ID = 0x10C6  # of PostgreSQL's advisory lock; an SQLite transaction that writes has the lock of the file
SWEPT_AT_ONCE = 100
SELECTED_AT_ONCE = 200
RECENT_S = 3_600.0  # before the newest row of the ledger: leases that may still be in use

_MONEY = ("spent_nusd", "expected_nusd", "worst_nusd")
_BUDGET = ("scope", "period", "start", "limit_nusd", *_MONEY, "leases")
_RATE = ("scope", "kind", "cells")
_LEASE = (
    *("id", "key_id", "team", "windows", "parallel", "began", *_MONEY),
    *("places", "deadline", "swept_nusd", "estimated_nusd"),
)


class StoredRows:
    """The rows of some leases and terms.

    Attributes:
        rows: for `gateway.limits.exchange`.
    """

    def __init__(self, connection: "AsyncConnection") -> None:
        self.rows = Rows()
        self._connection = connection
        self._mark = "?" if connection.dialect.name == "sqlite" else "%s"
        self._terms: dict[WindowKey, BudgetTerm] = {}
        self._found: set[str] = set()
        self._summed: set[WindowKey] = set()  # new windows, whose spending is the sum of the ledger
        self._loaded: dict[str, set[tuple[Any, ...]]] = {}

    async def load(self, leases: Sequence[str], terms: Iterable[Terms] = ()) -> Rows:
        """Loads the leases that exist, and all windows and counters that they and the terms are about; makes missing ones."""
        for row in await self._select("leases", _LEASE, ("id",), [(lease,) for lease in leases]):
            id, key_id, team, windows, parallel, *amounts = row
            keys = tuple(WindowKey(*window) for window in _parsed(windows))
            self.rows.leases[id] = LeaseRow(Owner(key_id, team), keys, tuple(_parsed(parallel)), *amounts)
        self._found = set(self.rows.leases)
        counts: set[tuple[str, Counted]] = {
            (scope, "parallel") for lease in self.rows.leases.values() for scope in lease.parallel
        }
        for each in terms:
            self._terms |= {term.key: term for term in each.budgets}
            counts |= {(count.scope, count.kind) for count in each.counts}
        await self._load_windows(
            {key for lease in self.rows.leases.values() for key in lease.windows} | set(self._terms)
        )
        self.rows.cells |= {key: {} for key in counts}
        for scope, kind, cells in await self._select("rates", _RATE, _RATE[:2], sorted(counts)):
            self.rows.cells[scope, kind] = {int(second): amount for second, amount in _parsed(cells).items()}
        self._loaded = self._values()
        return self.rows

    async def windows(self, keys: Collection[WindowKey]) -> dict[WindowKey, WindowRow]:
        """Those of the windows that exist."""
        found = {}
        for row in await self._select("budgets", _BUDGET, _BUDGET[:3], sorted(keys)):
            scope, period, start, _, spent, expected, worst, leases = row
            found[WindowKey(scope, period, int(start))] = WindowRow(spent, expected, worst, leases)
        return found

    async def save(self) -> None:
        """Writes those rows back that have changed."""
        for table, columns, key in (("budgets", _BUDGET, 3), ("rates", _RATE, 2), ("leases", _LEASE, 1)):
            changed = [row for row in self._values()[table] if row not in self._loaded[table]]
            if changed:
                await self._connection.exec_driver_sql(_put(table, columns, key, self._mark), sorted(changed, key=repr))
        if ended := [(lease,) for lease in sorted(self._found - self.rows.leases.keys())]:
            await self._connection.exec_driver_sql(f"DELETE FROM leases WHERE id = {self._mark}", ended)

    def _values(self) -> dict[str, set[tuple[Any, ...]]]:
        """All rows as the tables have them."""
        rows = self.rows
        return {
            "budgets": {
                (*key, self._terms[key].limit if key in self._terms else None, *_of_window(window))
                for key, window in rows.windows.items()
            },
            "rates": {
                (*key, _json({str(second): n for second, n in cells.items()})) for key, cells in rows.cells.items()
            },
            "leases": {(id, *_of_lease(lease)) for id, lease in rows.leases.items()},
        }

    async def _load_windows(self, keys: set[WindowKey]) -> None:
        self.rows.windows |= await self.windows(keys)
        for key in sorted(keys - self.rows.windows.keys()):
            spent = await spent_in(self._connection, self._terms[key]) if key in self._terms else 0
            self.rows.windows[key] = WindowRow(spent)
            self._summed.add(key)

    async def recorded(self, ask: Ask) -> int:
        """Nano-USD that the ledger has of a lease that is not known yet, for `exchange` to book.

        Its process used it while the database did not answer.
        """
        if not ask.spent:
            return 0
        nusd = (await of_leases(self._connection, [ask.lease])).get(ask.lease, 0)
        for term in ask.terms.budgets:
            if term.key in self._summed:
                self.rows.windows[term.key].spent -= nusd  # it is in the sum already
        return nusd

    async def _select(
        self, table: str, columns: Sequence[str], key: Sequence[str], values: Sequence[tuple[Any, ...]]
    ) -> list[Any]:
        """The rows with these primary keys. By the driver itself: SQLAlchemy would take three times as long."""
        found: list[Any] = []
        one = "(" + " AND ".join(f"{name} = {self._mark}" for name in key) + ")"
        for begin in range(0, len(values), SELECTED_AT_ONCE):
            some = values[begin : begin + SELECTED_AT_ONCE]
            sql = f"SELECT {', '.join(columns)} FROM {table} WHERE {' OR '.join([one] * len(some))}"
            result = await self._connection.exec_driver_sql(sql, tuple(value for each in some for value in each))
            found += result.fetchall()
        return found


async def shorten(connection: "AsyncConnection", latest: float) -> None:
    """Lets no lease in use end after `latest`: if the clock has gone back, a killed process would keep its lease for long."""
    from sqlalchemy import update

    from gateway.store.tables import LEASES

    where = LEASES.c.deadline > latest, LEASES.c.swept_nusd.is_(None)
    await connection.execute(update(LEASES).where(*where).values(deadline=latest))


async def expired(connection: "AsyncConnection", now: float, killed: Collection[str] = ()) -> list[str]:
    """The leases whose deadline has passed, or whose process was killed, and that were not swept yet."""
    from sqlalchemy import or_, select

    from gateway.store.tables import LEASES

    of_killed = [LEASES.c.id.startswith(f"{process}/", autoescape=True) for process in killed]
    where = or_(LEASES.c.deadline < now, *of_killed), LEASES.c.swept_nusd.is_(None)
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
    from sqlalchemy import select

    from gateway.store.tables import KEYS, LEDGER

    swept = [one for one in swept if one.nusd]
    if not swept:
        return
    ids = {one.owner.key_id for one in swept if one.owner.key_id is not None}
    names = {id: id.removeprefix(FILE_KEY) for id in ids if id.startswith(FILE_KEY)}
    names |= {row.id: row.name for row in await connection.execute(select(KEYS).where(KEYS.c.id.in_(ids)))}
    rows = [
        {"time": one.time, "lease": one.lease, "key_id": one.owner.key_id, "team": one.owner.team, "nusd": one.nusd}
        | {"estimated": True, "key_name": names.get(one.owner.key_id or "")}
        for one in swept
    ]
    await connection.execute(LEDGER.insert(), rows)
    await _add_to_sums(connection, swept, "hour", 3600)
    await _add_to_sums(connection, swept, "day", 86_400)


async def _add_to_sums(connection: "AsyncConnection", swept: Iterable[Swept], period: str, seconds: int) -> None:
    """Adds the same money to the sums by hour or by day, in order: recorders take locks in the same order."""
    from sqlalchemy import text

    sums: dict[tuple[int, str, str], int] = {}
    for one in swept:
        key = int(one.time) // seconds * seconds, one.owner.key_id or "", one.owner.team or ""
        sums[key] = sums.get(key, 0) + one.nusd
    table = {"hour": "usage_hourly", "day": "usage_daily"}[period]
    sql = (
        f"INSERT INTO {table} ({period}, key_id, team, model, policy, nusd) VALUES (:start, :key_id, :team, '', '', :nusd)"
        f" ON CONFLICT ({period}, key_id, team, model, policy) DO UPDATE SET nusd = {table}.nusd + excluded.nusd"
    )
    values = [
        dict(zip(("start", "key_id", "team", "nusd"), (*key, nusd), strict=True)) for key, nusd in sorted(sums.items())
    ]
    await connection.execute(text(sql), values)


def _of_window(window: WindowRow) -> tuple[int, ...]:
    return window.spent, window.expected, window.worst, window.leases


def _of_lease(lease: LeaseRow) -> tuple[Any, ...]:
    windows, parallel = _json([list(key) for key in lease.windows]), _json(list(lease.parallel))
    money = lease.spent, lease.expected, lease.worst
    return (
        *lease.owner,
        windows,
        parallel,
        lease.began,
        *money,
        lease.places,
        lease.deadline,
        lease.swept,
        lease.estimated,
    )


def _json(value: object) -> str:
    return orjson.dumps(value).decode()


def _parsed(value: Any) -> Any:
    """The value of a JSON column: the driver of PostgreSQL parses it."""
    return orjson.loads(value) if isinstance(value, str) else value


def _put(table: str, columns: Sequence[str], key: int, mark: str) -> str:
    """SQL that inserts a row, or replaces the one with the same primary key, which is the first columns."""
    kept = f"coalesce(excluded.limit_nusd, {table}.limit_nusd)"
    changed = ", ".join(f"{name} = {kept if name == 'limit_nusd' else f'excluded.{name}'}" for name in columns[key:])
    values = ", ".join([mark] * len(columns))
    return (
        f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({values})"
        f" ON CONFLICT ({', '.join(columns[:key])}) DO UPDATE SET {changed}"
    )
