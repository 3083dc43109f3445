"""Transactions of the tables of onboarding."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from gateway.core.errors import StoreUnavailable
from gateway.store.database import Database, DatabaseUnavailable

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

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
