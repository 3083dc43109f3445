"""Opens the store of limits: Valkey for several machines, the database for one, or memory where nothing is stored."""

import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from gateway.config.secret import Secret
from gateway.core.vocabulary import Clock
from gateway.limits.engine import Engine
from gateway.limits.guard import GuardedEngine
from gateway.limits.memory import MemoryEngine
from gateway.limits.sql import SqlEngine
from gateway.limits.sql_ledger import SqlLedger
from gateway.store.database import Database

log = logging.getLogger("locus.limits")

TIMEOUT_S = (
    2.0  # of one question: a transaction may wait for another process, and lost counters are summed from the ledger
)


@asynccontextmanager
async def open_store(
    shared: Secret | None, database: Database | None, clock: Clock, *, needed: bool
) -> AsyncIterator[Engine]:
    """The store of limits, until the block ends.

    Args:
        shared: URL of a Valkey server.
        database: with the ledger.
        clock: monotonic seconds.
        needed: there are limits; warns if they are kept in memory only.
    """
    if shared is not None:
        from gateway.limits.valkey import ValkeyEngine

        engine = ValkeyEngine(shared.reveal(), SqlLedger(database))
        try:
            yield GuardedEngine(engine, "the server of `shared`", TIMEOUT_S, clock)
        finally:
            await engine.aclose()
    elif database is not None:
        yield GuardedEngine(SqlEngine(database), "the database", TIMEOUT_S, clock)
    else:
        if needed:
            log.warning("limits are kept in memory: without `record` or `store` budgets begin anew with each start")
        yield MemoryEngine(time.time)
