"""Record: one row per request, written to SQLite in batches, off the request path.

`add` only appends to a bounded buffer. A database that cannot be written (disk full, locked) never fails a request: rows
wait in the buffer and are tried again, and only beyond its bound are the oldest lost, and counted. A damaged database is kept
under another name, and a new one begun; so it is where the file is moved or removed.
"""

import asyncio
import contextlib
import logging
import sqlite3
import time
from collections import deque
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import aiosqlite

from gateway.core.damaged_sqlite import inode, is_damage, move_aside
from gateway.core.safe_logging import log_defect

log = logging.getLogger("locus.record")

BUFFER = 10_000  # records, and
BUFFER_BYTES = 64 << 20  # of their prompts, which wait at most
MAX_NAME_CHARS = 256  # of a model's name as a client wrote it
FLUSH_S = 0.25
BATCH = 500


class Part(NamedTuple):
    """A call that the client has its answer, or the beginning or rest of it, from.

    Attributes:
        estimated: the provider did not say what it billed, so that the tokens are counted by the text.
    """

    model: str
    deployment: str
    prompt_tokens: int
    completion_tokens: int
    cost_usd: float
    estimated: bool

    def plus(self, other: "Part") -> "Part":
        """Both calls to the same deployment as one."""
        tokens = self.prompt_tokens + other.prompt_tokens, self.completion_tokens + other.completion_tokens
        cost_usd = self.cost_usd + other.cost_usd
        return Part(self.model, self.deployment, *tokens, cost_usd, self.estimated or other.estimated)


