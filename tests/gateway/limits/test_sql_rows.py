"""Rows of limits in both databases."""

from typing import Any

import pytest

from gateway.config.access import Access, Budget, Grant, Limits, NewKey
from gateway.config.database_location import DatabaseLocation
from gateway.core.identity import KeyIdentity
from gateway.keys.store import KeyStore
from gateway.limits.engine import LimitsAway, Owner, Swept
from gateway.limits.limiter import Limiter
from gateway.limits.sql import SqlEngine, book
from gateway.limits.sql_rows import add_to_ledger
from gateway.record.spending import sums_by
from gateway.store.database import Database
from gateway.store.tables import BUDGETS, LEASES, LEDGER
from gateway.store.usage_tables import USAGE_DAILY, USAGE_HOURLY
from tests.gateway.store.engines import location

__all__ = ["location"]  # a fixture
pytestmark = pytest.mark.anyio


async def test_what_is_booked_for_a_killed_process_has_the_name_of_its_key(location: DatabaseLocation) -> None:
    database = Database(location)
    made, _ = await KeyStore(database, None, Access).create(NewKey(name="made"))
    owners = Owner("file:ci", "build"), Owner(made.id, None), Owner("gone", None)
    async with database.begin() as connection:
        await add_to_ledger(connection, [Swept("lease", owner, 1.0, 5) for owner in owners])
        rows = await connection.run_sync(sums_by, ["key"])
    await database.close()
    assert {row["key"] for row in rows} == {"ci", "made", "gone"}


async def test_what_is_booked_for_a_killed_process_is_in_the_sums_too(location: DatabaseLocation) -> None:
    database = Database(location)
    async with database.begin() as connection:
        await add_to_ledger(
            connection, [Swept("a", Owner("file:ci", "build"), 7_201.0, 5), Swept("b", Owner("k", None), 1.0, 3)]
        )
        await add_to_ledger(connection, [Swept("a", Owner("file:ci", "build"), 7_300.0, -2)])  # it was alive after all
        found = await connection.execute(USAGE_HOURLY.select().order_by(USAGE_HOURLY.c.hour))
        rows = [(row.hour, row.key_id, row.team, row.nusd, row.requests) for row in found]
        days = await connection.execute(USAGE_DAILY.select().order_by(USAGE_DAILY.c.key_id))
        assert [(row.day, row.key_id, row.nusd) for row in days] == [(0, "file:ci", 3), (0, "k", 3)]
    await database.close()
    assert rows == [(0, "k", "", 3, 0), (7_200, "file:ci", "build", 3, 0)]


@pytest.mark.parametrize("known", [False, True])
async def test_what_was_spent_while_the_database_did_not_answer_counts(location: DatabaseLocation, known: bool) -> None:
    """Also if the key was not in use before, so that the database had no lease for it."""
    day = Budget(1_000, "day"), Budget(1_000, "ever")
    keys = [Grant(KeyIdentity(name, name, "t"), scopes=((("team", "t"), Limits(day)),)) for name in ("one", "two")]
    away, database = [False], Database(location)

    class Away(SqlEngine):
        async def exchange(self, *asks: Any) -> Any:
            if away[0]:
                raise LimitsAway("away")
            return await super().exchange(*asks)

    async def spend(grant: Grant) -> None:
        hold = await limiter.admit(grant)
        await hold.reserve(10, 10, 0)
        hold.settle(10, 0)
        row = {"time": limiter.now, "request_id": "r", "lease": hold.lease, "key_id": grant.identity.id, "team": "t"}
        rows.append(row | {"nusd": 10})

    limiter = Limiter(Away(database))
    rows: list[dict[str, Any]] = []
    if known:
        await spend(keys[0])
    else:
        await limiter.current(keys[0])
    away[0] = True
    await spend(keys[1])
    async with database.begin() as connection:
        await connection.execute(LEDGER.insert(), rows)
        await book(connection, {row["lease"]: 10 for row in rows})
    away[0] = False
    await limiter.refresh()
    async with limiter:
        pass
    async with database.read() as connection:
        spent = list(await connection.scalars(BUDGETS.select().with_only_columns(BUDGETS.c.spent_nusd)))
        leases = list(await connection.scalars(LEASES.select()))
    await database.close()
    assert spent == [10 * len(rows)] * 2
    assert not leases
