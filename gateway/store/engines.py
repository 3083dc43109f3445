"""Engines of SQLAlchemy for a database location. To import this module takes some 0.2 s: the gateway does it in a thread."""

from typing import Any

from sqlalchemy import Connection, Engine, NullPool, create_engine, event
from sqlalchemy.dialects import registry
from sqlalchemy.dialects.sqlite.aiosqlite import SQLiteDialect_aiosqlite
from sqlalchemy.engine import URL, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry
from sqlalchemy.util.concurrency import in_greenlet

from gateway.config.database_location import DatabaseLocation

CONNECT_S = 5
BUSY_MS = 5_000  # how long a transaction waits for another one that writes to the same SQLite file
POOL_SIZE = 4
WRITES = "writes"  # execution option: the transaction writes, so that it takes SQLite's lock when it begins

DIALECT = "locus_aiosqlite"


class SqliteDialect(SQLiteDialect_aiosqlite):
    """Closes a connection in the order of its queue, whatever happens to the task that used it.

    SQLAlchemy's own way may stop the thread of a connection twice, if a task is cancelled twice while it waits for SQLite's lock.
    aiosqlite then waits for ever for the thread, which has ended, so that the event loop cannot be closed.
    """

    supports_statement_cache = True

    def do_terminate(self, dbapi_connection: DBAPIConnection) -> None:
        """Close a connection that is not used again."""
        if in_greenlet():
            dbapi_connection.close()
        else:  # the garbage collector closes it
            super().do_terminate(dbapi_connection)


registry.register(f"sqlite.{DIALECT}", __name__, SqliteDialect.__name__)


def sync_engine(location: DatabaseLocation, busy_ms: int = BUSY_MS, *, read_only: bool = False) -> Engine:
    """An engine for commands and migrations, which run in a thread or a process of their own. It keeps no connection open.

    Args:
        busy_ms: how long a transaction waits for a lock, milliseconds.
        read_only: transactions cannot write; a missing SQLite file is an error.
    """
    arguments = _connect_arguments(location, busy_ms)
    if location.file is not None and read_only:
        arguments["uri"] = True
    engine = create_engine(_url(location, read_only), connect_args=arguments, poolclass=NullPool, hide_parameters=True)
    _listen(engine, location, read_only=read_only)
    return engine


def async_engine(location: DatabaseLocation) -> AsyncEngine:
    """An engine for the event loop, with a small pool of connections."""
    url = _url(location, False)
    engine = create_async_engine(
        url.set(drivername=f"sqlite+{DIALECT}") if location.file is not None else url,
        connect_args=_connect_arguments(location, BUSY_MS),
        pool_size=POOL_SIZE,
        max_overflow=0,
        pool_timeout=CONNECT_S,
        pool_pre_ping=location.file is None,  # after a restart of the server its connections are gone
        hide_parameters=True,  # they would stand in error messages
    )
    _listen(engine.sync_engine, location)
    return engine


def _url(location: DatabaseLocation, read_only: bool) -> URL:
    if location.url is not None:
        return make_url(location.url.reveal()).set(drivername="postgresql+psycopg")
    assert location.file is not None
    if not read_only:
        return URL.create("sqlite", database=str(location.file))
    return URL.create("sqlite", database=f"{location.file.absolute().as_uri()}", query={"mode": "ro", "uri": "true"})


def _connect_arguments(location: DatabaseLocation, busy_ms: int) -> dict[str, Any]:
    if location.file is not None:
        # `_begin` begins the transactions, because the driver would not begin one before it changes a table.
        return {"isolation_level": None, "timeout": busy_ms / 1000}
    return {"connect_timeout": CONNECT_S, "application_name": "locus"}


def _listen(engine: Engine, location: DatabaseLocation, *, read_only: bool = False) -> None:
    if location.file is None:
        return

    @event.listens_for(engine, "connect")
    def set_options(connection: Any, _: ConnectionPoolEntry) -> None:
        cursor = connection.cursor()
        if not read_only:
            cursor.execute("PRAGMA journal_mode = WAL")
        cursor.execute("PRAGMA synchronous = NORMAL")
        cursor.close()

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get(WRITES)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