class Record(NamedTuple):
    """What happened to one request. Times in ms, prices in USD; JSON columns hold lists of objects.

    Attributes:
        request_id: the client's own where it sent one, so not always unique.
        time: seconds since the epoch, at arrival.
        requested: the `model` of the request.
        chosen, served: portfolio names; they differ where a stand-in answered.
        candidates: `[{"model", "p_correct", "price_usd"}]` of the 20 best models by the policy; None where one was named.
        failover: `[{"model", "deployment", "cause", "status", "elapsed_ms", "distance", "predicted_loss", "after_content"}]`,
            the calls that did not serve the request, or not to its end, in order; distance and loss against the chosen model.
        parts: a `Part` each, in order, where a stream was continued by another call; tokens and cost are their sums. Of a batch
            of prompts a `Part` for each deployment that answered any, where there are several; chosen, served, deployment,
            p_correct, candidates and what is known of a stand-in are those of the first prompt.
        usage_estimated: some provider did not say what it billed, as one whose stream was cut.
        error: code of the error that the client got; `client_disconnected` where it left.
        prompt: the messages as JSON, only where the portfolio asks to store them.
        api: the format of the request: "chat", "messages", "responses", "completions" or "embeddings".
        conversation: "kept" or "switched" where it had a model already.
        simulated: the gateway was in demo mode, so that no answer is real.
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
    cost_usd: float | None
    latency_ms: float
    first_token_ms: float | None
    overhead_ms: float | None
    prompt: str | None
    api: str = "chat"
    conversation: str | None = None
    simulated: bool = False


COLUMNS = Record._fields
_INSERT = f"INSERT INTO requests ({', '.join(COLUMNS)}) VALUES ({', '.join('?' * len(COLUMNS))})"
_SCHEMA = f"""
CREATE TABLE IF NOT EXISTS requests ({", ".join(COLUMNS)});
DROP INDEX IF EXISTS requests_time;
"""


class Recorder:
    """Writes records to a database file. Use as an async context manager; leaving it flushes.

    Args:
        path: the SQLite file; None records nothing.
        clock: monotonic seconds.

    Attributes:
        lost: records that never reached the file.
    """

    def __init__(self, path: Path | None, clock: Callable[[], float] = time.monotonic) -> None:
        self.lost = 0
        self._path = path
        self._clock = clock
        self._buffer: deque[_Pending] = deque()
        self._size = 0  # of what is in the buffer, bytes
        self._wake = asyncio.Event()
        self._stop = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._failing = False
        self._losing = False

    @property
    def pending(self) -> int:
        """How many records wait to be written."""
        return len(self._buffer)

    @property
    def oldest_s(self) -> float:
        """How long the oldest of them has waited, seconds."""
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
        """Takes a record; never blocks and never fails."""
        if self._path is None:
            return
        if record.requested is not None and len(record.requested) > MAX_NAME_CHARS:
            record = record._replace(requested=record.requested[:MAX_NAME_CHARS] + "…")
        size = 0 if record.prompt is None else len(record.prompt)
        self._buffer.append(_Pending(record, self._clock(), size))
        self._size += size
        while len(self._buffer) > BUFFER or (self._size > BUFFER_BYTES and len(self._buffer) > 1):
            self._size -= self._buffer.popleft().size
            self._lose()
        self._wake.set()

    def _lose(self) -> None:
        self.lost += 1
        if not self._losing:
            self._losing = True
            log.critical("records are lost: the oldest of those that wait to be written to %s", self._path)

    async def _run(self, path: Path) -> None:
        """Until it is stopped; then one last flush. Never cancelled: a connection that is being opened must be closed."""
        while True:
            opened: int | None = None
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                opened = inode(path)
                async with aiosqlite.connect(path) as db:
                    await db.execute("PRAGMA journal_mode = WAL")
                    await db.execute("PRAGMA synchronous = NORMAL")
                    await db.execute("PRAGMA busy_timeout = 5000")
                    await db.executescript(_SCHEMA)
                    await _add_columns(db)
                    opened = inode(path)
                    while True:
                        await self._wake.wait()
                        if inode(path) != opened:  # what is written to it now would be lost with it
                            log.warning("%s was moved or removed; a new one is begun", path)
                            with contextlib.suppress(sqlite3.Error):
                                await db.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # into the file that was moved
                            break
                        self._wake.clear()
                        await self._flush(db)
                        self._say_written(path)
                        if self._stop.is_set():
                            return
                        await self._pause(FLUSH_S)
            except Exception as exc:  # whatever happens to the file, records wait and requests go on
                if not self._say_failing(path, exc):
                    log_defect(log, "records cannot be written", exc)
                moved = is_damage(exc) and await asyncio.to_thread(move_aside, path, opened)
                if self._stop.is_set() and not moved:
                    return
                self._wake.set()
                await self._pause(4 * FLUSH_S)

    def _say_failing(self, path: Path, exc: Exception) -> bool:
        """Logs that records wait, once until they are written again. False: this exception was not to be expected."""
        expected = isinstance(exc, sqlite3.Error | OSError)
        if expected and not self._failing:
            log.critical("records cannot be written to %s and wait in memory: %s", path, exc)
        self._failing = True
        return expected

    def _say_written(self, path: Path) -> None:
        if self._failing:
            log.warning("records are written to %s again; %d were lost", path, self.lost)
        self._failing = self._losing = False

    async def _pause(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stop.wait(), seconds)

    async def _flush(self, db: aiosqlite.Connection) -> None:
        while self._buffer:
            batch = list(islice(self._buffer, BATCH))
            try:
                await db.executemany(_INSERT, [pending.record for pending in batch])
            except (OverflowError, UnicodeError, sqlite3.ProgrammingError) as exc:  # a value that no column can hold
                await db.rollback()
                batch = batch[:1]  # so that the one at fault is found, and only it is lost
                await self._insert_one(db, batch[0].record, exc)
            await db.commit()
            for pending in batch:  # only what is safely written leaves; the oldest may have been dropped meanwhile
                if self._buffer and self._buffer[0] is pending:
                    self._size -= self._buffer.popleft().size

    async def _insert_one(self, db: aiosqlite.Connection, record: Record, cause: Exception) -> None:
        try:
            await db.execute(_INSERT, record)
        except type(cause) as exc:
            self.lost += 1
            log_defect(log, f"the record of request {record.request_id} cannot be written", exc)


class _Pending(NamedTuple):
    """A record that waits since a time by the clock; `size` is of its prompt, characters."""

    record: Record
    since: float
    size: int


async def _add_columns(db: aiosqlite.Connection) -> None:
    """Brings a database that an older version began up to date."""
    async with db.execute("PRAGMA table_info(requests)") as rows:
        known = {row[1] for row in await rows.fetchall()}
    for column in COLUMNS:
        if column not in known:
            await db.execute(f"ALTER TABLE requests ADD COLUMN {column}")
