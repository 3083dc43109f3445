"""The bounds hold, and what is spent is in the ledger, whatever happens in whatever order, on every store."""

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
from hypothesis.stateful import run_state_machine_as_test
from redis.asyncio import Redis

from gateway.config.access import Budget, Grant, Limits
from gateway.config.database_location import DatabaseLocation
from gateway.core.errors import RateLimited
from gateway.core.identity import KeyIdentity
from gateway.limits.engine import BudgetTerm, Engine, Swept, WindowKey
from gateway.limits.exchange import WindowRow
from gateway.limits.limiter import TICK_S, Limiter
from gateway.limits.memory import MemoryEngine
from gateway.limits.processes import Processes
from gateway.limits.sql import SqlEngine, book
from gateway.limits.sql_ledger import SqlLedger
from gateway.limits.terms import terms_at
from gateway.limits.valkey import Recorded, ValkeyEngine
from gateway.store.database import Database
from gateway.store.tables import BUDGETS, LEASES, LEDGER, RATES
from tests.gateway.limits.machine import SETTINGS, START, LimitsMachine, Row
from tests.gateway.live import Time
from tests.gateway.store.engines import location
from tests.gateway.valkey import ValkeyServer, valkey_server

__all__ = ["location"]  # a fixture
pytestmark = pytest.mark.anyio


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


@pytest.mark.parametrize("engine", ["memory", "database", "valkey"])
async def test_what_a_killed_process_held_is_free_as_soon_as_others_hear_of_it(
    engine: str, location: DatabaseLocation, valkey: ValkeyServer
) -> None:
    """Its places at once, and of its money what it was not expected to spend. A process whose name begins alike keeps what it holds."""
    clock = Time(START)
    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(_engine(engine, location, valkey, clock))
        killed: list[str] = []
        dead, alike, other = (
            Limiter(store, clock=clock, wall=clock, processes=Processes(name, killed=lambda: killed))
            for name in ("p1", "p10", "q%_")
        )
        key = Grant(
            KeyIdentity("k", "k"), scopes=((("key", "k"), Limits((Budget(1_000, "day", 0.0),), None, None, 2)),)
        )
        await (await dead.admit(key)).reserve(300, 900, 0)
        await alike.admit(key)
        with pytest.raises(RateLimited):
            await other.admit(key)
        killed.append("p")  # no process of this name
        await other.refresh()
        with pytest.raises(RateLimited):
            await other.admit(key)
        killed.append("p1")
        clock.now += TICK_S
        await other.refresh()
        await (await other.admit(key)).reserve(700, 700, 0)
        with pytest.raises(RateLimited):  # the place of the one that is alike
            await other.admit(key)


@pytest.mark.parametrize("engine", ["memory", "database", "valkey"])
async def test_the_state_of_windows_is_read_without_a_lease(
    engine: str, location: DatabaseLocation, valkey: ValkeyServer
) -> None:
    clock = Time(START)
    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(_engine(engine, location, valkey, clock))
        limiter = Limiter(store, clock=clock, wall=clock)
        grant = Grant(KeyIdentity("a:b", "k"), scopes=((("key", "a:b"), Limits((Budget(1_000, "day", 0.0),))),))
        key = terms_at(grant, START).terms.budgets[0].key
        unused = key._replace(scope="team:none")
        assert await limiter.budgets.windows([key, unused]) == {}
        hold = await limiter.admit(grant)
        await hold.reserve(300, 900, 0)
        (state,) = (await limiter.budgets.windows([key, unused])).values()
        assert (state.spent, state.worst) == (0, 900)
        assert state.expected >= 300
        hold.settle(250, 0)
        assert limiter.budgets.cost_factor(limiter.standing(grant)) == 1.0
        assert (await limiter.budgets.windows([key]))[key].spent == 250  # the store has not heard of it yet


@asynccontextmanager
async def _engine(name: str, location: DatabaseLocation, valkey: ValkeyServer, clock: Time) -> AsyncIterator[Engine]:
    if name == "memory":
        yield MemoryEngine(clock)
    elif name == "database":
        database = Database(location)
        yield SqlEngine(database, clock)
        await database.close()
    else:
        async with Redis(port=valkey.port) as client:
            await client.flushdb()
        engine = ValkeyEngine(valkey.url, SqlLedger(None), clock, timeout_s=5.0)
        yield engine
        await engine.aclose()
