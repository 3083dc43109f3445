"""Keys and teams as JSON: for `/admin/keys`, `/admin/teams`, `/v1/key` and `locus key list`.

Times are in ISO 8601, money is in USD.
"""

from collections.abc import Mapping
from datetime import datetime

from gateway.config.access import AccessKey, Allowed, Grant, Limits, Team
from gateway.core.durations import iso_time
from gateway.core.json_types import JsonObject
from gateway.core.vocabulary import NUSD_PER_USD
from gateway.keys.stored import StoredKey, StoredTeam

_UNKNOWN: Mapping[str, float] = {}


def describe_file_key(key: AccessKey, used: Mapping[str, float] = _UNKNOWN) -> JsonObject:
    """A key of the portfolio file.

    Args:
        used: when keys were used last, by id; seconds since the epoch.
    """
    return _key(key, "file", used)


def describe_key(key: StoredKey, used: Mapping[str, float] = _UNKNOWN) -> JsonObject:
    """A key of the store.

    Args:
        used: when keys were used last, by id; seconds since the epoch.
    """
    of_store = {
        "created": iso_time(key.created),
        "revoked": iso_time(key.revoked),
        "old_secret_until": iso_time(key.old_until),
    }
    return _key(key.in_force, "store", used) | of_store


def describe_file_team(team: Team) -> JsonObject:
    """A team of the portfolio file."""
    return _team(team, "file")


def describe_team(team: StoredTeam) -> JsonObject:
    """A team of the store."""
    return _team(team.in_force, "store") | {"created": iso_time(team.created)}


def describe_access(allowed: Allowed, limits: Limits, expires: datetime | None, tags: tuple[str, ...]) -> JsonObject:
    """The fields of `AccessEntry`, so that they can be sent back."""
    return {
        "models": None if allowed.models is None else sorted(allowed.models),
        "policies": None if allowed.policies is None else list(allowed.policies),
        **_limits(limits),
        "expires": None if expires is None else expires.isoformat(timespec="seconds"),
        "tags": list(tags),
    }


def _limits(limits: Limits) -> JsonObject:
    near = limits.near_limit
    return {
        "budget": [
            {"usd": b.nusd / NUSD_PER_USD, "per": b.period, "warn": b.warn, "overshoot": b.overshoot}
            for b in limits.budgets
        ],
        "timezone": next((b.timezone for b in limits.budgets), "UTC"),
        "rpm": limits.rpm,
        "tpm": limits.tpm,
        "max_parallel_requests": limits.max_parallel_requests,
        "near_limit": None if near is None else {"at": near.at, "cost_weight": near.cost_weight},
    }


def own_key(grant: Grant) -> JsonObject:
    """What `GET /v1/key` tells the holder of a key: what both the key and its team allow, and the limits of each."""
    identity = grant.identity
    limits = [
        {"scope": kind, "name": identity.name if kind == "key" else name} | _limits(limits)
        for (kind, name), limits in grant.scopes
    ]
    return {
        "object": "key",
        "id": identity.id,
        "name": identity.name or None,
        "team": identity.team,
        "tags": list(identity.tags),
        "models": None if grant.allowed.models is None else sorted(grant.allowed.models),
        "policies": None if grant.allowed.policies is None else list(grant.allowed.policies),
        "expires": None if grant.expires is None else grant.expires.isoformat(timespec="seconds"),
        "limits": limits,
    }


def _key(key: AccessKey, source: str, used: Mapping[str, float]) -> JsonObject:
    identity = key.identity
    named = {"id": identity.id, "name": identity.name, "team": identity.team, "source": source}
    named["last_used"] = iso_time(used.get(identity.id))
    return named | describe_access(key.allowed, key.limits, key.expires, identity.tags)


def _team(team: Team, source: str) -> JsonObject:
    named = {"name": team.name, "source": source}
    return named | describe_access(team.allowed, team.limits, team.expires, team.tags)
