"""Limits in the database of the gateway: an SQLite file that the workers of one machine share, or PostgreSQL.

What was spent is booked when the ledger is written, in the same transaction (`book`), so that the budgets always agree with it.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

from gateway.core.vocabulary import Clock
from gateway.limits import sql_rows
from gateway.limits.engine import LEASE_S, TOMB_S, Answer, Ask, LimitsAway, Swept, WindowKey, WindowState
from gateway.limits.exchange import book_in_use, exchange, sweep
from gateway.limits.sql_rows import StoredRows
from gateway.store.clock import database_clock, lock
from gateway.store.database import Database, DatabaseUnavailable

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection


class SqlEngine:
    """An engine over a database.

    Args:
        clock: seconds since the epoch, for tests that move the time; None: PostgreSQL's own clock, or that of the machine.
    """

    def __init__(self, database: Database, clock: Clock | None = None) -> None:
        self._database = database
        self._clock = clock

    async def exchange(self, asks: Sequence[Ask]) -> list[Answer]:
        try:
            async with self._database.begin() as connection:
                now = await self._begin(connection)
                stored = StoredRows(connection)
                rows = await stored.load([ask.lease for ask in asks], [ask.terms for ask in asks])
                answers, corrections = [], []
                for ask in asks:
                    lease = rows.leases.get(ask.lease)
                    booked = await stored.recorded(ask) if lease is None else lease.spent
                    answer, correction = exchange(rows, ask._replace(spent=booked), now)
                    answers.append(answer)
                    corrections += [] if correction is None else [correction]
                await stored.save()
                await sql_rows.add_to_ledger(connection, corrections)
                return answers
        except DatabaseUnavailable as exc:
            raise LimitsAway(str(exc)) from exc

    async def windows(self, keys: Sequence[WindowKey]) -> Mapping[WindowKey, WindowState]:
        try:
            async with self._database.read() as connection:
                rows = await StoredRows(connection).windows(keys)
        except DatabaseUnavailable as exc:
            raise LimitsAway(str(exc)) from exc
        return {key: WindowState(row.spent, row.expected, row.worst) for key, row in rows.items()}

    async def sweep(self, killed: Collection[str] = ()) -> list[Swept]:
        """See `Engine.sweep`; the ledger is written here already."""
        try:
            async with self._database.begin() as connection:
                now = await self._begin(connection)
                await sql_rows.shorten(connection, now + LEASE_S)
                stored = StoredRows(connection)
                rows = await stored.load(await sql_rows.expired(connection, now, killed))
                swept = [sweep(rows, lease, now) for lease in rows.leases]
                await stored.save()
                await sql_rows.add_to_ledger(connection, swept)
                await sql_rows.delete_old(connection, now - TOMB_S)
        except DatabaseUnavailable as exc:
            raise LimitsAway(str(exc)) from exc
        return []

    async def _begin(self, connection: "AsyncConnection") -> float:
        """Waits for other transactions on limits, and returns the time."""
        await lock(connection, sql_rows.LOCK_ID)
        return await database_clock(connection) if self._clock is None else self._clock()


async def book(connection: "AsyncConnection", spent: Mapping[str, int]) -> None:
    """Counts what leases have spent, in the transaction that writes the ledger; call it last, because it locks.

    Args:
        spent: nano-USD by lease.
    """
    await lock(connection, sql_rows.LOCK_ID)
    stored = StoredRows(connection)
    rows = await stored.load(sorted(spent))
    corrections = [book_in_use(rows, lease, spent[lease]) for lease in rows.leases]
    await stored.save()
    await sql_rows.add_to_ledger(connection, [one for one in corrections if one is not None])
