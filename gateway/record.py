"""Record: one row per request, written to SQLite in batches, off the request path.

`add` only appends to a bounded buffer. A database that cannot be written (disk full, locked) never fails a request: rows
wait in the buffer and are tried again, and only beyond its bound are the oldest lost, and counted.
"""

import asyncio
import contextlib
import logging
import sqlite3
from collections import deque
from pathlib import Path
from typing import NamedTuple

import aiosqlite

log = logging.getLogger("locus.record")

BUFFER = 10_000
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
        parts: a `Part` each, in order, where a stream was continued by another call; tokens and cost are their sums.
        usage_estimated: some provider did not say what it billed, as one whose stream was cut.
        error: code of the error that the client got; `client_disconnected` where it left.
        prompt: the messages as JSON, only where the portfolio asks to store them.
        api: the format of the request: "chat", "messages", "responses", "completions" or "embeddings".
        conversation: "kept" or "switched" where it had a model already.
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
    """

    def __init__(self, path: Path | None) -> None:
        self.lost = 0
        self._path = path
        self._buffer: deque[Record] = deque()
        self._wake = asyncio.Event()
        self._stop = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._failing = False

    @property
    def pending(self) -> int:
        """Records that are not in the database yet."""
        return len(self._buffer)

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
        if len(self._buffer) >= BUFFER:
            self._buffer.popleft()
            self.lost += 1
        self._buffer.append(record)
        self._wake.set()

    async def _run(self, path: Path) -> None:
        """Until it is stopped; then one last flush. Never cancelled: a connection that is being opened must be closed."""
        while True:
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                async with aiosqlite.connect(path) as db:
                    await db.execute("PRAGMA journal_mode = WAL")
                    await db.execute("PRAGMA synchronous = NORMAL")
                    await db.execute("PRAGMA busy_timeout = 5000")
                    await db.executescript(_SCHEMA)
                    await _add_columns(db)
                    while True:
                        await self._wake.wait()
                        self._wake.clear()
                        await self._flush(db)
                        if self._failing:
                            self._failing = False
                            log.info("records are written to %s again", path)
                        if self._stop.is_set():
                            return
                        await self._pause(FLUSH_S)
            except (sqlite3.Error, OSError) as exc:
                if not self._failing:
                    self._failing = True
                    log.error("records cannot be written to %s and wait in memory: %s", path, exc)
                if self._stop.is_set():
                    return
                self._wake.set()
                await self._pause(4 * FLUSH_S)

    async def _pause(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stop.wait(), seconds)

    async def _flush(self, db: aiosqlite.Connection) -> None:
        while self._buffer:
            batch = [self._buffer[i] for i in range(min(BATCH, len(self._buffer)))]
            await db.executemany(_INSERT, batch)
            await db.commit()
            for record in batch:  # only what is safely written leaves; the oldest may have been dropped meanwhile
                if self._buffer and self._buffer[0] is record:
                    self._buffer.popleft()


async def _add_columns(db: aiosqlite.Connection) -> None:
    """Brings a database that an older version began up to date."""
    async with db.execute("PRAGMA table_info(requests)") as rows:
        known = {row[1] for row in await rows.fetchall()}
    for column in COLUMNS:
        if column not in known:
            await db.execute(f"ALTER TABLE requests ADD COLUMN {column}")
