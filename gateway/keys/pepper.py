"""The secret of the digests of keys: `key_pepper` of the portfolio file, or a random one that the database keeps.

A copy of the database alone is then not enough to test a guess, if the file has a pepper.
"""

import hmac
import logging
import secrets
from functools import lru_cache

from gateway.config.secret import Secret
from gateway.store.database import Database

log = logging.getLogger("locus.keys")

_RANDOM, _CHECK = "key_pepper", "key_pepper_check"  # names in the table of secrets


async def load_pepper(database: Database, written: Secret | None) -> bytes:
    """The pepper. Warns if the keys of the database were made with another one.

    Args:
        written: that of the portfolio file; None if it has none.

    Raises:
        DatabaseUnavailable: the database cannot be used.
    """
    pepper = written.to_bytes() if written is not None else await _kept(database, _RANDOM, secrets.token_bytes(32))
    check = hmac.digest(pepper, b"check", "sha256")
    if not hmac.compare_digest(check, await _kept(database, _CHECK, check)):
        log.warning(
            "`key_pepper` is not the one that the keys of the store were first made with: those keys are refused"
        )
    return pepper


async def _kept(database: Database, name: str, new: bytes) -> bytes:
    """A secret of the database; `new` if it has none yet."""
    async with database.read() as connection:
        from gateway.keys import rows

        kept = await rows.shared_secret(connection, name)
    if kept is not None:
        return kept
    from sqlalchemy.exc import IntegrityError

    try:
        async with database.begin() as connection:
            await rows.add_shared_secret(connection, name, new)
        return new
    except IntegrityError:  # another process was faster
        async with database.read() as connection:
            return await rows.shared_secret(connection, name) or new


@lru_cache(1024)
def digest_of(pepper: bytes, secret: bytes) -> bytes:
    """What the database holds of a key: HMAC-SHA256 of its secret."""
    return hmac.digest(pepper, secret, "sha256")
