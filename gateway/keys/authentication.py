"""A key -> what its requests may do: by the portfolio file, then by the store. Knows no HTTP."""

import time
from collections.abc import Callable

from gateway.config.access import Access, Grant
from gateway.core.errors import AuthenticationFailed, KeyExpired, StoreUnavailable
from gateway.core.identity import KeyIdentity
from gateway.core.key_digest import owner_of
from gateway.core.vocabulary import Clock
from gateway.keys.file_keys import FileKeys
from gateway.keys.key_format import PREFIX, ParsedKey, parse_imported, parse_key
from gateway.keys.lookups import Lookups
from gateway.keys.store import KeyStore
from gateway.keys.stored_keys import UNKNOWN, StoredKeys

WITHOUT_KEY = Grant(KeyIdentity(owner_of(b"")))  # of requests to a gateway that needs no key


class Authentication:
    """Finds keys. A key of the file takes no look-up, and one of the store rarely needs one.

    Args:
        access: returns the keys and teams of the portfolio in force.
        store: the keys that are made at run time; None without a database.
        clock: monotonic seconds.
        now: seconds since the epoch.
    """

    def __init__(
        self,
        access: Callable[[], Access],
        store: KeyStore | None = None,
        clock: Clock = time.monotonic,
        now: Clock = time.time,
    ) -> None:
        self._access = access
        self._stored = None if store is None else StoredKeys(store, clock, now)
        self._lookups = Lookups(clock)
        self._looked_up: set[str] = set()  # new ids, at this moment: many requests may bring one
        self._now = now
        self._file = FileKeys(access())

    @property
    def file_keys(self) -> FileKeys:
        """The keys of the portfolio in force."""
        access = self._access()
        if access is not self._file.access:
            self._file = FileKeys(access)
        return self._file

    def forget(self) -> None:
        """Looks up every key of the store again, after a change by this process."""
        if self._stored is not None:
            self._stored.forget()

    async def grant(self, given: bytes, address: str = "") -> Grant:
        """What the requests of a key may do.

        Args:
            address: of the client; how many unknown keys it may send is bounded.

        Raises:
            RateLimited: the address has sent too many unknown keys.
            AuthenticationFailed: the key is unknown, mistyped or revoked. The message does not repeat it.
            KeyExpired: the key, or its team, has expired.
            StoreUnavailable: the database is away, and the key was not seen before.
        """
        grant = self.file_keys.find(given)
        if grant is None:
            grant = await self._stored_grant(given, address)
        return self._unexpired(grant)

    async def digest(self, given: bytes) -> bytes:
        """The digest of a key that `grant` has accepted, for `grant_of_digest`; the key cannot be recovered from it.

        Raises:
            StoreUnavailable: the database is away.
        """
        if self.file_keys.find(given) is not None:
            return owner_of(given).encode()
        assert self._stored is not None
        return await self._stored.digest(_parsed(given))

    async def grant_of_digest(self, key_id: str, digest: bytes) -> Grant:
        """What the requests of a key may do that was accepted before.

        Args:
            key_id: the identity's id.
            digest: of `digest`.

        Raises: as `grant`.
        """
        grant = self.file_keys.find_digest(digest.decode("latin-1"))
        if grant is None:
            if self._stored is None:
                raise AuthenticationFailed(UNKNOWN)
            grant = await self._stored.grant(key_id, digest, self.file_keys)
        return self._unexpired(grant)

    def _unexpired(self, grant: Grant) -> Grant:
        if grant.expires is not None and self._now() >= grant.expires.timestamp():
            raise KeyExpired(grant.expires)
        return grant

    async def _stored_grant(self, given: bytes, address: str) -> Grant:
        parsed = _parsed(given)
        if self._stored is None:
            raise AuthenticationFailed(UNKNOWN)
        if self._stored.has_seen(parsed.id) or parsed.id in self._looked_up:
            return await self._stored.grant(parsed.id, await self._stored.digest(parsed), self.file_keys)
        async with self._lookups.one(address) as lookup:
            self._looked_up.add(parsed.id)
            try:
                digest = await self._stored.digest(parsed)
                grant = await self._stored.grant(parsed.id, digest, self.file_keys)
                lookup.no_guess = True
            except StoreUnavailable:
                lookup.no_guess = True
                raise
            finally:
                self._looked_up.discard(parsed.id)
            return grant


def _parsed(given: bytes) -> ParsedKey:
    """
    Raises:
        AuthenticationFailed: the text is no key of the store.
    """
    parsed = parse_key(given) if given.startswith(PREFIX) else parse_imported(given)
    if parsed is None and given.startswith(PREFIX):
        raise AuthenticationFailed("The key has a typo or is incomplete: its checksum is wrong.")
    if parsed is None:
        raise AuthenticationFailed(UNKNOWN)
    return parsed
