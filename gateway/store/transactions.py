"""What requests and jobs do in the database that cannot go on without it: its failure is an error that clients understand."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING

from gateway.core.errors import StoreUnavailable
from gateway.store.database import Database, DatabaseUnavailable

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection


@contextmanager
def needed(of: str) -> Iterator[None]:
    """Turns DatabaseUnavailable into StoreUnavailable.

    Args:
        of: what the database is needed for, for the message: "The database of keys cannot be used now".
    """
    try:
        yield
    except DatabaseUnavailable as exc:
        raise StoreUnavailable(f"The database of {of} cannot be used now; ask again later.") from exc


@asynccontextmanager
async def reading(database: Database, of: str) -> AsyncIterator["AsyncConnection"]:
    """A transaction that reads.

    Args:
        of: as for `needed`.

    Raises:
        StoreUnavailable: the database cannot be used.
    """
    with needed(of):
        async with database.read() as connection:
            yield connection


@asynccontextmanager
async def writing(database: Database, of: str) -> AsyncIterator["AsyncConnection"]:
    """A transaction that writes.

    Args:
        of: as for `needed`.

    Raises:
        StoreUnavailable: the database cannot be used.
    """
    with needed(of):
        async with database.begin() as connection:
            yield connection
