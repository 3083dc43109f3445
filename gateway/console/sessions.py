"""Sessions of the console: a cookie with a random value stands for a login, and the database knows what it stands for.

The database holds digests only: neither a cookie nor a key can be recovered from it.
"""

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import blake2b

from gateway.store.database import Database
from gateway.store.transactions import reading, writing

IDLE_S = 8 * 3600.0  # a session ends after this time without a request
MARK_S = 60.0  # the time of the last request is written this often at most
_BYTES = 32


@dataclass(frozen=True, slots=True)
class Session:
    """A login.

    Attributes:
        key_id: the id of the gateway key; None: of the admin key.
        digest: of the key that opened it, as `gateway.keys.authentication` or `admin_digest` gives it.
    """

    key_id: str | None
    digest: bytes


class Sessions:
    """The sessions of all gateways of one database. All methods raise StoreUnavailable if it cannot be used.

    Args:
        now: seconds since the epoch.
    """

    def __init__(self, database: Database, now: Callable[[], float] = time.time) -> None:
        self._database = database
        self._now = now

    async def open(self, session: Session) -> str:
        """Begin a session, and delete those that are over.

        Returns:
            The value of its cookie, which nothing keeps.
        """
        from sqlalchemy import delete, insert

        from gateway.store.console_tables import CONSOLE_SESSIONS

        value, now = secrets.token_urlsafe(_BYTES), self._now()
        row = {"id": _digest(value), "key_id": session.key_id, "digest": session.digest, "created": now, "used": now}
        async with writing(self._database, "the console") as connection:
            await connection.execute(delete(CONSOLE_SESSIONS).where(CONSOLE_SESSIONS.c.used <= now - IDLE_S))
            await connection.execute(insert(CONSOLE_SESSIONS), row)
        return value

    async def find(self, value: str, *, polls: bool = False) -> Session | None:
        """The session of a cookie; None if there is none, or it was idle for `IDLE_S`.

        Args:
            polls: the page asks by itself, so that the session stays idle.
        """
        from sqlalchemy import select, update

        from gateway.store.console_tables import CONSOLE_SESSIONS

        c, id, now = CONSOLE_SESSIONS.c, _digest(value), self._now()
        async with reading(self._database, "the console") as connection:
            row = (await connection.execute(select(c.key_id, c.digest, c.used).where(c.id == id))).one_or_none()
        if row is None or now - row.used >= IDLE_S:
            return None
        if not polls and now - row.used >= MARK_S:
            async with writing(self._database, "the console") as connection:
                await connection.execute(update(CONSOLE_SESSIONS).where(c.id == id).values(used=now))
        return Session(row.key_id, bytes(row.digest))

    async def close(self, value: str) -> None:
        """End the session of a cookie."""
        from sqlalchemy import delete

        from gateway.store.console_tables import CONSOLE_SESSIONS

        async with writing(self._database, "the console") as connection:
            await connection.execute(delete(CONSOLE_SESSIONS).where(CONSOLE_SESSIONS.c.id == _digest(value)))


def admin_digest(key: bytes) -> bytes:
    """The digest of the admin key in its sessions, so that they end when it is replaced."""
    return blake2b(key, digest_size=32, person=b"locus admin").digest()


def _digest(value: str) -> bytes:
    return blake2b(value.encode(), digest_size=32, person=b"locus session").digest()
