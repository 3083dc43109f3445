"""The database of a running gateway, from one event loop: opens it at its first use, and opens it again if an SQLite file is moved.

Callers get connections of SQLAlchemy; each of them must be able to go on without the database. A damaged SQLite file is renamed,
and a new one is created.
"""

import asyncio
import contextlib
import errno
import logging
import os
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from gateway.config.database_location import DatabaseLocation
from gateway.core.damaged_sqlite import check_first_page, inode, is_damage, move_aside

if TYPE_CHECKING:  # takes 0.2 s to import: `_open` does it in a thread
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

log = logging.getLogger("locus.store")

FILE_MODE = 0o600
TIMEOUT_S = 10.0  # of a transaction


class DatabaseUnavailable(Exception):
    """The database cannot be used now. The message contains no password and no value of a statement.

    Attributes:
        full: the disk of the database is full.
        replaced: it was a damaged file that has been renamed, so that the next try uses a new file.
    """

    def __init__(self, message: str, *, full: bool = False, replaced: bool = False) -> None:
        super().__init__(message)
        self.full = full
        self.replaced = replaced


class Database:
    """A database. Several processes may share it.

    Attributes:
        location: where it is.
        newer: its schema is of a newer version than this gateway.
    """

    def __init__(self, location: DatabaseLocation) -> None:
        self.location = location
        self.newer = False
        self._engine: AsyncEngine | None = None
        self._opening = asyncio.Lock()
        self._inode: int | None = None

    async def close(self) -> None:
        """Close all connections; a later transaction opens it again."""
        engine, self._engine = self._engine, None
        if engine is not None:
            await engine.dispose()

    @asynccontextmanager
    async def begin(self) -> AsyncIterator["AsyncConnection"]:
        """A transaction that writes. It is committed at the end of the block, and rolled back if the block raises.

        Raises:
            DatabaseUnavailable: it cannot be used, or does not answer in `TIMEOUT_S`.
        """
        async with self._transaction(writes=True) as connection:
            yield connection

    @asynccontextmanager
    async def read(self) -> AsyncIterator["AsyncConnection"]:
        """A transaction that reads.

        Raises:
            DatabaseUnavailable: as for `begin`.
        """
        async with self._transaction(writes=False) as connection:
            yield connection

    @asynccontextmanager
    async def _transaction(self, *, writes: bool) -> AsyncIterator["AsyncConnection"]:
        try:
            async with asyncio.timeout(TIMEOUT_S):
                engine = await self._opened()
                async with engine.connect() as connection:
                    await connection.execution_options(writes=writes)
                    async with connection.begin():
                        yield connection
        except Exception as exc:
            failure = await self._failure(exc)
            if failure is None:
                raise
            raise failure from exc

    async def _opened(self) -> "AsyncEngine":
        file = self.location.file
        if self._engine is not None and (file is None or inode(file) == self._inode):
            return self._engine
        async with self._opening:
            if self._engine is not None and file is not None and inode(file) != self._inode:
                log.warning("%s was moved or removed; a new database is created", file)
                await self._leave()
            if self._engine is None:
                try:
                    self._engine = await self._open()
                except Exception as exc:
                    if not await self._replaced(exc):
                        raise
                    self._engine = await self._open()
            return self._engine

    async def _leave(self) -> None:
        """Close the connections to a file that was moved, with everything that was committed written into it."""
        if self._engine is not None:
            with contextlib.suppress(Exception):  # the new file matters more
                async with self._engine.connect() as connection:
                    await connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        await self.close()

    async def _open(self) -> "AsyncEngine":
        engines = await asyncio.to_thread(import_module, "gateway.store.engines")
        schema = await asyncio.to_thread(import_module, "gateway.store.schema")
        if self.location.file is not None:
            await asyncio.to_thread(_make_private, self.location.file)
            self._inode = inode(self.location.file)
            self._inode = await asyncio.to_thread(check_first_page, self.location.file)
        engine: AsyncEngine = engines.async_engine(self.location)
        try:
            async with engine.connect() as connection:
                version = await connection.run_sync(schema.current_version)
            if version is None or version < schema.HEAD:
                version = (await asyncio.to_thread(schema.upgrade, self.location)).after
        except BaseException:
            await engine.dispose()
            raise
        self.newer = version > schema.HEAD
        if self.newer:
            log.warning(
                "the database %s has version %s, this gateway knows %s: it is used as it is",
                self.location,
                version,
                schema.HEAD,
            )
        return engine

    async def _failure(self, exc: Exception) -> DatabaseUnavailable | None:
        """The failure of the database that an exception is, or None; a damaged file is renamed."""
        from sqlalchemy.exc import SQLAlchemyError

        if not isinstance(exc, SQLAlchemyError | OSError) or is_refused_value(exc):  # TimeoutError is an OSError
            return None
        cause = getattr(exc, "orig", None) or exc
        text = f"no answer within {TIMEOUT_S:.0f} s" if isinstance(cause, TimeoutError) else str(cause).strip()
        message = self.location.redacted(text.splitlines()[0] if text else type(cause).__name__)
        replaced = await self._replaced(exc)
        return DatabaseUnavailable(message, full=_is_full(cause), replaced=replaced)

    async def _replaced(self, exc: Exception) -> bool:
        """Rename the file if the exception shows that it is damaged; return True if a new one can be opened."""
        file = self.location.file
        if file is None or not is_damage(getattr(exc, "orig", None) or exc):
            return False
        await self.close()
        return await asyncio.to_thread(move_aside, file, self._inode)


def is_refused_value(exc: BaseException) -> bool:
    """Return True if the database refused a value of a statement, so that the same statement fails again."""
    from sqlalchemy.exc import DataError, IntegrityError, InterfaceError, ProgrammingError

    if isinstance(exc, ProgrammingError):  # PostgreSQL: the statement is wrong, as with a missing column
        return isinstance(exc.orig, sqlite3.ProgrammingError)
    return isinstance(exc, OverflowError | UnicodeError | DataError | IntegrityError | InterfaceError)


def _is_full(cause: BaseException) -> bool:
    """Return True if the disk of the database is full."""
    if isinstance(cause, OSError):
        return cause.errno == errno.ENOSPC
    sqlite_code: int = getattr(cause, "sqlite_errorcode", 0)
    return sqlite_code & 0xFF == sqlite3.SQLITE_FULL or getattr(cause, "sqlstate", None) == "53100"


def _make_private(file: Path) -> None:
    """Create the file if it is missing. Only the gateway's user may read it; SQLite gives its other files the same mode."""
    file.parent.mkdir(parents=True, exist_ok=True)
    os.close(os.open(file, os.O_CREAT | os.O_RDWR, FILE_MODE))
    os.chmod(file, FILE_MODE)
