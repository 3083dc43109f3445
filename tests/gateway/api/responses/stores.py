"""A store of responses with a database of its own, for tests."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from gateway.api.responses.store import ResponseStore
from gateway.config.database_location import DatabaseLocation
from gateway.store.database import Database


@asynccontextmanager
async def store_of(where: Path | DatabaseLocation, *arguments: Any, **more: Any) -> AsyncIterator[ResponseStore]:
    """A store in a file or database until the block ends."""
    database = Database(where if isinstance(where, DatabaseLocation) else DatabaseLocation(where))
    try:
        async with ResponseStore(database, *arguments, **more) as store:
            yield store
    finally:
        await database.close()
