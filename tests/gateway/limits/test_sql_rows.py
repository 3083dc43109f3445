"""Rows of limits in both databases."""

import pytest

from gateway.config.access import Access, NewKey
from gateway.config.database_location import DatabaseLocation
from gateway.keys.store import KeyStore
from gateway.limits.engine import Owner, Swept
from gateway.limits.sql_rows import add_to_ledger
from gateway.record.spending import sums_by
from gateway.store.database import Database
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
