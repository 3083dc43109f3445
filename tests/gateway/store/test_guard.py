"""A store that does not answer delays no request for longer than the time of its guard."""

import asyncio
import logging

import pytest

from gateway.store.guard import PAUSE_S, Guard, StoreAway
from tests.gateway.live import Time

pytestmark = pytest.mark.anyio


async def test_a_question_that_cannot_be_cancelled_is_not_waited_for() -> None:
    """As for SQLite, whose thread waits for a lock."""
    free, ended = asyncio.Event(), asyncio.Event()

    async def locked() -> None:
        try:
            await free.wait()
        except asyncio.CancelledError:
            await free.wait()
            ended.set()
            raise

    guard = Guard("the database", 0.01, Time(), logging.getLogger("test"), logging.ERROR)
    async with asyncio.timeout(60):
        with pytest.raises(StoreAway, match="the database does not answer"):
            await guard.ask(locked)
    assert guard.away
    assert not ended.is_set()
    free.set()
    await asyncio.wait_for(ended.wait(), 60)


async def test_a_store_that_was_away_is_asked_again_after_a_moment() -> None:
    clock, asked = Time(), 0

    async def question() -> str:
        nonlocal asked
        asked += 1
        if asked == 1:
            raise StoreAway("refused")
        return "here"

    guard = Guard("the database", 1.0, clock, logging.getLogger("test"), logging.ERROR)
    for _ in range(3):
        with pytest.raises(StoreAway):
            await guard.ask(question)
    assert asked == 1
    clock.now += PAUSE_S
    assert await guard.ask(question) == "here"
    assert not guard.away
