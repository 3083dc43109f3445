"""Writes that are tried again while the database is away, so that no paid answer is lost."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from gateway.core.errors import StoreUnavailable

T = TypeVar("T")
STORE_S, STORE_PAUSE_S = 60.0, 0.5  # for a database that is away


async def until_stored(write: Callable[[], Awaitable[T]]) -> T:
    """What a transaction gives, which is tried again while the database is away.

    Raises:
        StoreUnavailable: it was away for a minute.
    """
    deadline = time.monotonic() + STORE_S
    while True:
        try:
            return await write()
        except StoreUnavailable:
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(STORE_PAUSE_S)
