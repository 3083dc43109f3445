"""The version of a database's schema: creates the tables of an empty database and upgrades those of earlier versions.

Several processes and replicas may start at once: one of them changes the schema in one transaction, under a lock, and the others
wait. A database of a newer version is left as it is.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import Connection, inspect, text

from gateway.config.database_location import DatabaseLocation
from gateway.store import migrations
from gateway.store.engines import WRITES, sync_engine
from gateway.store.tables import create_all

log = logging.getLogger("locus.store")

HEAD = "0015"  # the version that this package writes; versions are compared as texts
LOCK_MS = 120_000  # how long a process waits for another one that upgrades
_LOCK_ID = 0x10C5  # of PostgreSQL's advisory lock


class Upgrade(NamedTuple):
    """What was found and what was done.

    Attributes:
        before: the version before; None for a database without tables, "" for one of a version that recorded none.
        after: the version now.
    """

    before: str | None
    after: str

    @property
    def newer(self) -> bool:
        """True if the database is of a newer version than this package."""
        return self.after > HEAD


def current_version(connection: Connection) -> str | None:
    """Return the version of the schema; None for a database without our tables, "" for one of a version that recorded none."""
    tables = set(inspect(connection).get_table_names())
    if "alembic_version" in tables:
        found = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
        if found is not None:
            return str(found)
    return "" if tables & {"requests", "responses"} else None


def upgrade(location: DatabaseLocation) -> Upgrade:
    """Bring the schema to this package's version; blocks, so call it in a thread.

    Raises:
        SQLAlchemyError: the database cannot be reached or changed. It is as it was before.
    """
    engine = sync_engine(location, LOCK_MS)
    try:
        with _locked(engine.connect()) as connection:
            before = current_version(connection)
            if before is None:
                create_all(connection)
                _stamp(connection)
            elif before < HEAD:
                log.warning("the database %s is upgraded from version %s to %s", location, before or "0000", HEAD)
                _migrate(connection)
            return Upgrade(before, max(before or HEAD, HEAD))
    finally:
        engine.dispose()


@contextmanager
def _locked(connection: Connection) -> Iterator[Connection]:
    """Hold the lock on the schema during a transaction."""
    with connection.execution_options(**{WRITES: True}) as locked, locked.begin():
        if connection.dialect.name == "postgresql":
            connection.exec_driver_sql(f"SET LOCAL lock_timeout = {LOCK_MS}")
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK_ID})")
        yield locked


def _stamp(connection: Connection) -> None:
    """Note the version in Alembic's table, without Alembic, which takes 0.3 s to import."""
    connection.exec_driver_sql(
        "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL, CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num))"
    )
    connection.execute(text("INSERT INTO alembic_version VALUES (:head)"), {"head": HEAD})


def _migrate(connection: Connection) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
