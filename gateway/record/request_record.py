"""Writes one record per request to SQLite, in batches and outside the request path.

`add` only appends to a bounded buffer. If the database cannot be written (disk full, locked), requests do not fail: records wait
in the buffer and are tried again. If the buffer is full, the oldest records are lost and counted. A damaged database is renamed,
and a new one is created. A new one is also created if the file is moved or removed.
"""

import asyncio
import contextlib
import logging
import sqlite3
import time
from collections import deque
from collections.abc import Callable, Iterable
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import aiosqlite

from gateway.core.damaged_sqlite import inode, is_damage, move_aside
from gateway.core.safe_logging import log_exception

log = logging.getLogger("locus.record")

BUFFER_RECORDS = 10_000  # records that wait at most
BUFFER_CHARS = 64 << 20  # of the prompts of all waiting records
MAX_NAME_CHARS = 256  # of a model name that a client sent
FLUSH_S = 0.25
BATCH_RECORDS = 500


class Part(NamedTuple):
    """A call that produced the client's answer, or a part of it: one billed call.

    Attributes:
        prompt_tokens: all input, tokens that were read from and written to a cache included.
        completion_tokens: all output, reasoning included.
        cost_nusd: nano-USD; None if the price is unknown.
        estimated: the provider reported no usage, so that the tokens are estimated from the text.
    """

    model: str
    deployment: str
    prompt_tokens: int
    completion_tokens: int
    cost_nusd: int | None
    estimated: bool
    cached_tokens: int = 0
    cache_write_5m_tokens: int = 0
    cache_write_1h_tokens: int = 0
    reasoning_tokens: int = 0
    prompt_audio_tokens: int = 0
    completion_audio_tokens: int = 0

    @property
    def cache_write_tokens(self) -> int:
        """The tokens that were written to the provider's cache."""
        return self.cache_write_5m_tokens + self.cache_write_1h_tokens

    def plus(self, other: "Part") -> "Part":
        """Return this part and another part of the same deployment as one."""
        return Part(
            self.model,
            self.deployment,
            self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens,
            total_cost((self, other)),
            self.estimated or other.estimated,
            self.cached_tokens + other.cached_tokens,
            self.cache_write_5m_tokens + other.cache_write_5m_tokens,
            self.cache_write_1h_tokens + other.cache_write_1h_tokens,
            self.reasoning_tokens + other.reasoning_tokens,
            self.prompt_audio_tokens + other.prompt_audio_tokens,
            self.completion_audio_tokens + other.completion_audio_tokens,
        )


def total_cost(parts: Iterable[Part]) -> int | None:
    """Return the cost of all parts, nano-USD; None if there is none, or the price of one is unknown."""
    costs = [part.cost_nusd for part in parts]
    known = [cost for cost in costs if cost is not None]
    return sum(known) if costs and len(known) == len(costs) else None


