"""Finds keys of the store for requests: one look-up by id, kept for a short time. Unknown ids are kept too.

A revocation is therefore seen by every process within `TTL_S`. While the database is away, keys that were seen before are accepted
as they were.
"""

import logging
from collections import OrderedDict
from dataclasses import dataclass

from gateway.config.access import Grant, Team, grant_of
from gateway.core.errors import AuthenticationFailed, KeyRevoked, StoreUnavailable
from gateway.core.vocabulary import Clock
from gateway.keys.file_keys import FileKeys
from gateway.keys.key_format import ParsedKey
from gateway.keys.store import KeyStore
from gateway.keys.stored import StoredKey, StoredTeam

log = logging.getLogger("locus.keys")

TTL_S = 10.0
RETRY_S = 1.0  # while a look-up is in progress or has failed, other requests use what is known
MOST = 10_000
UNKNOWN = "The key is not one of this gateway's keys."


@dataclass(slots=True)
class _Entry:
    """What is known of an id.

    Attributes:
        key: None if there is no such key.
        until: when it must be looked up again, by the clock.
        file_keys, grant: the grant with the teams of this portfolio; None until a request needs it.
    """

    key: StoredKey | None
    team: StoredTeam | None
    until: float
    file_keys: FileKeys | None = None
    grant: Grant | None = None


class StoredKeys:
    """The keys of the store that requests have used lately.

    Args:
        clock: monotonic seconds.
        now: seconds since the epoch.
    """

    def __init__(self, store: KeyStore, clock: Clock, now: Clock) -> None:
        self._store = store
        self._clock = clock
        self._now = now
        self._entries: OrderedDict[str, _Entry] = OrderedDict()
        self._told: set[str] = set()  # ids of keys whose name the portfolio file uses too

    def forget(self) -> None:
        """Looks up every key again, after a change by this process."""
        self._entries.clear()

    def has_seen(self, key_id: str) -> bool:
        """True if the id was looked up before, so that at most one question to the database is needed in `TTL_S`."""
        return key_id in self._entries

    async def digest(self, given: ParsedKey) -> bytes:
        """The digest of a key's secret.

        Raises:
            StoreUnavailable: the database is away, and no key was seen before.
        """
        return await self._store.digest(given.secret)

    async def grant(self, key_id: str, digest: bytes, file_keys: FileKeys) -> Grant:
        """What the requests of a key may do.

        Args:
            digest: of its secret.
            file_keys: the portfolio in force, whose teams come first.

        Raises:
            AuthenticationFailed: there is no such key.
            KeyRevoked: the key is revoked, or has no team any more.
            StoreUnavailable: the database is away, and the key was not seen before.
        """
        entry = await self._entry(key_id)
        key = entry.key
        if key is None:
            raise AuthenticationFailed(UNKNOWN)
        current, before = key.matches(digest), key.matched_before(digest)
        if not current and not before:
            raise AuthenticationFailed(UNKNOWN)
        if key.revoked is not None:
            raise KeyRevoked("The key was revoked: ask the operator of the gateway for another one.")
        if not current and self._now() >= (key.old_until or 0.0):
            raise KeyRevoked("The key was replaced by a new one, and the time in which both were valid is over.")
        if entry.grant is None or entry.file_keys is not file_keys:
            if key.name in file_keys.names and key.id not in self._told:
                self._told.add(key.id)
                log.warning(
                    "two keys have the name %s: one of the portfolio file, and %s of the store", key.name, key.id
                )
            entry.grant, entry.file_keys = _grant(key, entry.team, file_keys), file_keys
        return entry.grant

    async def _entry(self, key_id: str) -> _Entry:
        entry, now = self._entries.get(key_id), self._clock()
        if entry is not None and now < entry.until:
            self._entries.move_to_end(key_id)
            return entry
        if entry is not None:
            entry.until = now + RETRY_S
        try:
            key, team = await self._store.find(key_id)
        except StoreUnavailable:
            if entry is None:
                raise
            return entry
        self._entries[key_id] = entry = _Entry(key, team, self._clock() + TTL_S)
        if len(self._entries) > MOST:
            self._entries.popitem(last=False)
        return entry


def _grant(key: StoredKey, stored: StoredTeam | None, file_keys: FileKeys) -> Grant:
    team: Team | None = None
    if key.team is not None:
        team = file_keys.teams.get(key.team) or (None if stored is None else stored.in_force)
        if team is None:
            raise KeyRevoked("The team of the key was deleted: ask the operator of the gateway for another key.")
    return grant_of(key.in_force, team)
