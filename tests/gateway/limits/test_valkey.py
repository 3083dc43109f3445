"""Limits in a real Valkey server: of two gateways, when it has lost its memory, and when it is away."""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import openai
import pytest

from gateway.config.access import Budget, Grant, Limits
from gateway.config.database_location import DatabaseLocation
from gateway.config.portfolio_file import load_portfolio
from gateway.core.errors import QuotaUsedUp, RateLimited
from gateway.core.identity import KeyIdentity
from gateway.limits.engine import LimitsAway
from gateway.limits.limiter import Limiter
from gateway.limits.sql_ledger import SqlLedger
from gateway.limits.valkey import ValkeyEngine
from gateway.store.database import Database
from gateway.store.tables import LEDGER
from tests.gateway.running import entry, eventually, running, write_portfolio
from tests.gateway.upstreams import ScriptedProvider
from tests.gateway.valkey import ValkeyServer, valkey_server

pytestmark = pytest.mark.anyio
USD = 10**9


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ValkeyServer]:
    with valkey_server(tmp_path_factory.mktemp("valkey")) as started:
        yield started


def grant(key: str, *budgets: Budget, **limits: int) -> Grant:
    return Grant(KeyIdentity(key, key), scopes=((("key", key), Limits(budgets, **limits)),))


async def test_gateways_on_one_server_share_the_limits_of_a_key(server: ValkeyServer, tmp_path: Path) -> None:
    async with ScriptedProvider() as provider:

        def portfolio(name: str) -> Path:
            folder = tmp_path / name
            folder.mkdir()
            gateway = {"shared": server.url, "store": f"sqlite:///{tmp_path}/store.db"}
            keys = [{"name": "shared", "key": "os.environ/K", "rpm": 5, "budget": [{"usd": 1, "per": "day"}]}]
            return write_portfolio(folder, [entry("llama-8b", provider.base_url)], keys=keys, gateway=gateway)

        one, two = (load_portfolio(portfolio(name), {"K": "sk-shared"}) for name in ("one", "two"))
        async with running(one, key="sk-shared") as first, running(two, key="sk-shared") as second:
            answered = 0
            for number in range(10):
                client = (first, second)[number % 2].client
                try:
                    await client.chat.completions.create(model="llama-8b", messages=[{"role": "user", "content": "Hi"}])
                    answered += 1
                except openai.RateLimitError:
                    pass
            assert answered == 5


async def test_a_server_that_has_lost_its_memory_counts_on_from_the_ledger(tmp_path: Path) -> None:
    with valkey_server(tmp_path) as own:
        database = Database(DatabaseLocation(file=tmp_path / "store.db"))
        engine = ValkeyEngine(own.url, SqlLedger(database), timeout_s=2.0)
        limited = grant("k", Budget(1_000, "day", overshoot=0.0))
        try:
            process = Limiter(engine)
            hold = await process.admit(limited)
            await hold.reserve(600, 600, 0)
            hold.settle(600, 0)
            await process.refresh()
            async with database.begin() as connection:
                row = {"time": time.time(), "lease": hold.lease, "key_id": "k", "nusd": 600, "request_id": "r"}
                await connection.execute(LEDGER.insert().values(row))
            own.stop()
            own.start()
            open_request = await process.admit(limited)
            await open_request.reserve(300, 300, 0)
            with pytest.raises((RateLimited, QuotaUsedUp)):
                await open_request.reserve(200, 200, 0)
            own.stop()
            own.start()
            open_request.settle(250, 0)  # the process brings back what it holds, and reports it once
            await process.refresh()
            (state,) = process.budgets.states()
            assert state.spent == 850
        finally:
            await engine.aclose()
            await database.close()


async def test_what_a_killed_process_reserved_is_in_the_ledger(server: ValkeyServer, tmp_path: Path) -> None:
    database, now = Database(DatabaseLocation(file=tmp_path / "store.db")), time.time()
    engine = ValkeyEngine(server.url, SqlLedger(database), lambda: now, timeout_s=2.0)
    try:
        killed = Limiter(engine)
        await (await killed.admit(grant("killed", Budget(1_000, "day")))).reserve(300, 900, 0)
        now += 100
        await engine.sweep()
        async with database.read() as connection:
            (row,) = (await connection.execute(LEDGER.select().where(LEDGER.c.key_id == "killed"))).mappings()
        assert (row["key_id"], row["nusd"], row["estimated"], row["request_id"]) == ("killed", 300, True, None)
    finally:
        await engine.aclose()
        await database.close()


async def test_a_server_that_hangs_fails_within_its_time(tmp_path: Path) -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    listening = await asyncio.start_server(silent, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    engine = ValkeyEngine(f"valkey://127.0.0.1:{port}/0", SqlLedger(None))
    loop = asyncio.get_running_loop()
    began = loop.time()
    with pytest.raises(LimitsAway):
        await engine.sweep()
    assert loop.time() - began < 20
    await engine.aclose()
    listening.close()


async def test_without_the_server_a_gateway_goes_on_and_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with valkey_server(tmp_path) as own:
        async with ScriptedProvider() as provider:
            keys = [{"name": "k", "key": "os.environ/K", "rpm": 1000, "budget": [{"usd": 1, "per": "day"}]}]
            gateway = {"shared": own.url}
            path = write_portfolio(tmp_path, [entry("llama-8b", provider.base_url)], keys=keys, gateway=gateway)
            async with running(load_portfolio(path, {"K": "sk-k"}), key="sk-k") as run:

                async def ask() -> None:
                    await run.client.chat.completions.create(
                        model="llama-8b", messages=[{"role": "user", "content": "Hi"}], max_tokens=10
                    )

                await ask()
                await eventually(lambda: any(state.spent for state in run.service.limiter.budgets.states()))
                own.stop()
                for _ in range(5):
                    await ask()
                await eventually(lambda: any("limits: the server" in message for message in caplog.messages))
                await ask()
                own.start()
                await eventually(lambda: "limits: the server of `shared` answers again" in caplog.messages)
                await ask()
    assert any(message.startswith("limits: the server of `shared` does not answer") for message in caplog.messages)