class Record(NamedTuple):
    """The record of one request. Times are in milliseconds, money in nano-USD; JSON columns hold text.

    Attributes:
        request_id: the client's own id if it sent one, so that it is not always unique.
        time: seconds since the epoch, at arrival.
        requested: the `model` of the request.
        chosen, served: portfolio models; they differ if a stand-in answered.
        candidates: `[{"model", "p_correct", "price_usd"}]` of the 20 best models by the policy; None if the client named a model.
        failover: `[{"model", "deployment", "cause", "status", "elapsed_ms", "distance", "predicted_loss", "after_content"}]`,
            the failed calls in order, including streams that broke; distance and loss are relative to the chosen model.
        parts: if another call continued a stream, the `Part` of each call in order; tokens and cost are their sums. For a
            batch of prompts that several deployments answered, a `Part` for each deployment; chosen, served, deployment,
            p_correct, candidates and the columns about a stand-in are those of the first prompt.
        usage_estimated: a provider reported no usage, for example because its stream broke.
        cost_nusd: the sum over the billed calls; None if there is none, or the price of one is unknown.
        error: the code of the error that the client received; `client_disconnected` if the client disconnected.
        prompt: the messages as JSON; only if the portfolio file enables this.
        api: the format of the request: "chat", "messages", "responses", "completions" or "embeddings".
        conversation: "kept" or "switched" if the conversation had a model already.
        simulated: the gateway was in demo mode, so that the answer is simulated.
        key_id, key_name, team: the gateway key of the client and its team.
        end_user, safety_identifier, metadata: those of the request; metadata is a JSON object.
        tags: a JSON list: those of the key.
        cached_tokens, cache_write_tokens: parts of prompt_tokens.
        reasoning_tokens: a part of completion_tokens.
        propensity: the probability with which the policy chose this model; None if the client named it.
        checkpoint: the one whose predictions the decision used.
        trace_id: of the W3C trace context, 32 hexadecimal digits.
        cache: what the exact cache did.
    """

    request_id: str
    time: float
    requested: str | None
    policy: str | None
    chosen: str | None
    served: str | None
    deployment: str | None
    p_correct: float | None
    stand_in_distance: float | None
    predicted_loss: float | None
    candidates: str | None
    failover: str | None
    parts: str | None
    stream: bool
    status: int
    error: str | None
    prompt_tokens: int | None
    completion_tokens: int | None
    usage_estimated: bool
    cost_nusd: int | None
    latency_ms: float
    first_token_ms: float | None
    overhead_ms: float | None
    prompt: str | None
    api: str = "chat"
    conversation: str | None = None
    simulated: bool = False
    key_id: str | None = None
    key_name: str | None = None
    team: str | None = None
    end_user: str | None = None
    safety_identifier: str | None = None
    metadata: str | None = None
    tags: str | None = None
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None
    reasoning_tokens: int | None = None
    propensity: float | None = None
    checkpoint: str | None = None
    trace_id: str | None = None
    cache: str | None = None


COLUMNS = Record._fields
_INSERT = f"INSERT INTO requests ({', '.join(COLUMNS)}) VALUES ({', '.join('?' * len(COLUMNS))})"
# Raised if SQLite cannot store a value.
_UNSTORABLE = (OverflowError, UnicodeError, sqlite3.ProgrammingError)
_SCHEMA = f"""
CREATE TABLE IF NOT EXISTS requests ({", ".join(COLUMNS)});
DROP INDEX IF EXISTS requests_time;
"""


