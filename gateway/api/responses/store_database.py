"""The connection to the SQLite file of stored responses. A database that fails is logged; no request fails because of it."""

import asyncio
import contextlib
import logging
import os
import sqlite3
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import aiosqlite

from gateway.api.responses import store_tables
from gateway.core.damaged_sqlite import inode, is_damage, move_aside

log = logging.getLogger("locus.responses")

FILE_MODE = 0o600
BUSY_TIMEOUT_MS = 2_000


class StoreDatabase:
    """Opens the file at its first use. Several processes may share it.

    Known limit: if the file is deleted while it is open, SQLite continues to write into the deleted file, and the responses are
    lost when the process ends.

    Args:
        path: the SQLite file; it is created if it does not exist.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection: aiosqlite.Connection | None = None
        self._write_lock = asyncio.Lock()  # one transaction at a time on the connection
        self._failing: set[str] = set()

    async def close(self) -> None:
        if self._connection is not None:
            async with self._write_lock:
                await self._connection.close()
                self._connection = None

    @property
    def exists(self) -> bool:
        return self._path.exists()

    async def select(self, sql: str, values: Mapping[str, object] | Sequence[object]) -> list[Any]:
        """Return the rows; none if the database cannot be read."""
        with self.logged_failures("read"):
            if self._connection is None:
                async with self._write_lock:
                    await self._open()
            assert self._connection is not None
            async with self._connection.execute(sql, values) as rows:
                return list(await rows.fetchall())
        return []

    @contextlib.asynccontextmanager
    async def transaction(self) -> AsyncIterator[aiosqlite.Connection]:
        """Run the block as one transaction, which is rolled back if the block raises."""
        async with self._write_lock:
            connection = await self._open()
            try:
                await connection.execute("BEGIN IMMEDIATE")
                yield connection
                await connection.commit()
            except BaseException:
                await connection.rollback()
                raise

    @contextlib.contextmanager
    def logged_failures(self, action: Literal["read", "written"]) -> Iterator[None]:
        """Suppress database errors in the block. The first error of a series is logged, and the end of the series."""
        try:
            yield
        except (sqlite3.Error, OSError) as exc:
            if action not in self._failing:
                self._failing.add(action)
                log.error("stored responses cannot be %s in %s: %s", action, self._path, exc)
            return
        if action in self._failing:
            self._failing.discard(action)
            log.info("stored responses are %s in %s again", action, self._path)

    async def _open(self) -> aiosqlite.Connection:
        if self._connection is not None:
            return self._connection
        path = self._path
        path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, FILE_MODE))
        os.chmod(
            path, FILE_MODE
        )  # only the gateway's user may read conversations; SQLite gives its other files the same mode
        opened = inode(path)
        connection = await aiosqlite.connect(path, isolation_level=None)
        try:
            await connection.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
            await connection.execute("PRAGMA journal_mode = WAL")
            await connection.execute("PRAGMA synchronous = NORMAL")
            await store_tables.create(connection)
        except BaseException as exc:
            await connection.close()
            if is_damage(exc) and await asyncio.to_thread(move_aside, path, opened):
                return await self._open()
            raise
        self._connection = connection
        return connection
