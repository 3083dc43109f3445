"""Finds keys of the store among many, without reading all of them."""

from collections.abc import Mapping

from gateway.keys.stored import StoredKey
from gateway.store.database import Database
from gateway.store.transactions import reading


async def find_keys(
    database: Database, text: str, *, team: str | None = None, revoked: bool = False, most: int
) -> tuple[list[StoredKey], int]:
    """The oldest keys whose name, id or team contains a text, and the number of all of them.

    Args:
        team: only its keys; None: all.
        revoked: True if revoked ones are wanted too.
        most: number of keys.

    Raises:
        StoreUnavailable: the database cannot be used.
    """
    async with reading(database, "keys") as connection:
        from gateway.keys import rows

        found, count = await rows.found_keys(connection, text, team, most, revoked=revoked)
        return [StoredKey.of(row) for row in found], count


async def budgeted_keys(database: Database, most: int) -> list[StoredKey]:
    """The keys in use that have budgets, the one that was used last first, then those that were never used.

    Args:
        most: number of keys.

    Raises:
        StoreUnavailable: the database cannot be used.
    """
    async with reading(database, "keys") as connection:
        from gateway.keys import rows

        return [StoredKey.of(row) for row in await rows.budgeted_keys(connection, most)]


async def keys_of_teams(database: Database) -> Mapping[str, int]:
    """The number of keys in use by the name of their team.

    Raises:
        StoreUnavailable: the database cannot be used.
    """
    async with reading(database, "keys") as connection:
        from gateway.keys import rows

        return await rows.keys_of_teams(connection)
