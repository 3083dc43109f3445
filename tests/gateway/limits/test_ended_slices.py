"""Slices that end while they are in use: limits change, windows end, and requests leave while the store is asked."""

import asyncio
from collections.abc import Awaitable, Sequence

import pytest

from gateway.config.access import Budget
from gateway.core.errors import QuotaUsedUp, RateLimited
from gateway.limits.engine import Answer, Ask
from gateway.limits.hold import Hold
from gateway.limits.memory import MemoryEngine
from tests.gateway.limits.test_limiter import START, USD, grant, limiter
from tests.gateway.live import Time

pytestmark = pytest.mark.anyio


class SlowEngine(MemoryEngine):
    """An engine that answers when the test lets it."""

    def __init__(self, clock: Time) -> None:
        super().__init__(clock)
        self.answers = asyncio.Event()
        self.answers.set()

    async def exchange(self, asks: Sequence[Ask]) -> list[Answer]:
        answers = await super().exchange(asks)
        await self.answers.wait()
        return answers


@pytest.mark.parametrize("in_progress", [False, True])
async def test_a_lower_limit_admits_what_is_left_of_it_at_once(in_progress: bool) -> None:
    process = limiter(MemoryEngine(clock := Time(START)), clock)
    sixty, twenty = grant(rpm=60), grant(rpm=20)
    for number in range(10):
        hold = await process.admit(sixty)
        if not (in_progress and number == 0):
            hold.settle(0, 0)
        clock.now += 0.1
    for _ in range(10):
        (await process.admit(twenty)).settle(0, 0)
    with pytest.raises(RateLimited):
        await process.admit(twenty)


async def test_a_lower_budget_allows_what_is_left_of_it_at_once() -> None:
    process = limiter(MemoryEngine(clock := Time(START)), clock)
    one_usd, less = grant(Budget(USD, "day", overshoot=0.0)), grant(Budget(USD // 5, "day", overshoot=0.0))
    for _ in range(10):
        await spend(process.admit(one_usd), USD // 100)
        clock.now += 0.1
    for _ in range(10):
        await spend(process.admit(less), USD // 100)
    with pytest.raises(QuotaUsedUp, match="too little left"):
        await spend(process.admit(less), USD // 100)


async def test_what_is_granted_to_a_request_that_left_is_not_lost() -> None:
    engine = SlowEngine(clock := Time(START))
    process = limiter(engine, clock)
    tokens = grant(tpm=100)
    hold = await process.admit(tokens)
    engine.answers.clear()
    leaving = asyncio.create_task(hold.reserve(0, 0, 80))
    await asyncio.sleep(0)
    leaving.cancel()
    await asyncio.sleep(0)
    engine.answers.set()
    await asyncio.gather(leaving, return_exceptions=True)
    assert leaving.cancelled()
    hold.settle(0, 0)
    again = await process.admit(tokens)
    await again.reserve(0, 0, 80)


async def test_a_request_that_is_admitted_while_its_slice_ends_is_counted() -> None:
    engine = SlowEngine(clock := Time(START))
    process = limiter(engine, clock)
    before, after = (grant(Budget(USD, "day"), rpm=limit) for limit in (60, 50))
    engine.answers.clear()
    slow, other = (asyncio.create_task(process.admit(one)) for one in (before, after))
    await asyncio.sleep(0)
    engine.answers.set()
    await spend(slow, USD // 10)
    (await other).settle(0, 0)
    clock.now += 1
    await process.refresh()
    (window,) = engine.rows.windows.values()
    assert window.spent == USD // 10


async def spend(admitted: Awaitable[Hold], nusd: int) -> None:
    """A request with one call."""
    hold = await admitted
    try:
        await hold.reserve(nusd, nusd, 0)
    finally:
        hold.settle(nusd, 0)
