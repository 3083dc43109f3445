"""Finished responses, kept for a while so that `previous_response_id` and item references find them; in SQLite.

A response is stored with what is new in it: its own input and its output. The conversation before it is read along the chain
of previous ids, so that a long one takes no more room than its items. A chain is kept, and expires, as one; when one
response is deleted, what was built upon it can be read but no longer continued.

Several processes may share the file. A database that cannot be written never fails an answer: the response is lost, once logged.
"""

import asyncio
import contextlib
import logging
import os
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import aiosqlite

from gateway.api.responses import store_tables
from gateway.api.responses.store_rows import (
    StoredResponse,
    affordable,
    items_named,
    response_json,
    row_of,
    stored_response,
)
from gateway.bodies.json_cost import BYTES_PER_BYTE, MAX_CONTAINERS
from gateway.bodies.memory_budget import charge
from gateway.bodies.offload import offloaded
from gateway.core.damaged_sqlite import inode, is_damage, move_aside
from gateway.core.errors import InvalidRequest

log = logging.getLogger("locus.responses")

MODE = 0o600
BUSY_MS = 2_000
PRUNE_S = 60.0
PRUNE_SHARE = 20  # what is over the limits is forgotten at once when so much has been written: a twentieth of all bytes
LONGEST_CHAIN = 10_000  # responses; by then the conversation fits no model any more
MOST_REFERENCES = 2_000


@dataclass(frozen=True, slots=True)
class StoreLimits:
    """How much is kept.

    Attributes:
        retention_s: a conversation is forgotten when its last response is so old.
        responses: of all owners. Where there are more, the owners with the most lose their oldest conversations.
        bytes: of the JSON of these responses; likewise.
        conversation_bytes: of the JSON of one conversation that a request can go on with, or of all items that it refers to.
    """

    retention_s: float = 30 * 86_400.0
    responses: int = 100_000
    bytes: int = 1 << 30
    conversation_bytes: int = 20 << 20


