"""A key or team of the store, as frozen values."""

import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gateway.config.access import AccessEntry, AccessKey, Team
from gateway.core.identity import KeyIdentity


@dataclass(frozen=True, slots=True)
class StoredTeam:
    """A team that was made at run time."""

    name: str
    access: AccessEntry
    created: float

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> "StoredTeam":
        return cls(row["name"], access_of(row["access"]), row["created"])

    @property
    def in_force(self) -> Team:
        access = self.access
        return Team(self.name, access.allowed, access.limits, access.expires_at, tuple(access.tags))


@dataclass(frozen=True, slots=True)
class StoredKey:
    """A key that was made at run time. Times are seconds since the epoch.

    Attributes:
        digest: HMAC-SHA256 of its secret.
        old_digest: of the secret before the last rotation; None if there was none.
        old_until: until then the old secret is accepted too.
        revoked: the time of its revocation; None if it is in use.
    """

    id: str
    name: str
    team: str | None
    access: AccessEntry
    created: float
    digest: bytes
    old_digest: bytes | None = None
    old_until: float | None = None
    revoked: float | None = None

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> "StoredKey":
        return cls(
            row["id"],
            row["name"],
            row["team"],
            access_of(row["access"]),
            row["created"],
            row["digest"],
            row["digest2"],
            row["digest2_until"],
            row["revoked"],
        )

    @property
    def in_force(self) -> AccessKey:
        access = self.access
        identity = KeyIdentity(self.id, self.name, self.team, tuple(access.tags))
        return AccessKey(identity, access.allowed, access.limits, access.expires_at)

    def matches(self, digest: bytes) -> bool:
        """True if the digest is that of the secret."""
        return hmac.compare_digest(self.digest, digest)

    def matched_before(self, digest: bytes) -> bool:
        """True if the digest is that of the secret before the last rotation."""
        return self.old_digest is not None and hmac.compare_digest(self.old_digest, digest)


def access_of(fields: Mapping[str, Any]) -> AccessEntry:
    """The fields of a row. Those that only a newer version knows are left out."""
    return AccessEntry.model_validate({name: fields[name] for name in AccessEntry.model_fields if name in fields})


def access_fields(access: AccessEntry) -> dict[str, Any]:
    """The fields of a row: those that differ from the defaults, without a name, team or key."""
    return access.model_dump(mode="json", exclude_defaults=True, include=set(AccessEntry.model_fields))
