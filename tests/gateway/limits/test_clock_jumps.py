"""The store's clock steps back or forward by an hour, while the processes' own clocks go on: on every store."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest

from gateway.config.access import Budget, Grant, Limits
from gateway.config.database_location import DatabaseLocation
from gateway.core.errors import RateLimited
from gateway.core.identity import KeyIdentity
from gateway.limits.engine import Engine
from gateway.limits.limiter import Limiter
from gateway.limits.memory import MemoryEngine
from gateway.limits.sql import SqlEngine
from gateway.limits.sql_ledger import SqlLedger
from gateway.limits.valkey import ValkeyEngine
from gateway.store.database import Database
from tests.gateway.live import Time
from tests.gateway.valkey import ValkeyServer, valkey_server

pytestmark = pytest.mark.anyio
START = 1_800_000_000.0
HOUR = 3_600.0
STORES = ("memory", "sqlite", "valkey")


@pytest.fixture(scope="module")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ValkeyServer]:
    with valkey_server(tmp_path_factory.mktemp("valkey")) as server:
        yield server


@asynccontextmanager
async def engine_of(request: pytest.FixtureRequest, store: str, wall: Time) -> AsyncIterator[Engine]:
    if store == "memory":
        yield MemoryEngine(wall)
    elif store == "sqlite":
        database = Database(DatabaseLocation(file=request.getfixturevalue("tmp_path") / "limits.db"))
        yield SqlEngine(database, wall)
        await database.close()
    else:
        server: ValkeyServer = request.getfixturevalue("valkey")
        engine = ValkeyEngine(server.url, SqlLedger(None), wall, timeout_s=5.0)
        yield engine
        await engine.aclose()


def limited(name: str, **limits: int) -> Grant:
    return Grant(KeyIdentity(name, name), scopes=((("key", name), Limits((Budget(10**9, "day"),), **limits)),))


@pytest.mark.parametrize("store", STORES)
async def test_after_a_step_back_a_minute_is_over_in_a_minute(request: pytest.FixtureRequest, store: str) -> None:
    wall, clock = Time(START), Time(0.0)
    async with engine_of(request, store, wall) as engine:
        process = Limiter(engine, clock=clock, wall=wall)
        key = limited("back", rpm=4)
        for _ in range(4):
            (await process.admit(key)).settle(0, 0)
        wall.now -= HOUR
        with pytest.raises(RateLimited) as refused:  # the step does not admit more
            await process.admit(key)
        assert int(refused.value.headers["retry-after"]) <= 62
        wall.now += 62
        clock.now += 62
        await process.refresh()
        for _ in range(4):
            (await process.admit(key)).settle(0, 0)
        with pytest.raises(RateLimited):
            await process.admit(key)


@pytest.mark.parametrize("store", STORES)
async def test_after_a_step_back_the_places_of_a_killed_process_come_back(
    request: pytest.FixtureRequest, store: str
) -> None:
    wall, clock = Time(START), Time(0.0)
    async with engine_of(request, store, wall) as engine:
        killed, other = (Limiter(engine, clock=clock, wall=wall) for _ in range(2))
        key = limited("killed", max_parallel_requests=1)
        await killed.admit(key)
        wall.now -= HOUR
        for seconds in (20, 70):
            with pytest.raises(RateLimited):
                await other.admit(key)
            wall.now += seconds
            clock.now += seconds
            await other.refresh()
        (await other.admit(key)).settle(0, 0)


@pytest.mark.parametrize("store", STORES)
async def test_after_a_step_forward_requests_in_progress_keep_what_they_hold(
    request: pytest.FixtureRequest, store: str
) -> None:
    wall, clock = Time(START), Time(0.0)
    async with engine_of(request, store, wall) as engine:
        one, other = (Limiter(engine, clock=clock, wall=wall) for _ in range(2))
        key = limited("forward", max_parallel_requests=2)
        hold = await one.admit(key)
        await hold.reserve(1_000, 1_000, 0)
        wall.now += HOUR
        clock.now += 16  # the other process looks for leases that have ended
        await other.refresh()
        await one.refresh()  # and this one tells that it lives
        (await other.admit(key)).settle(0, 0)
        hold.settle(500, 0)
        await one.refresh()
        slice = await one.current(key)
        assert slice.last is not None
        assert slice.last.budgets[0].used + slice.spent - slice.last.booked == 500
