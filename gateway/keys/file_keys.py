"""The keys of the portfolio file: found by a digest, so the number of keys does not change the time."""

import hmac

from gateway.config.access import Access, Grant, Team, grant_of
from gateway.core.key_digest import owner_of


class FileKeys:
    """The keys of one portfolio.

    Attributes:
        teams, names: its teams by name, and the names of its keys.
    """

    def __init__(self, access: Access) -> None:
        self.access = access
        self.teams: dict[str, Team] = {team.name: team for team in access.teams}
        self.names = frozenset(key.identity.name for key in access.keys)
        self._grants: dict[str, tuple[str, Grant]] = {}
        for key in access.keys:
            assert key.secret is not None, "the file holds the keys themselves"
            digest = owner_of(key.secret.to_bytes())
            team = None if key.identity.team is None else self.teams[key.identity.team]
            self._grants[digest] = digest, grant_of(key, team)

    def __bool__(self) -> bool:
        return bool(self._grants)

    def named(self, name: str) -> Grant | None:
        """The grant of the key with a name; None if the file has none."""
        return next((grant for _, grant in self._grants.values() if grant.identity.name == name), None)

    def find(self, given: bytes) -> Grant | None:
        """The grant of a key; None if it is not one of the file's."""
        return self.find_digest(owner_of(given))

    def find_digest(self, digest: str) -> Grant | None:
        """The grant of the key with a digest of `owner_of`; None if it is not one of the file's."""
        kept, grant = self._grants.get(digest, (None, None))
        return grant if kept is not None and hmac.compare_digest(kept, digest) else None
