"""Replays that were asked for over HTTP, in the database. One runs at a time, and the newest hundred are kept.

The process that runs a replay renews its row. A replay whose process is gone is "interrupted"; no other process takes it over.
"""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from gateway.core.errors import Conflict
from gateway.core.json_types import JsonObject
from gateway.replicas.owner import is_gone
from gateway.store.clock import database_clock, locked_clock
from gateway.store.database import Database
from gateway.store.transactions import reading, writing

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

State = Literal["running", "done", "failed", "interrupted"]
KEPT = 100
GONE = "the gateway that ran it is gone"
_LOCK_ID = 0x10C8  # of PostgreSQL's advisory lock: one process at a time adds a replay


@dataclass(frozen=True, slots=True)
class ReplayJob:
    """A replay that was asked for.

    Attributes:
        options: what was asked for, as JSON has it.
        state: running, done, failed or interrupted.
        reason: why it is in this state; empty if nothing is to be said.
        created, ended: seconds since the epoch, by the database's clock; ended: None while it runs.
    """

    id: str
    options: JsonObject
    state: str
    reason: str
    created: float
    ended: float | None


class ReplayJobs:
    """The replays in a database. All methods raise StoreUnavailable if it cannot be used.

    Args:
        owner: names this process; see `gateway.replicas.owner`.
    """

    def __init__(self, database: Database, owner: str) -> None:
        self._database = database
        self._owner = owner

    async def begin(self, options: JsonObject) -> ReplayJob:
        """Adds a replay that this process runs from now on.

        Raises:
            Conflict: another one runs.
        """
        from sqlalchemy import delete, insert, select

        from gateway.store.replay_tables import REPLAY_JOBS as table

        async with writing(self._database, "replays") as connection:
            now = await locked_clock(connection, _LOCK_ID)
            running = select(table).where(table.c.state == "running")
            for row in (await connection.execute(running)).mappings().all():
                job = _job(row, now)
                if job.state == "running":
                    raise Conflict(f"Another replay runs, {job.id}: ask again once it has ended.")
                await _end(connection, job.id, row["beat"], "interrupted", GONE)
            job = ReplayJob(secrets.token_hex(8), options, "running", "", now, None)
            values = {name: getattr(job, name) for name in ReplayJob.__slots__}
            await connection.execute(insert(table).values(values | {"owner": self._owner, "beat": now}))
            kept = select(table.c.id).order_by(table.c.created.desc(), table.c.id).limit(KEPT)
            await connection.execute(delete(table).where(table.c.id.not_in(kept.scalar_subquery())))
        return job

    async def withdraw(self, id: str) -> None:
        """Deletes a replay that turned out to be impossible."""
        from sqlalchemy import delete

        from gateway.store.replay_tables import REPLAY_JOBS as table

        async with writing(self._database, "replays") as connection:
            await connection.execute(delete(table).where(table.c.id == id))

    async def beat(self, id: str) -> bool:
        """Renews a replay that this process runs; False if another process has found it interrupted meanwhile."""
        from sqlalchemy import update

        from gateway.store.replay_tables import REPLAY_JOBS as table

        async with writing(self._database, "replays") as connection:
            now = await database_clock(connection)
            own = (table.c.id == id) & (table.c.state == "running")
            changed = await connection.execute(update(table).where(own).values(beat=now))
        return changed.rowcount == 1

    async def end(self, id: str, state: State, reason: str, result: str | None = None) -> None:
        """Ends a replay that this process runs.

        Args:
            result: what it found, a JSON text.
        """
        async with writing(self._database, "replays") as connection:
            await _end(connection, id, await database_clock(connection), state, reason, result)

    async def all(self) -> list[ReplayJob]:
        """Those that are kept, the newest first."""
        from sqlalchemy import select

        from gateway.store.replay_tables import REPLAY_JOBS as table

        columns = [column for column in table.c if column.name != "result"]
        async with reading(self._database, "replays") as connection:
            now = await database_clock(connection)
            rows = await connection.execute(select(*columns).order_by(table.c.created.desc(), table.c.id))
            return [_job(row, now) for row in rows.mappings()]

    async def of(self, id: str) -> tuple[ReplayJob, str | None] | None:
        """A replay and what it found, a JSON text; None if there is no such replay."""
        from sqlalchemy import select

        from gateway.store.replay_tables import REPLAY_JOBS as table

        async with reading(self._database, "replays") as connection:
            now = await database_clock(connection)
            row = (await connection.execute(select(table).where(table.c.id == id))).mappings().first()
            return None if row is None else (_job(row, now), row["result"])


def _job(row: Mapping[Any, Any], now: float) -> ReplayJob:
    job = ReplayJob(*(row[name] for name in ReplayJob.__slots__))
    if job.state == "running" and is_gone(row["owner"], now - row["beat"]):
        return ReplayJob(job.id, job.options, "interrupted", GONE, job.created, row["beat"])
    return job


async def _end(
    connection: "AsyncConnection", id: str, at: float, state: State, reason: str, result: str | None = None
) -> None:
    from sqlalchemy import update

    from gateway.store.replay_tables import REPLAY_JOBS as table

    values = {"state": state, "reason": reason, "ended": at, "result": result}
    await connection.execute(update(table).where(table.c.id == id, table.c.state == "running").values(values))
