"""Limits that deployments have of their own: shared by all processes, with real gateways on one store."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import openai
import pytest

from gateway.config.database_location import DatabaseLocation
from gateway.config.portfolio_file import load_portfolio
from gateway.deployments.live import LiveDeployment, LiveDeployments
from gateway.limits.deployments import LOOK_AGAIN_S, DeploymentLimits
from gateway.limits.engine import Answer, Ask, LimitsAway
from gateway.limits.hold import Hold
from gateway.limits.limiter import Limiter
from gateway.limits.memory import MemoryEngine
from gateway.provider_errors.failures import Cause, UpstreamFailure
from tests.gateway.limits.counting import Counting
from tests.gateway.live import Time, model, portfolio
from tests.gateway.running import Gateway, entry, running, write_portfolio
from tests.gateway.store.engines import location
from tests.gateway.upstreams import Call, ScriptedProvider, answer

__all__ = ["location"]  # a fixture
pytestmark = pytest.mark.anyio
MESSAGES: Any = [{"role": "user", "content": "Why is the sky blue?"}]
START = 1_800_000_000.0


class Process:
    """A process with its own view of one deployment, on a store that it shares with others."""

    def __init__(self, folder: Path, engine: MemoryEngine, clock: Time, *, local: bool = True, **limits: int) -> None:
        models = LiveDeployments(portfolio(folder, model("m", deployment=limits)), clock=clock).models
        self.live: LiveDeployment = models["m"].deployments[0]
        self.limiter = Limiter(engine, clock=clock, wall=clock, local_if_away=local)
        self._limits = DeploymentLimits(self.limiter)

    async def call(self, tokens: int = 10) -> Hold | None:
        """What a call holds; None if it may not begin."""
        if self.live.unavailable() is not None:
            return None
        try:
            assert self.live.limits.grant is not None
            hold = await self._limits.take(self.live, self.live.limits.grant, tokens)
        except UpstreamFailure as failure:
            assert failure.cause is Cause.AT_LIMIT
            assert failure.reason == self.live.unavailable()
            return None
        self.live.start()
        return hold

    def end(self, hold: Hold, tokens: int = 10) -> None:
        hold.settle(0, tokens)
        self.live.finish()


async def test_two_processes_call_as_often_as_one_may_and_at_most_one_slice_more(tmp_path: Path) -> None:
    clock = Time(START)
    engine = MemoryEngine(clock)
    processes = [Process(tmp_path, engine, clock, rpm=60) for _ in range(2)]
    called: list[float] = []
    for step in range(1_500):  # 150 s, ten tries a second
        process = processes[step % 2]
        if (hold := await process.call()) is not None:
            process.end(hold)
            called.append(clock.now)
        clock.now += 0.1
        if step % 10 == 9:
            for each in processes:
                await each.limiter.refresh()
    assert max(sum(begin <= at < begin + 60 for at in called) for begin in called) <= 60 + 60 // 4
    assert len(called) >= 2 * 50


async def test_a_refused_deployment_is_not_asked_about_again_before_that_may_help(tmp_path: Path) -> None:
    clock = Time(START)
    engine = Counting(clock)
    process = Process(tmp_path, engine, clock, rpm=2)
    for _ in range(2):
        hold = await process.call()
        assert hold is not None
        process.end(hold)
    assert [await process.call() for _ in range(50)] == [None] * 50
    assert engine.asks <= 3
    assert process.live.unavailable() == "rpm reached"
    assert process.live.wait_s() == pytest.approx(61, abs=1)
    clock.now += LOOK_AGAIN_S
    assert process.live.unavailable() is None  # another process may have given something back


async def test_a_slice_suffices_for_most_calls(tmp_path: Path) -> None:
    clock = Time(START)
    engine = Counting(clock)
    process = Process(tmp_path, engine, clock, rpm=100_000, tpm=10**8, max_parallel_requests=100)
    for number in range(1_000):
        hold = await process.call()
        assert hold is not None
        process.end(hold)
        if number % 100 == 99:
            clock.now += 1
            await process.limiter.refresh()
    assert engine.asks < 50


async def test_tokens_are_counted_as_expected_before_the_call_and_as_billed_after_it(tmp_path: Path) -> None:
    clock = Time(START)
    process = Process(tmp_path, MemoryEngine(clock), clock, tpm=100)
    first = await process.call(60)
    assert first is not None
    assert await process.call(60) is None
    assert process.live.unavailable() == "tpm reached"
    process.end(first, 20)
    await process.limiter.refresh()
    clock.now += LOOK_AGAIN_S
    assert await process.call(60) is not None


async def test_places_are_exact_and_those_of_a_killed_process_come_back(tmp_path: Path) -> None:
    clock = Time(START)
    engine = MemoryEngine(clock)
    killed, other = (Process(tmp_path, engine, clock, max_parallel_requests=3) for _ in range(2))
    held = [await killed.call(), await killed.call(), await other.call()]
    assert all(held)
    assert [await killed.call(), await other.call()] == [None, None]
    assert other.live.unavailable() == "max_parallel_requests reached"
    clock.now += 100
    await other.limiter.refresh()
    assert [hold is not None for hold in [await other.call(), await other.call(), await other.call()]] == [
        True,
        True,
        False,
    ]


@pytest.mark.parametrize(("local", "calls"), [(True, 10), (False, 0)])
async def test_while_the_store_is_away_the_setting_decides(tmp_path: Path, local: bool, calls: int) -> None:
    class Away(MemoryEngine):
        async def exchange(self, asks: list[Ask]) -> list[Answer]:  # type: ignore[override]
            raise LimitsAway("refused")

    clock = Time(START)
    process = Process(tmp_path, Away(clock), clock, local=local, rpm=10)
    made = 0
    for _ in range(70):
        hold = await process.call()
        if hold is not None:
            made += 1
            process.end(hold)
        clock.now += 0.5
    assert made == (10 // 4 if local else 0)  # a process that has never asked takes as much as a first slice
    assert not process.live.at_limit
    assert calls >= made


@asynccontextmanager
async def two_gateways(
    folder: Path, location: DatabaseLocation, provider: ScriptedProvider, **limits: int
) -> AsyncIterator[list[Gateway]]:
    limited = entry("llama-8b", provider.base_url)
    limited["deployments"][0] |= limits
    store = location.url.reveal() if location.url is not None else f"sqlite:///{location.file}"
    path = write_portfolio(
        folder, [limited], gateway={"store": store, "failover_for_named": "never", "responses": None}
    )
    loaded = load_portfolio(path, {})
    async with running(loaded) as first, running(loaded) as second:
        yield [first, second]


async def ask(gateway: Gateway) -> int:
    try:
        await gateway.client.chat.completions.create(model="llama-8b", messages=MESSAGES, max_tokens=10)
    except openai.APIStatusError as error:
        return error.status_code
    return 200


async def test_two_gateways_share_the_requests_of_a_minute(tmp_path: Path, location: DatabaseLocation) -> None:
    async with ScriptedProvider() as provider, two_gateways(tmp_path, location, provider, rpm=12) as gateways:
        statuses = [await ask(gateways[number % 2]) for number in range(40)]
    assert 12 <= len(provider.calls) <= 12 + 12 // 4
    assert statuses.count(200) == len(provider.calls)
    assert set(statuses) == {200, 429}


async def test_two_gateways_share_the_places_and_requests_wait_for_them(
    tmp_path: Path, location: DatabaseLocation
) -> None:
    running_now, most = 0, 0

    async def counted(call: Call, writer: asyncio.StreamWriter) -> None:
        nonlocal running_now, most
        running_now += 1
        most = max(most, running_now)
        await asyncio.sleep(0.05)
        running_now -= 1
        await answer("fine")(call, writer)

    async with (
        ScriptedProvider(counted) as provider,
        two_gateways(tmp_path, location, provider, max_parallel_requests=2) as gateways,
    ):
        statuses = await asyncio.gather(*(ask(gateways[number % 2]) for number in range(12)))
    assert most == 2
    assert statuses == [200] * 12
