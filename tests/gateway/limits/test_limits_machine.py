"""The bounds hold, and what is spent is in the ledger, whatever happens in whatever order, on every store."""

from collections.abc import Iterator, Mapping, Sequence

import pytest
from hypothesis.stateful import run_state_machine_as_test

from gateway.config.database_location import DatabaseLocation
from gateway.limits.engine import BudgetTerm, Engine, Swept, WindowKey
from gateway.limits.exchange import WindowRow
from gateway.limits.memory import MemoryEngine
from gateway.limits.sql import SqlEngine, book
from gateway.limits.valkey import Recorded, ValkeyEngine
from gateway.store.database import Database
from gateway.store.tables import BUDGETS, LEASES, LEDGER, RATES
from tests.gateway.limits.machine import SETTINGS, LimitsMachine, Row
from tests.gateway.store.engines import location
from tests.gateway.valkey import ValkeyServer, valkey_server

__all__ = ["location"]  # a fixture


class OnMemory(LimitsMachine):
    async def open(self) -> Engine:
        return MemoryEngine(self.clock, self.recorded)

    async def windows(self) -> dict[WindowKey, WindowRow]:
        assert isinstance(self.engine, MemoryEngine)
        return self.engine.rows.windows


class OnSql(LimitsMachine):
    corrects_late_rows = True
    location: DatabaseLocation

    async def open(self) -> Engine:
        self.database = Database(self.location)
        async with self.database.begin() as connection:
            for table in (BUDGETS, LEASES, RATES, LEDGER):
                await connection.execute(table.delete())
        return SqlEngine(self.database, self.clock)

    async def close(self) -> None:
        await self.database.close()

    async def write(self, rows: list[Row]) -> None:
        """As the recorder does."""
        spent: dict[str, int] = {}
        for row in rows:
            spent[row.lease] = spent.get(row.lease, 0) + row.nusd
        async with self.database.begin() as connection:
            for row in rows:
                of_row = {"time": row.time, "lease": row.lease, "key_id": row.key, "team": row.team, "nusd": row.nusd}
                await connection.execute(LEDGER.insert().values(request_id="r", **of_row))
            await book(connection, spent)

    async def windows(self) -> dict[WindowKey, WindowRow]:
        async with self.database.read() as connection:
            found = await connection.execute(BUDGETS.select())
        return {
            WindowKey(row.scope, row.period, row.start): WindowRow(
                row.spent_nusd, row.expected_nusd, row.worst_nusd, row.leases
            )
            for row in found
        }

    async def written(self) -> list[Row]:
        async with self.database.read() as connection:
            found = await connection.execute(LEDGER.select())
        return [Row(row.lease, row.key_id, row.team, row.nusd, row.time, row.request_id is None) for row in found]


def test_sql(location: DatabaseLocation) -> None:
    class OnDatabase(OnSql):
        pass

    OnDatabase.location = location
    run_state_machine_as_test(OnDatabase, settings=SETTINGS)


def test_memory() -> None:
    run_state_machine_as_test(OnMemory, settings=SETTINGS)


@pytest.fixture(scope="module")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ValkeyServer]:
    with valkey_server(tmp_path_factory.mktemp("valkey")) as server:
        yield server


def test_valkey(valkey: ValkeyServer) -> None:
    class OnValkey(LimitsMachine):
        async def open(self) -> Engine:
            from redis.asyncio import Redis

            self.client = Redis(port=valkey.port)
            await self.client.flushdb()
            return ValkeyEngine(valkey.url, self, self.clock, timeout_s=5.0)

        async def close(self) -> None:
            assert isinstance(self.engine, ValkeyEngine)
            await self.engine.aclose()
            await self.client.aclose()

        async def of_window(self, term: BudgetTerm) -> Recorded:
            return Recorded(sum(row.nusd for row in self.ledger if self.in_window(row, term.key)), {})

        async def of_leases(self, leases: Sequence[str]) -> Mapping[str, int]:
            return {lease: self.recorded(lease) for lease in leases}

        async def add(self, swept: Sequence[Swept]) -> None:
            self.swept(list(swept))

        async def windows(self) -> dict[WindowKey, WindowRow]:
            rows = {}
            async for key in self.client.scan_iter("locus:{limits}:window:*"):
                period, start, scope = key.decode().split(":", 5)[3:]
                row = await self.client.hgetall(key)
                rows[WindowKey(scope, period, int(start))] = WindowRow(
                    *(int(row[name]) for name in (b"spent", b"expected", b"worst", b"leases"))
                )
            return rows

    run_state_machine_as_test(OnValkey, settings=SETTINGS)
