"""Unknown keys cost a look-up each, and an address may send only so many of them."""

import asyncio

import pytest

from gateway.core.errors import RateLimited
from gateway.keys.lookups import BURST, MOST, PER_S, Lookups
from tests.gateway.live import Time
from tests.gateway.running import eventually

pytestmark = pytest.mark.anyio


async def look_up(lookups: Lookups, address: str = "192.0.2.1", *, unknown: bool = True) -> None:
    async with lookups.one(address) as lookup:
        lookup.no_guess = not unknown


async def test_an_address_has_a_burst_and_then_a_rate() -> None:
    clock = Time()
    lookups = Lookups(clock)
    for _ in range(BURST):
        await look_up(lookups)
    with pytest.raises(RateLimited) as refused:
        await look_up(lookups)
    assert refused.value.headers["retry-after"] == "1"
    await look_up(lookups, "192.0.2.2")  # another one is not at fault
    clock.now += 2.5 / PER_S
    await look_up(lookups)
    await look_up(lookups)
    with pytest.raises(RateLimited):
        await look_up(lookups)


async def test_ids_that_have_a_key_cost_nothing() -> None:
    lookups = Lookups(Time())
    for _ in range(3 * BURST):
        await look_up(lookups, unknown=False)


@pytest.mark.parametrize("unknown", [False, True])
async def test_new_keys_behind_one_address_wait_for_each_other_and_guesses_are_refused(unknown: bool) -> None:
    lookups, answers, asked = Lookups(Time()), asyncio.Event(), 0

    async def slow() -> None:
        nonlocal asked
        async with lookups.one("192.0.2.1") as lookup:
            asked += 1
            await answers.wait()
            lookup.no_guess = not unknown

    tasks = [asyncio.create_task(slow()) for _ in range(3 * BURST)]
    await eventually(lambda: asked >= BURST)
    assert not any(task.done() for task in tasks)
    answers.set()
    ended = await asyncio.gather(*tasks, return_exceptions=True)
    refused = [one for one in ended if isinstance(one, RateLimited)]
    assert (asked, len(refused)) == ((BURST, 2 * BURST) if unknown else (3 * BURST, 0))


async def test_so_many_addresses_are_remembered() -> None:
    lookups = Lookups(Time())
    for _ in range(BURST):
        await look_up(lookups, "first")
    for number in range(MOST):
        await look_up(lookups, str(number))
    await look_up(lookups, "first")  # forgotten


async def test_an_address_that_is_forgotten_while_its_id_is_looked_up_gets_nothing_back() -> None:
    lookups = Lookups(Time())
    async with lookups.one("first"):
        for number in range(MOST):
            await look_up(lookups, str(number))
    for _ in range(BURST):
        await look_up(lookups, "first")
    with pytest.raises(RateLimited):
        await look_up(lookups, "first")
