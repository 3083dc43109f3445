"""A key -> what its requests may do: by the portfolio file, then by the store. Knows no HTTP."""

import time
from collections.abc import Callable

from gateway.config.access import Access, Grant
from gateway.core.errors import AuthenticationFailed, KeyExpired
from gateway.core.identity import KeyIdentity
from gateway.core.key_digest import owner_of
from gateway.keys.file_keys import FileKeys
from gateway.keys.key_format import PREFIX, parse_key

WITHOUT_KEY = Grant(KeyIdentity(owner_of(b"")))  # of requests to a gateway that needs no key
UNKNOWN = "The key is not one of this gateway's keys."


class Authentication:
    """Finds keys. A key of the file takes no look-up, and one of the store rarely needs one.

    Args:
        access: returns the keys and teams of the portfolio in force.
        now: seconds since the epoch.
    """

    def __init__(self, access: Callable[[], Access], now: Callable[[], float] = time.time) -> None:
        self._access = access
        self._now = now
        self._file = FileKeys(access())

    @property
    def file_keys(self) -> FileKeys:
        """The keys of the portfolio in force."""
        access = self._access()
        if access is not self._file.access:
            self._file = FileKeys(access)
        return self._file

    async def grant(self, given: bytes) -> Grant:
        """What the requests of a key may do.

        Raises:
            AuthenticationFailed: the key is unknown, mistyped or revoked. The message does not repeat it.
            KeyExpired: the key, or its team, has expired.
        """
        grant = self.file_keys.find(given)
        if grant is None:
            grant = await self._stored(given)
        if grant.expires is not None and self._now() >= grant.expires.timestamp():
            raise KeyExpired(grant.expires)
        return grant

    async def _stored(self, given: bytes) -> Grant:
        if not given.startswith(PREFIX):
            raise AuthenticationFailed(UNKNOWN)
        if parse_key(given) is None:
            raise AuthenticationFailed("The key has a typo or is incomplete: its checksum is wrong.")
        raise AuthenticationFailed(UNKNOWN)