class Recorder:
    """Writes records to a database file. Use as an async context manager; leaving it flushes.

    Args:
        path: the SQLite file; None disables the record.
        clock: monotonic seconds.

    Attributes:
        lost: the number of records that were not written.
    """

    def __init__(self, path: Path | None, clock: Callable[[], float] = time.monotonic) -> None:
        self.lost = 0
        self._path = path
        self._clock = clock
        self._buffer: deque[_Pending] = deque()
        self._size = 0  # of the prompts in the buffer, characters
        self._wake = asyncio.Event()
        self._stop = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._failing = False
        self._losing = False

    @property
    def pending(self) -> int:
        """The number of records that wait to be written."""
        return len(self._buffer)

    @property
    def oldest_s(self) -> float:
        """The time that the oldest of them has waited, in seconds."""
        return self._clock() - self._buffer[0].since if self._buffer else 0.0

    async def __aenter__(self) -> "Recorder":
        if self._path is not None:
            self._task = asyncio.create_task(self._run(self._path), name="recorder")
        return self

    async def __aexit__(self, *exc: object) -> None:
        if self._task is not None:
            self._stop.set()
            self._wake.set()
            await asyncio.wait([self._task])
            self._task = None
        if self.pending:
            log.error("%d records could not be written to %s", self.pending, self._path)

    def add(self, record: Record) -> None:
        """Add a record to the buffer. It never blocks and never fails."""
        if self._path is None:
            return
        if record.requested is not None and len(record.requested) > MAX_NAME_CHARS:
            record = record._replace(requested=record.requested[:MAX_NAME_CHARS] + "…")
        size = 0 if record.prompt is None else len(record.prompt)
        self._buffer.append(_Pending(record, self._clock(), size))
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
            log.critical("records are lost, the oldest first: too many wait to be written to %s", self._path)

    async def _run(self, path: Path) -> None:
        """Write records until the recorder is stopped, then flush. Never cancelled, so that every connection is closed."""
        while True:
            opened: int | None = None
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                opened = inode(path)
                async with aiosqlite.connect(path) as db:
                    await _prepare(db)
                    opened = inode(path)
                    if await self._write(db, path, opened):
                        return
            except Exception as exc:  # records wait and requests continue, whatever happens to the file
                if not self._report_failure(path, exc):
                    log_exception(log, "records cannot be written", exc)
                moved = is_damage(exc) and await asyncio.to_thread(move_aside, path, opened)
                if self._stop.is_set() and not moved:
                    return
                self._wake.set()
                await self._pause(4 * FLUSH_S)

    async def _write(self, db: aiosqlite.Connection, path: Path, opened: int | None) -> bool:
        """Write records to an open database until the recorder is stopped.

        Returns:
            False if the file was moved or removed, so that a new one must be opened.
        """
        while True:
            await self._wake.wait()
            if inode(path) != opened:  # records written to it now would be lost
                log.warning("%s was moved or removed; a new database is created", path)
                with contextlib.suppress(sqlite3.Error):
                    await db.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # into the file that was moved
                return False
            self._wake.clear()
            await self._flush(db)
            self._report_written(path)
            if self._stop.is_set():
                return True
            await self._pause(FLUSH_S)

    def _report_failure(self, path: Path, exc: Exception) -> bool:
        """Log once that records wait. Return True if the exception is an expected one: an error of the database or the file."""
        expected = isinstance(exc, sqlite3.Error | OSError)
        if expected and not self._failing:
            log.critical("records cannot be written to %s and wait in memory: %s", path, exc)
        self._failing = True
        return expected

    def _report_written(self, path: Path) -> None:
        """Log that records are written again after a failure."""
        if self._failing:
            log.warning("records are written to %s again; %d were lost", path, self.lost)
        self._failing = self._losing = False

    async def _pause(self, seconds: float) -> None:
        """Wait, but not longer than until the recorder is stopped."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stop.wait(), seconds)

    async def _flush(self, db: aiosqlite.Connection) -> None:
        """Write all waiting records in batches."""
        while self._buffer:
            batch = list(islice(self._buffer, BATCH_RECORDS))
            try:
                await db.executemany(_INSERT, [pending.record for pending in batch])
            except _UNSTORABLE as exc:
                await db.rollback()
                batch = batch[:1]  # insert the records singly, so that only the faulty one is lost
                await self._insert_one(db, batch[0].record, exc)
            await db.commit()
            for pending in batch:  # the oldest may have been dropped from the buffer meanwhile
                if self._buffer and self._buffer[0] is pending:
                    self._size -= self._buffer.popleft().size

    async def _insert_one(self, db: aiosqlite.Connection, record: Record, cause: Exception) -> None:
        """Write a record after its batch failed with `cause`; if it fails in the same way, count it as lost."""
        try:
            await db.execute(_INSERT, record)
        except type(cause) as exc:
            self.lost += 1
            log_exception(log, f"the record of request {record.request_id} cannot be written", exc)


class _Pending(NamedTuple):
    """A waiting record, the time when it was added, and the size of its prompt in characters."""

    record: Record
    since: float
    size: int


async def _prepare(db: aiosqlite.Connection) -> None:
    """Set the options of a connection, and create the table or its missing columns."""
    await db.execute("PRAGMA journal_mode = WAL")
    await db.execute("PRAGMA synchronous = NORMAL")
    await db.execute("PRAGMA busy_timeout = 5000")
    await db.executescript(_SCHEMA)
    await _add_columns(db)


async def _add_columns(db: aiosqlite.Connection) -> None:
    """Add the columns that a database of an older version lacks."""
    async with db.execute("PRAGMA table_info(requests)") as rows:
        known = {row[1] for row in await rows.fetchall()}
    for column in COLUMNS:
        if column not in known:
            await db.execute(f"ALTER TABLE requests ADD COLUMN {column}")
