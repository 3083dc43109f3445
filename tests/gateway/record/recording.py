"""A recorder with a database of its own, for tests."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from gateway.config.database_location import DatabaseLocation
from gateway.record.recorder import Recorder
from gateway.store.database import Database
from gateway.store.engines import sync_engine


@asynccontextmanager
async def recorder_of(where: Path | DatabaseLocation, **more: Any) -> AsyncIterator[Recorder]:
    """A recorder that writes to a file or database until the block ends."""
    database = Database(where if isinstance(where, DatabaseLocation) else DatabaseLocation(where))
    try:
        async with Recorder(database, **more) as recorder:
            yield recorder
    finally:
        await database.close()


def rows(location: DatabaseLocation, sql: str) -> list[dict[str, Any]]:
    """The rows of a query."""
    engine = sync_engine(location)
    try:
        with engine.connect() as connection:
            return [dict(row) for row in connection.exec_driver_sql(sql).mappings()]
    finally:
        engine.dispose()