class ResponseStore:
    """Use as an async context manager.

    Args:
        path: the SQLite file; None keeps nothing.
        clock: seconds since the epoch.
    """

    def __init__(
        self, path: Path | None, limits: StoreLimits | None = None, clock: Callable[[], float] = time.time
    ) -> None:
        self._path = path
        self._limits = limits or StoreLimits()
        self._clock = clock
        self._db: aiosqlite.Connection | None = None
        self._writing = asyncio.Lock()  # one transaction at a time on the connection
        self._pruner: asyncio.Task[None] | None = None
        self._failing: set[str] = set()
        self._unpruned = 0  # bytes written since the last look for what is over the limits

    @property
    def keeps(self) -> bool:
        return self._path is not None

    async def __aenter__(self) -> "ResponseStore":
        if self._path is not None:
            self._pruner = asyncio.create_task(self._prune_always(), name="response store")
        return self

    async def __aexit__(self, *exc: object) -> None:
        if self._pruner is not None:
            self._pruner.cancel()
            await asyncio.wait([self._pruner])
        if self._db is not None:
            async with self._writing:
                await self._db.close()
                self._db = None

    async def save(
        self,
        response: dict[str, Any],
        own_input: Iterable[dict[str, Any]],
        previous: str | None,
        key_digest: str,
        session: str | None,
    ) -> None:
        """Keeps a finished response, where it has an id. Never fails.

        Args:
            own_input: without the conversation before it.
            previous: the id of the response that it goes on with.
        """
        name = response.get("id")
        if self._path is None or not isinstance(name, str):
            return
        row = await asyncio.to_thread(row_of, response, list(own_input))
        with self._tolerant("written"):
            async with self._transaction(self._path) as db:
                await _forget(db, key_digest, name)
                chain = await self._chain(db, key_digest, previous, row.size)
                await db.execute(
                    "INSERT INTO responses (owner, id, chain, previous, session, bytes, input, output, response)"
                    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    (key_digest, name, chain, previous, session, row.size, row.input, row.output, row.response),
                )
                await db.executemany(
                    "INSERT OR REPLACE INTO items (owner, id, response, chain) VALUES (?, ?, ?, ?)",
                    [(key_digest, item, name, chain) for item in row.names],
                )
        self._unpruned += row.size
        if self._unpruned > self._limits.bytes // PRUNE_SHARE:
            await self.prune()

    async def load(self, response_id: str, key_digest: str) -> StoredResponse | None:
        """A stored response with its conversation; None where it is unknown, expired or another owner's.

        Raises:
            InvalidRequest: the conversation is longer than a request can go on with.
            Overloaded: there is no memory for it now.
        """
        links = await self._select(
            store_tables.WAY,
            {"owner": key_digest, "id": response_id, "oldest": self._oldest(), "most": LONGEST_CHAIN},
        )
        way = list(dict.fromkeys(name for name, *_ in links))  # from the response back to the first
        if not way:
            return None
        size = sum(size for *_, size in links[: len(way)])
        if len(way) > LONGEST_CHAIN or size > self._limits.conversation_bytes:
            raise self._too_long("The conversation", "previous_response_id")
        charge(BYTES_PER_BYTE * size)
        found = {
            name: blobs
            for name, *blobs in await self._select(
                f"SELECT id, input, output FROM responses WHERE owner = ? AND id IN ({', '.join('?' * len(way))})",
                (key_digest, *way),
            )
        }
        response = await self._response(response_id, key_digest)
        if response_id not in found or response is None:
            return None
        whole = links[-1][1] is None and len(found) == len(way)
        blobs = [found[name] for name in reversed(way) if name in found]
        if not await offloaded(size, affordable, [blob for pair in blobs for blob in pair]):
            raise self._too_long("The conversation", "previous_response_id")
        return await offloaded(size, stored_response, response_id, links[0][2], blobs, response[0], whole)

    async def response(self, response_id: str, key_digest: str) -> bytes | None:
        """The JSON of a stored Response object, without its conversation; None as for `load`."""
        row = await self._response(response_id, key_digest)
        return None if row is None else response_json(*row)

    async def _response(self, response_id: str, key_digest: str) -> Sequence[bytes] | None:
        """The JSON of a response without its output, and that of its output."""
        rows = await self._select(
            "SELECT response, output FROM responses JOIN chains USING (chain)"
            " WHERE responses.owner = ? AND id = ? AND used >= ?",
            (key_digest, response_id, self._oldest()),
        )
        return rows[0] if rows else None

    async def items(self, names: Iterable[str], key_digest: str) -> dict[str, dict[str, Any]]:
        """The output items of these ids, as far as they are stored.

        Raises:
            InvalidRequest: the responses that they are of are too large together.
            Overloaded: there is no memory for them now.
        """
        wanted = sorted(names)[:MOST_REFERENCES]
        if not wanted:
            return {}
        values = (key_digest, self._oldest(), *wanted)
        sizes = await self._select(store_tables.referred("r.id, length(r.output)", len(wanted)), values)
        size = sum(size for _, size in sizes)
        rows: list[Any] = []
        if size <= self._limits.conversation_bytes:
            charge(BYTES_PER_BYTE * size)
            rows = await self._select(store_tables.referred("r.id, r.output", len(wanted)), values)
        outputs = [output for _, output in rows]
        if size > self._limits.conversation_bytes or not await offloaded(size, affordable, outputs):
            raise self._too_long("The responses with the items that are referred to", "input")
        return await offloaded(size, items_named, outputs, frozenset(wanted))

    async def delete(self, response_id: str, key_digest: str) -> bool:
        """Forgets a response; False where there is none."""
        if self._path is None:
            return False
        deleted = False
        with self._tolerant("written"):
            async with self._transaction(self._path) as db:
                deleted = await _forget(db, key_digest, response_id)
        return deleted

    async def prune(self) -> None:
        """Forgets conversations that are too old, then the oldest of the owners with the most while there is too much."""
        if self._path is None:
            return
        self._unpruned = 0
        with self._tolerant("written"):
            async with self._transaction(self._path) as db:
                await store_tables.prune(db, self._oldest(), self._limits.responses, self._limits.bytes)

    async def _prune_always(self) -> None:
        assert self._path is not None
        while True:
            if self._path.exists():  # without use of the API there is no file
                await self.prune()
            await asyncio.sleep(min(PRUNE_S, self._limits.retention_s))

    async def _chain(self, db: aiosqlite.Connection, key_digest: str, previous: str | None, size: int) -> int:
        """The chain that a new response belongs to: that of the previous one, or a new one."""
        async with db.execute(
            "SELECT chain FROM responses WHERE owner = ? AND id = ?", (key_digest, previous)
        ) as found:
            row = await found.fetchone()
        now = self._clock()
        if row is not None:
            sql = "UPDATE chains SET used = ?, rows = rows + 1, bytes = bytes + ? WHERE chain = ?"
            await db.execute(sql, (now, size, row[0]))
            return int(row[0])
        sql = "INSERT INTO chains (owner, used, rows, bytes) VALUES (?, ?, 1, ?)"
        async with db.execute(sql, (key_digest, now, size)) as new:
            assert new.lastrowid is not None
            return new.lastrowid

    async def _select(self, sql: str, values: Mapping[str, Any] | Sequence[Any]) -> list[Any]:
        if self._path is None:
            return []
        with self._tolerant("read"):
            if self._db is None:
                async with self._writing:
                    await self._opened(self._path)
            assert self._db is not None
            async with self._db.execute(sql, values) as rows:
                return list(await rows.fetchall())
        return []

    @contextlib.asynccontextmanager
    async def _transaction(self, path: Path) -> AsyncIterator[aiosqlite.Connection]:
        async with self._writing:
            db = await self._opened(path)
            try:
                await db.execute("BEGIN IMMEDIATE")
                yield db
                await db.commit()
            except BaseException:
                await db.rollback()
                raise

    async def _opened(self, path: Path) -> aiosqlite.Connection:
        if self._db is not None:
            return self._db
        path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, MODE))
        os.chmod(path, MODE)  # conversations are for the gateway alone; SQLite gives its other files the same mode
        opened = inode(path)
        db = await aiosqlite.connect(path, isolation_level=None)
        try:
            await db.execute(f"PRAGMA busy_timeout = {BUSY_MS}")
            await db.execute("PRAGMA journal_mode = WAL")
            await db.execute("PRAGMA synchronous = NORMAL")
            await store_tables.create(db)
        except BaseException as exc:
            await db.close()
            if is_damage(exc) and await asyncio.to_thread(move_aside, path, opened):
                return await self._opened(path)
            raise
        self._db = db
        return db

    def _too_long(self, what: str, param: str) -> InvalidRequest:
        limit = self._limits.conversation_bytes / (1 << 20)
        message = (
            f"{what} would be longer than this gateway reads ({limit:.0f} MiB, {MAX_CONTAINERS} objects and lists); send what is"
            " needed of it as `input`."
        )
        return InvalidRequest(message, param=param)

    def _oldest(self) -> float:
        return self._clock() - self._limits.retention_s

    @contextlib.contextmanager
    def _tolerant(self, what: Literal["read", "written"]) -> Iterator[None]:
        """Logs the first of a row of failures, and goes on."""
        try:
            yield
        except (sqlite3.Error, OSError) as exc:
            if what not in self._failing:
                self._failing.add(what)
                log.error("stored responses cannot be %s in %s: %s", what, self._path, exc)
            return
        if what in self._failing:
            self._failing.discard(what)
            log.info("stored responses are %s in %s again", what, self._path)


async def _forget(db: aiosqlite.Connection, key_digest: str, response_id: str) -> bool:
    """Takes a response out of its chain."""
    sql = "DELETE FROM responses WHERE owner = ? AND id = ? RETURNING chain, bytes"
    async with db.execute(sql, (key_digest, response_id)) as deleted:
        row = await deleted.fetchone()
    if row is None:
        return False
    chain, size = row
    await db.execute(
        "DELETE FROM items WHERE owner = ? AND response = ? AND chain = ?", (key_digest, response_id, chain)
    )
    await db.execute("UPDATE chains SET rows = rows - 1, bytes = bytes - ? WHERE chain = ?", (size, chain))
    await db.execute("DELETE FROM chains WHERE chain = ? AND rows = 0", (chain,))
    return True
