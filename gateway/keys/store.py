"""Keys and teams that are made at run time: create, list, change, rotate, revoke. Knows no HTTP.

The database holds a digest of each key, and no key itself.
"""

import time
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from gateway.config.access import Access, AccessEntry, NewKey, TeamEntry
from gateway.config.secret import Secret
from gateway.core.errors import Conflict, NotFound
from gateway.keys.key_format import imported_key, new_id, new_key, parse_key
from gateway.keys.pepper import digest_of, load_pepper
from gateway.keys.stored import StoredKey, StoredTeam, access_fields
from gateway.store.database import Database
from gateway.store.transactions import needed, reading, writing

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection


class KeyStore:
    """The keys and teams of a database.

    Args:
        pepper: of the portfolio file; None: the database keeps a random one.
        access: returns the keys and teams of the portfolio file, whose names are taken.
        now: seconds since the epoch.

    All methods raise StoreUnavailable if the database cannot be used.
    """

    def __init__(
        self,
        database: Database,
        pepper: Secret | None,
        access: Callable[[], Access],
        now: Callable[[], float] = time.time,
    ) -> None:
        self._database = database
        self._written_pepper = pepper
        self._access = access
        self._now = now
        self._pepper: bytes | None = None

    async def digest(self, secret: bytes) -> bytes:
        """The digest of a key's secret."""
        if self._pepper is None:
            with needed("keys"):
                self._pepper = await load_pepper(self._database, self._written_pepper)
        return digest_of(self._pepper, secret)

    async def find(self, key_id: str) -> tuple[StoredKey | None, StoredTeam | None]:
        """The key with an id, revoked ones included, and its team; None for what is not there."""
        async with self._read() as connection:
            from gateway.keys import rows

            key, team = await rows.find_key(connection, key_id)
        return (None if key is None else StoredKey.of(key)), (None if team is None else StoredTeam.of(team))

    async def keys(self, *, revoked: bool = False) -> list[StoredKey]:
        """All keys, the oldest first.

        Args:
            revoked: True if revoked ones are wanted too.
        """
        async with self._read() as connection:
            from gateway.keys import rows

            return [StoredKey.of(row) for row in await rows.all_keys(connection, revoked=revoked)]

    async def last_used(self, ids: Collection[str] | None = None) -> Mapping[str, float]:
        """When keys were used last, also those of the portfolio file, by id; seconds since the epoch, some seconds late.

        Args:
            ids: of those that are wanted; None: all.
        """
        async with self._read() as connection:
            from gateway.keys import rows

            return await rows.last_used(connection, ids)

    async def key(self, name: str) -> StoredKey:
        """The key with an id, or the key in use with a name.

        Raises:
            NotFound: there is none.
        """
        async with self._read() as connection:
            return await _key(connection, name)

    async def create(self, new: NewKey) -> tuple[StoredKey, Secret]:
        """Makes a key, and returns it with the key itself, which nothing keeps.

        Raises:
            Conflict: a key in use has the name.
            NotFound: there is no such team.
        """
        key_id = new_id()
        secret = new_key(key_id)
        return await self._add(new, key_id, await self._digest_of_key(secret)), Secret(secret)

    async def take_over(self, new: NewKey, sha256: bytes) -> StoredKey:
        """Accepts a key of LiteLLM from now on, of which only the SHA-256 is known. Its rotation makes a key of this gateway.

        Raises:
            Conflict: a key in use has the name, or the key was taken over already.
            NotFound: there is no such team.
        """
        parsed = imported_key(sha256)
        return await self._add(new, parsed.id, await self.digest(parsed.secret))

    async def _add(self, new: NewKey, key_id: str, digest: bytes) -> StoredKey:
        row = {
            "id": key_id,
            "digest": digest,
            "name": new.name,
            "team": new.team,
            "access": access_fields(new),
            "created": self._now(),
        }
        async with self._write(f"A key named `{new.name}` exists; revoke it, or choose another name.") as connection:
            from gateway.keys import rows

            self._check_key_name(new.name)
            await self._check_team(connection, new.team)
            await rows.add_key(connection, row)
            return await _key(connection, key_id)

    async def change(self, name: str, new: NewKey) -> StoredKey:
        """Replaces the name, team and limits of a key in use.

        Raises:
            NotFound: there is no such key or team, or the key is revoked.
            Conflict: another key has the new name.
        """
        async with self._write(f"A key named `{new.name}` exists; choose another name.") as connection:
            from gateway.keys import rows

            key = await _key(connection, name, in_use=True)
            if new.name != key.name:
                self._check_key_name(new.name)
            if new.team != key.team:
                await self._check_team(connection, new.team)
            values = {"name": new.name, "team": new.team, "access": access_fields(new)}
            await rows.change_key(connection, key.id, values)
            return await _key(connection, key.id)

    async def rotate(self, name: str, overlap_s: float) -> tuple[StoredKey, Secret]:
        """Gives a key a new secret under the same id, so that it keeps its conversations and budgets.

        Args:
            overlap_s: how long the old secret is accepted too, seconds.

        Raises:
            NotFound: there is no such key, or it is revoked.
        """
        async with self._read() as connection:
            key = await _key(connection, name, in_use=True)
        secret = new_key(key.id)
        digest = await self._digest_of_key(secret)
        async with self._write() as connection:
            from gateway.keys import rows

            key = await _key(connection, key.id, in_use=True)
            values = {"digest": digest, "digest2": key.digest, "digest2_until": self._now() + overlap_s}
            await rows.change_key(connection, key.id, values)
            return await _key(connection, key.id), Secret(secret)

    async def revoke(self, name: str) -> StoredKey:
        """Revokes a key for good. Its name is free again; its id stays, for the ledger.

        Raises:
            NotFound: there is no such key, or it is revoked already.
        """
        async with self._write() as connection:
            from gateway.keys import rows

            key = await _key(connection, name, in_use=True)
            await rows.change_key(connection, key.id, {"revoked": self._now()})
            return await _key(connection, key.id)

    async def teams(self) -> list[StoredTeam]:
        """All teams, the oldest first."""
        async with self._read() as connection:
            from gateway.keys import rows

            return [StoredTeam.of(row) for row in await rows.all_teams(connection)]

    async def team(self, name: str) -> StoredTeam:
        """Raises NotFound if there is no team with this name."""
        async with self._read() as connection:
            return await _team(connection, name)

    async def create_team(self, new: TeamEntry) -> StoredTeam:
        """Raises Conflict if a team has the name."""
        conflict = f"A team named `{new.name}` exists."
        if new.name in {team.name for team in self._access().teams}:
            raise Conflict(f"The portfolio file has a team named `{new.name}`.")
        async with self._write(conflict) as connection:
            from gateway.keys import rows

            row = {"name": new.name, "access": access_fields(new), "created": self._now()}
            await rows.add_team(connection, row)
            return await _team(connection, new.name)

    async def change_team(self, name: str, access: AccessEntry) -> StoredTeam:
        """Replaces the limits of a team. Raises NotFound if there is none with this name."""
        async with self._write() as connection:
            from gateway.keys import rows

            await _team(connection, name)
            await rows.change_team(connection, name, {"access": access_fields(access)})
            return await _team(connection, name)

    async def delete_team(self, name: str) -> StoredTeam:
        """Deletes a team. Its keys are refused until a team has its name again.

        Raises:
            NotFound: there is no such team.
        """
        async with self._write() as connection:
            from gateway.keys import rows

            team = await _team(connection, name)
            await rows.remove_team(connection, name)
            return team

    def _check_key_name(self, name: str) -> None:
        if name in {key.identity.name for key in self._access().keys}:
            raise Conflict(f"The portfolio file has a key named `{name}`; choose another name.")

    async def _check_team(self, connection: "AsyncConnection", name: str | None) -> None:
        if name is not None and name not in {team.name for team in self._access().teams}:
            await _team(connection, name)

    async def _digest_of_key(self, key: str) -> bytes:
        parsed = parse_key(key.encode())
        assert parsed is not None
        return await self.digest(parsed.secret)

    @asynccontextmanager
    async def _read(self) -> AsyncIterator["AsyncConnection"]:
        async with reading(self._database, "keys") as connection:
            yield connection

    @asynccontextmanager
    async def _write(self, conflict: str = "") -> AsyncIterator["AsyncConnection"]:
        """A transaction that writes.

        Args:
            conflict: the message if a name in it is taken.
        """
        try:
            async with writing(self._database, "keys") as connection:
                yield connection
        except Exception as exc:
            from sqlalchemy.exc import IntegrityError

            if isinstance(exc, IntegrityError) and conflict:
                raise Conflict(conflict) from exc
            raise


async def _key(connection: "AsyncConnection", name: str, *, in_use: bool = False) -> StoredKey:
    from gateway.keys import rows

    row: Mapping[str, Any] | None = await rows.find_named(connection, name)
    if row is None:
        raise NotFound(
            f"There is no key `{name}` in the database; keys of the portfolio file are changed in that file."
        )
    key = StoredKey.of(row)
    if in_use and key.revoked is not None:
        raise NotFound(f"The key `{key.name}` ({key.id}) is revoked.")
    return key


async def _team(connection: "AsyncConnection", name: str) -> StoredTeam:
    from gateway.keys import rows

    row: Mapping[str, Any] | None = await rows.find_team(connection, name)
    if row is None:
        raise NotFound(f"There is no team `{name}`.")
    return StoredTeam.of(row)
