"""Writes what is recorded of requests to the database, in batches and outside the request path.

`add` only appends to a bounded buffer. The row of a request, its rows in the ledger and the sums by hour are written in one
transaction. If the database cannot be written (disk full, server away), requests do not fail: records wait in the buffer and are
tried again. If the buffer is full, the oldest records are lost and counted.
"""

import asyncio
import contextlib
import logging
import secrets
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from gateway.core.safe_logging import log_exception
from gateway.record.finished import Finished
from gateway.record.housekeeping import delete_old, last_committed, mark_committed
from gateway.record.predictions import Predictions
from gateway.record.request_record import Part, Record
from gateway.record.rows import rows_of, write
from gateway.store.database import Database, DatabaseUnavailable, is_refused_value

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

log = logging.getLogger("locus.record")
Book = Callable[["AsyncConnection", Mapping[str, int]], Awaitable[None]]

BUFFER_RECORDS = 10_000  # records that wait at most
BUFFER_CHARS = 64 << 20  # of the prompts and bodies of all waiting records
MAX_NAME_CHARS = 256  # of a model name that a client sent
FLUSH_S = 0.25
RETRY_S = 1.0
BATCH_RECORDS = 500
PRUNE_S = 60.0


class Recorder:
    """Writes records to a database. Use as an async context manager; leaving it writes what waits.

    Args:
        database: None disables the record.
        requests: with a row for each request; False: only the ledger and the sums by hour.
        retention_s: rows of requests that are older are deleted; None: never.
        book: counts what leases have spent, in the transaction that writes it to the ledger.
        leads: False while another process of this database deletes old rows.
        clock: monotonic seconds.

    Attributes:
        lost: the number of records that were not written.
        failure: why records cannot be written now; None if they can.
    """

    def __init__(
        self,
        database: Database | None,
        *,
        requests: bool = True,
        retention_s: float | None = None,
        book: Book | None = None,
        leads: Callable[[], bool] = lambda: True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.lost = 0
        self.failure: str | None = None
        self._database = database
        self._requests = requests
        self._retention_s = retention_s
        self._book = book
        self._leads = leads
        self._clock = clock
        self._buffer: deque[_Pending] = deque()
        self._size = 0  # of the prompts and bodies in the buffer, characters and bytes
        self._wake = asyncio.Event()
        self._stop = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._losing = False
        self._id = secrets.token_hex(8)
        self._batch = 0  # number of the last one that was begun
        self._unsure: tuple[int, list[_Pending]] | None = None  # a batch that was perhaps committed

    @property
    def pending(self) -> int:
        """The number of records that wait to be written."""
        return len(self._buffer)

    @property
    def oldest_s(self) -> float:
        """The time that the oldest of them has waited, in seconds."""
        return self._clock() - self._buffer[0].since if self._buffer else 0.0

    async def __aenter__(self) -> "Recorder":
        if self._database is not None:
            self._tasks.append(asyncio.create_task(self._run(self._database), name="recorder"))
            if self._retention_s is not None:
                pruning = self._prune(self._database, self._retention_s)
                self._tasks.append(asyncio.create_task(pruning, name="record retention"))
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._stop.set()
        self._wake.set()
        if self._tasks:
            await asyncio.wait(self._tasks)
            self._tasks.clear()
        if self.pending:
            log.error("%d records could not be written to %s", self.pending, self._where)

    @property
    def _where(self) -> str:
        return "" if self._database is None else str(self._database.location)

    def add(
        self,
        record: Record,
        parts: Sequence[Part] = (),
        predictions: Predictions | None = None,
        lease: str | None = None,
        body: bytes | None = None,
    ) -> None:
        """Add a record to the buffer, with the body of its request if that is to be stored. It never blocks and never fails."""
        if self._database is None:
            return
        if record.requested is not None and len(record.requested) > MAX_NAME_CHARS:
            record = record._replace(requested=record.requested[:MAX_NAME_CHARS] + "…")
        size = sum(len(text) for text in (record.prompt, body) if text is not None)
        self._buffer.append(_Pending(Finished(record, parts, predictions, lease, body), self._clock(), size))
        self._size += size
        while len(self._buffer) > BUFFER_RECORDS or (self._size > BUFFER_CHARS and len(self._buffer) > 1):
            self._size -= self._buffer.popleft().size
            self._count_lost()
        self._wake.set()

    def _count_lost(self) -> None:
        """Count a lost record, and log the first one since records were written last."""
        self.lost += 1
        if not self._losing:
            self._losing = True
            log.critical("records are lost, the oldest first: too many wait to be written to %s", self._where)

    async def _run(self, database: Database) -> None:
        """Write records until the recorder is stopped, then what waits."""
        while True:
            try:
                if self._batch == 0:
                    async with database.read():  # the schema is upgraded at the start, not with the first record
                        pass
                await self._wake.wait()
                self._wake.clear()
                await self._flush(database)
                self._report_written()
                if self._stop.is_set():
                    return
                await self._pause(FLUSH_S)
            except Exception as exc:  # records wait and requests continue, whatever happens to the database
                replaced = self._report_failure(exc)
                if self._stop.is_set() and not replaced:
                    return
                self._wake.set()
                await self._pause(0 if replaced else RETRY_S)

    def _report_failure(self, exc: Exception) -> bool:
        """Log once that records wait. Return True if a damaged file was replaced, so that the next try may succeed."""
        expected = isinstance(exc, DatabaseUnavailable)
        if not expected:
            log_exception(log, "records cannot be written", exc)
        elif self.failure is None:
            log.critical("records cannot be written to %s and wait in memory: %s", self._where, exc)
        full = isinstance(exc, DatabaseUnavailable) and exc.full
        self.failure = "the disk is full" if full else str(exc) if expected else type(exc).__name__
        return isinstance(exc, DatabaseUnavailable) and exc.replaced

    def _report_written(self) -> None:
        """Log that records are written again after a failure."""
        if self.failure is not None:
            log.warning("records are written to %s again; %d were lost", self._where, self.lost)
        self.failure = None
        self._losing = False

    async def _pause(self, seconds: float) -> None:
        """Wait, but not longer than until the recorder is stopped."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stop.wait(), seconds)

    async def _flush(self, database: Database) -> None:
        """Write all waiting records in batches."""
        await self._settle_unsure(database)
        while self._buffer:
            await self._write(database, list(islice(self._buffer, BATCH_RECORDS)))

    async def _write(self, database: Database, batch: "list[_Pending]") -> None:
        """Write a batch. If the database refuses a value, parts of it are written, so that only the faulty record is lost."""
        self._batch += 1
        try:
            rows = await asyncio.to_thread(rows_of, [pending.finished for pending in batch], requests=self._requests)
            self._unsure = self._batch, batch
            async with database.begin() as connection:
                await write(connection, rows)
                if self._book is not None and rows.spent:
                    await self._book(connection, rows.spent)
                await mark_committed(connection, self._id, self._batch)
        except Exception as exc:
            if not is_refused_value(exc):
                raise
            self._unsure = None
            if len(batch) > 1:
                for part in (batch[: len(batch) // 2], batch[len(batch) // 2 :]):
                    await self._write(database, part)
                return
            self.lost += 1
            log_exception(log, f"the record of request {batch[0].finished.record.request_id} cannot be written", exc)
        self._unsure = None
        self._forget(batch)

    async def _settle_unsure(self, database: Database) -> None:
        """Find out whether the last batch was committed though the answer of the database did not arrive."""
        if self._unsure is None:
            return
        number, batch = self._unsure
        async with database.read() as connection:
            committed = await last_committed(connection, self._id)
        if committed == number:
            self._forget(batch)
        self._unsure = None

    def _forget(self, batch: "list[_Pending]") -> None:
        """Take written records from the buffer; the oldest may have been dropped from it meanwhile."""
        for pending in batch:
            if self._buffer and self._buffer[0] is pending:
                self._size -= self._buffer.popleft().size

    async def _prune(self, database: Database, retention_s: float) -> None:
        """Delete old rows regularly, in small transactions."""
        while not self._stop.is_set():
            try:
                if self._leads():
                    await delete_old(database, time.time() - retention_s, self._stop)
            except DatabaseUnavailable as exc:
                log.info("old records cannot be deleted from %s: %s", self._where, exc)
            except Exception as exc:  # of any kind: the next minute tries again
                log_exception(log, "old records cannot be deleted", exc)
            await self._pause(min(PRUNE_S, retention_s))


class _Pending(NamedTuple):
    """A waiting record, the time when it was added, and the size of its prompt and body."""

    finished: Finished
    since: float
    size: int
