"""The names of gateway keys by their ids, as pages show them."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from gateway.http.service import Service

if TYPE_CHECKING:
    from sqlalchemy import Connection

MOST_LISTED = 200  # keys of the store in a list to choose from


def file_key_names(service: Service) -> dict[str, str]:
    """The names of the keys of the portfolio file, by id."""
    return {key.identity.id: key.identity.name for key in service.in_force.portfolio.access.keys}


def stored_key_names(connection: "Connection") -> dict[str, str]:
    """The names of the newest keys of the store, revoked ones included, by id."""
    from sqlalchemy import select

    from gateway.store.tables import KEYS

    newest = select(KEYS.c.id, KEYS.c.name).order_by(KEYS.c.created.desc()).limit(MOST_LISTED)
    return {row.id: row.name for row in connection.execute(newest)}


def names_of_keys(connection: "Connection", ids: Sequence[str]) -> dict[str, str]:
    """The names of some keys of the store, revoked ones included, by id."""
    from sqlalchemy import select

    from gateway.store.tables import KEYS

    return {row.id: row.name for row in connection.execute(select(KEYS.c.id, KEYS.c.name).where(KEYS.c.id.in_(ids)))}
