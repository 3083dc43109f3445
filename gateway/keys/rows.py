"""The statements about keys and teams. Imports SQLAlchemy, so it is imported after the database has been opened."""

from collections.abc import Collection, Mapping
from typing import Any

from sqlalchemy import ColumnElement, Select, Text, cast, delete, func, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.store.tables import KEY_USE, KEYS, SECRETS, TEAMS

Row = Mapping[str, Any]


async def find_key(connection: AsyncConnection, key_id: str) -> tuple[Row | None, Row | None]:
    """The key with an id and its team; None for what is not there."""
    key = await _one(connection, select(KEYS).where(KEYS.c.id == key_id))
    if key is None or key["team"] is None:
        return key, None
    return key, await find_team(connection, key["team"])


async def find_named(connection: AsyncConnection, name: str) -> Row | None:
    """The key with an id, or the key in use with a name."""
    named = (KEYS.c.name == name) & KEYS.c.revoked.is_(None)
    return await _one(connection, select(KEYS).where(or_(KEYS.c.id == name, named)).order_by(KEYS.c.id != name))


async def all_keys(connection: AsyncConnection, *, revoked: bool) -> list[Row]:
    """All keys, the oldest first.

    Args:
        revoked: True if revoked ones are wanted too.
    """
    query = select(KEYS).order_by(KEYS.c.created, KEYS.c.id)
    return await _all(connection, query if revoked else query.where(KEYS.c.revoked.is_(None)))


async def found_keys(
    connection: AsyncConnection, search: str, team: str | None, most: int, *, revoked: bool
) -> tuple[list[Row], int]:
    """The oldest keys whose name, id or team contains a text, and the number of all of them.

    Args:
        team: only its keys; None: all.
        revoked: True if revoked ones are wanted too.
    """
    wanted: list[ColumnElement[bool]] = [] if revoked else [KEYS.c.revoked.is_(None)]
    wanted += [] if team is None else [KEYS.c.team == team]
    if search:
        wanted.append(
            or_(*(column.icontains(search, autoescape=True) for column in (KEYS.c.name, KEYS.c.id, KEYS.c.team)))
        )
    count = await connection.scalar(select(func.count()).select_from(KEYS).where(*wanted))
    return await _all(
        connection, select(KEYS).where(*wanted).order_by(KEYS.c.created, KEYS.c.id).limit(most)
    ), count or 0


async def budgeted_keys(connection: AsyncConnection, most: int) -> list[Row]:
    """The keys in use that have budgets, the one that was used last first, then those that were never used."""
    fields = cast(KEYS.c.access, Text)  # has the name of a field that differs from its default only
    query = select(KEYS).outerjoin(KEY_USE, KEY_USE.c.key_id == KEYS.c.id)
    query = query.where(KEYS.c.revoked.is_(None), fields.contains('"budget"'))
    return await _all(connection, query.order_by(KEY_USE.c.last_used.desc().nulls_last(), KEYS.c.id).limit(most))


async def keys_of_teams(connection: AsyncConnection) -> dict[str, int]:
    """The number of keys in use by the name of their team."""
    query = select(KEYS.c.team, func.count()).where(KEYS.c.revoked.is_(None), KEYS.c.team.is_not(None))
    return {str(team): number for team, number in await connection.execute(query.group_by(KEYS.c.team))}


async def last_used(connection: AsyncConnection, ids: Collection[str] | None = None) -> dict[str, float]:
    """When keys were used last, by their ids.

    Args:
        ids: of those that are wanted; None: all.
    """
    query = select(KEY_USE) if ids is None else select(KEY_USE).where(KEY_USE.c.key_id.in_(ids))
    return {row.key_id: row.last_used for row in await connection.execute(query)}


async def add_key(connection: AsyncConnection, row: Row) -> None:
    """Raises IntegrityError if a key in use has the name."""
    await connection.execute(insert(KEYS), dict(row))


async def change_key(connection: AsyncConnection, key_id: str, values: Row) -> None:
    await connection.execute(update(KEYS).where(KEYS.c.id == key_id).values(dict(values)))


async def find_team(connection: AsyncConnection, name: str) -> Row | None:
    return await _one(connection, select(TEAMS).where(TEAMS.c.name == name))


async def all_teams(connection: AsyncConnection) -> list[Row]:
    return await _all(connection, select(TEAMS).order_by(TEAMS.c.created, TEAMS.c.name))


async def add_team(connection: AsyncConnection, row: Row) -> None:
    """Raises IntegrityError if a team has the name."""
    await connection.execute(insert(TEAMS), dict(row))


async def change_team(connection: AsyncConnection, name: str, values: Row) -> None:
    await connection.execute(update(TEAMS).where(TEAMS.c.name == name).values(dict(values)))


async def remove_team(connection: AsyncConnection, name: str) -> None:
    await connection.execute(delete(TEAMS).where(TEAMS.c.name == name))


async def shared_secret(connection: AsyncConnection, name: str) -> bytes | None:
    value: bytes | None = (await connection.execute(select(SECRETS.c.value).where(SECRETS.c.name == name))).scalar()
    return value


async def add_shared_secret(connection: AsyncConnection, name: str, value: bytes) -> None:
    await connection.execute(insert(SECRETS), {"name": name, "value": value})


async def _one(connection: AsyncConnection, query: Select[Any]) -> Row | None:
    row: Row | None = (await connection.execute(query.limit(1))).mappings().first()
    return row


async def _all(connection: AsyncConnection, query: Select[Any]) -> list[Row]:
    return list((await connection.execute(query)).mappings())
