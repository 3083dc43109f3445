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
import orjson

log = logging.getLogger("locus.responses")

Items = list[dict[str, Any]]
MODE = 0o600
BUSY_MS = 2_000
PRUNE_S = 60.0
LONGEST_CHAIN = 10_000  # responses; by then the conversation fits no model any more
MOST_REFERENCES = 2_000
_SCHEMA = """
CREATE TABLE IF NOT EXISTS chains (chain INTEGER PRIMARY KEY, used REAL NOT NULL, rows INTEGER NOT NULL, bytes INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS chains_used ON chains (used);
CREATE TABLE IF NOT EXISTS responses (
    owner TEXT NOT NULL, id TEXT NOT NULL, chain INTEGER NOT NULL, previous TEXT, session TEXT, bytes INTEGER NOT NULL,
    input BLOB NOT NULL, response BLOB NOT NULL, PRIMARY KEY (owner, id)
);
CREATE INDEX IF NOT EXISTS responses_chain ON responses (chain);
CREATE TABLE IF NOT EXISTS items (
    owner TEXT NOT NULL, id TEXT NOT NULL, response TEXT NOT NULL, chain INTEGER NOT NULL, PRIMARY KEY (owner, id)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS items_chain ON items (chain);
"""


@dataclass(frozen=True, slots=True)
class Limits:
    """How much is kept.

    Attributes:
        retention_s: a conversation that nobody went on with for so long is forgotten.
        responses: of all clients.
        bytes: of their JSON.
    """

    retention_s: float = 30 * 86_400.0
    responses: int = 100_000
    bytes: int = 1 << 30


@dataclass(frozen=True, slots=True)
class Stored:
    """A stored response.

    Attributes:
        input: everything that it answered: the conversation before it, then its own input.
        response: the Response object.
        whole: is `input` all of it? Not where a response before it has been deleted.
    """

    id: str
    session: str | None
    input: Items
    response: dict[str, Any]
    whole: bool

    @property
    def items(self) -> Items:
        """The conversation with the answer: what comes before the input of the response that goes on with it."""
        output: Items = self.response["output"]
        return self.input + output


