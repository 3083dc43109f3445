"""The recorder's own bookkeeping in the database: its last batch, and the deletion of old rows."""

import asyncio
import time
from typing import TYPE_CHECKING

from gateway.store.database import Database

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

DELETED_ROWS = 500  # in one transaction, so that writers never wait for long
PAUSE_S = 0.05
_GONE_S = 86_400.0  # a recorder that has written nothing for so long has ended


async def mark_committed(connection: "AsyncConnection", recorder: str, batch: int) -> None:
    """Note the number of a recorder's batch, in the transaction of the batch."""
    from sqlalchemy import text

    sql = (
        "INSERT INTO recorders (id, batch, time) VALUES (:id, :batch, :time)"
        " ON CONFLICT (id) DO UPDATE SET batch = excluded.batch, time = excluded.time"
    )
    await connection.execute(text(sql), {"id": recorder, "batch": batch, "time": time.time()})


async def last_committed(connection: "AsyncConnection", recorder: str) -> int | None:
    """Return the number of the last batch that a recorder has committed."""
    from sqlalchemy import text

    found = await connection.execute(text("SELECT batch FROM recorders WHERE id = :id"), {"id": recorder})
    number: int | None = found.scalar()
    return number


async def delete_old(database: Database, before: float, stop: asyncio.Event) -> None:
    """Delete the requests before a time, seconds since the epoch, and their bodies, until none is left or `stop` is set.

    The ledger and the sums by hour are kept.
    """
    from sqlalchemy import text

    for table in ("requests", "request_bodies"):
        oldest = f"SELECT id FROM {table} WHERE time < :before ORDER BY time LIMIT :rows"
        deletion = text(f"DELETE FROM {table} WHERE id IN ({oldest})")
        deleted = DELETED_ROWS
        while deleted == DELETED_ROWS and not stop.is_set():
            async with database.begin() as connection:
                result = await connection.execute(deletion, {"before": before, "rows": DELETED_ROWS})
                deleted = result.rowcount
            await asyncio.sleep(PAUSE_S)
    async with database.begin() as connection:
        await connection.execute(text("DELETE FROM recorders WHERE time < :gone"), {"gone": time.time() - _GONE_S})
