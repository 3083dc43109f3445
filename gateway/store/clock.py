"""The database's clock, which all its processes share, and PostgreSQL's locks for what one process does at a time."""

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection


async def database_clock(connection: "AsyncConnection") -> float:
    """Seconds since the epoch. The clock of an SQLite file is that of its machine."""
    if connection.dialect.name != "postgresql":
        return time.time()
    result = await connection.exec_driver_sql("SELECT extract(epoch FROM clock_timestamp())::float8")
    return float(result.scalar_one())


async def lock(connection: "AsyncConnection", lock_id: int) -> None:
    """Waits until this transaction is the only one that has the lock. SQLite has one writer at a time anyway."""
    if connection.dialect.name == "postgresql":
        await connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({lock_id})")


async def locked_clock(connection: "AsyncConnection", lock_id: int) -> float:
    """The clock, once this transaction has the lock."""
    await lock(connection, lock_id)
    return await database_clock(connection)