class ResponseStore:
    """Use as an async context manager.

    Args:
        path: the SQLite file; None keeps nothing.
        clock: seconds since the epoch.
    """

    def __init__(self, path: Path | None, limits: Limits | None = None, clock: Callable[[], float] = time.time) -> None:
        self._path = path
        self._limits = limits or Limits()
        self._clock = clock
        self._db: aiosqlite.Connection | None = None
        self._writing = asyncio.Lock()  # one transaction at a time on the connection
        self._pruner: asyncio.Task[None] | None = None
        self._failing: set[str] = set()

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
        owner: str,
        session: str | None,
    ) -> None:
        """Keeps a finished response. Never fails.

        Args:
            own_input: without the conversation before it.
            previous: the id of the response that it goes on with.
        """
        if self._path is None:
            return
        name = response["id"]
        written, answer = orjson.dumps(list(own_input)), orjson.dumps(response)
        size = len(written) + len(answer)
        names = {item["id"] for item in response["output"] if isinstance(item.get("id"), str)}
        with self._tolerant("written"):
            async with self._transaction(self._path) as db:
                await _forget(db, owner, name)
                chain = await self._chain(db, owner, previous, size)
                await db.execute(
                    "INSERT INTO responses (owner, id, chain, previous, session, bytes, input, response)"
                    " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                    (owner, name, chain, previous, session, size, written, answer),
                )
                await db.executemany(
                    "INSERT OR REPLACE INTO items (owner, id, response, chain) VALUES (?, ?, ?, ?)",
                    [(owner, item, name, chain) for item in names],
                )

    async def load(self, response_id: str, owner: str) -> Stored | None:
        """A stored response with its conversation; None where it is unknown, expired or another owner's."""
        links = await self._select(
            "SELECT id, previous, session FROM responses WHERE owner = :owner AND chain ="
            " (SELECT chain FROM responses JOIN chains USING (chain) WHERE owner = :owner AND id = :id AND used >= :oldest)",
            {"owner": owner, "id": response_id, "oldest": self._oldest()},
        )
        before = {name: previous for name, previous, _ in links}
        way: list[str] = []  # from the response back to the first
        at: str | None = response_id
        while at is not None and at in before and len(way) < LONGEST_CHAIN:
            way.append(at)
            at = before.pop(at)
        rows = await self._select(
            f"SELECT id, input, response FROM responses WHERE owner = ? AND id IN ({', '.join('?' * len(way))})",
            (owner, *way),
        )
        found = {name: (orjson.loads(written), orjson.loads(answer)) for name, written, answer in rows}
        if response_id not in found:
            return None
        items: Items = []
        for name in reversed(way[1:]):
            if name in found:
                items += found[name][0] + found[name][1]["output"]
        own, response = found[response_id]
        session = next(session for name, _, session in links if name == response_id)
        return Stored(response_id, session, items + own, response, whole=at is None and len(found) == len(way))

    async def items(self, names: Iterable[str], owner: str) -> dict[str, dict[str, Any]]:
        """The output items of these ids, as far as they are stored."""
        wanted = list(names)[:MOST_REFERENCES]
        if not wanted:
            return {}
        rows = await self._select(
            "SELECT DISTINCT r.response FROM items AS i JOIN responses AS r ON r.owner = i.owner AND r.id = i.response"
            " JOIN chains AS c ON c.chain = r.chain WHERE i.owner = ? AND used >= ?"
            f" AND i.id IN ({', '.join('?' * len(wanted))})",
            (owner, self._oldest(), *wanted),
        )
        outputs = [item for (answer,) in rows for item in orjson.loads(answer)["output"]]
        return {item["id"]: item for item in outputs if item.get("id") in wanted}

    async def delete(self, response_id: str, owner: str) -> bool:
        """Forgets a response; False where there is none."""
        if self._path is None:
            return False
        deleted = False
        with self._tolerant("written"):
            async with self._transaction(self._path) as db:
                deleted = await _forget(db, owner, response_id)
        return deleted

    async def prune(self) -> None:
        """Forgets conversations that nobody went on with for too long, then the longest unused while there is too much."""
        if self._path is None:
            return
        with self._tolerant("written"):
            async with self._transaction(self._path) as db:
                sql = (
                    "DELETE FROM chains WHERE used < ? OR chain IN (SELECT chain FROM (SELECT chain,"
                    " sum(rows) OVER newest AS n, sum(bytes) OVER newest AS size FROM chains"
                    " WINDOW newest AS (ORDER BY used DESC, chain DESC)) WHERE n > ? OR size > ?) RETURNING chain"
                )
                values = (self._oldest(), self._limits.responses, self._limits.bytes)
                async with db.execute(sql, values) as deleted:
                    gone = [(chain,) for (chain,) in await deleted.fetchall()]
                for table in ("responses", "items"):
                    await db.executemany(f"DELETE FROM {table} WHERE chain = ?", gone)

    async def _prune_always(self) -> None:
        assert self._path is not None
        while True:
            if self._path.exists():  # whoever never uses the API gets no file
                await self.prune()
            await asyncio.sleep(min(PRUNE_S, self._limits.retention_s))

    async def _chain(self, db: aiosqlite.Connection, owner: str, previous: str | None, size: int) -> int:
        """The chain that a new response belongs to: that of the previous one, or a new one."""
        async with db.execute("SELECT chain FROM responses WHERE owner = ? AND id = ?", (owner, previous)) as found:
            row = await found.fetchone()
        now = self._clock()
        if row is not None:
            sql = "UPDATE chains SET used = ?, rows = rows + 1, bytes = bytes + ? WHERE chain = ?"
            await db.execute(sql, (now, size, row[0]))
            return int(row[0])
        sql = "INSERT INTO chains (used, rows, bytes) VALUES (?, 1, ?)"
        async with db.execute(sql, (now, size)) as new:
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
        db = await aiosqlite.connect(path, isolation_level=None)
        try:
            await db.execute(f"PRAGMA busy_timeout = {BUSY_MS}")
            await db.execute("PRAGMA journal_mode = WAL")
            await db.execute("PRAGMA synchronous = NORMAL")
            await db.executescript(_SCHEMA)
        except BaseException:
            await db.close()
            raise
        self._db = db
        return db

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


async def _forget(db: aiosqlite.Connection, owner: str, response_id: str) -> bool:
    """Takes a response out of its chain."""
    sql = "DELETE FROM responses WHERE owner = ? AND id = ? RETURNING chain, bytes"
    async with db.execute(sql, (owner, response_id)) as deleted:
        row = await deleted.fetchone()
    if row is None:
        return False
    chain, size = row
    await db.execute("DELETE FROM items WHERE owner = ? AND response = ? AND chain = ?", (owner, response_id, chain))
    await db.execute("UPDATE chains SET rows = rows - 1, bytes = bytes - ? WHERE chain = ?", (size, chain))
    await db.execute("DELETE FROM chains WHERE chain = ? AND rows = 0", (chain,))
    return True
