"""Transactions of the tables of onboarding."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, TypeVar

from gateway.core.errors import StoreUnavailable
from gateway.store.database import Database, DatabaseUnavailable

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

T = TypeVar("T")
STORE_S, STORE_PAUSE_S = 60.0, 0.5  # for a database that is away, so that no paid answer is lost
_AWAY = "The database of onboarding cannot be used now; ask again later."


@asynccontextmanager
async def reading(database: Database) -> AsyncIterator["AsyncConnection"]:
    """A transaction that reads.

    Raises:
        StoreUnavailable: the database cannot be used.
    """
    try:
        async with database.read() as connection:
            yield connection
    except DatabaseUnavailable as exc:
        raise StoreUnavailable(_AWAY) from exc


@asynccontextmanager
async def writing(database: Database) -> AsyncIterator["AsyncConnection"]:
    """A transaction that writes.

    Raises:
        StoreUnavailable: the database cannot be used.
    """
    try:
        async with database.begin() as connection:
            yield connection
    except DatabaseUnavailable as exc:
        raise StoreUnavailable(_AWAY) from exc


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
