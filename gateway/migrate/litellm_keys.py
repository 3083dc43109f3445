"""Keys of a LiteLLM proxy -> fields of keys. Pure.

LiteLLM has the SHA-256 of each key, not the key itself. Input is the answer of `GET /key/list?return_full_object=true`, or the
rows of its table of keys as a JSON list.
"""

import re
from typing import NamedTuple

import orjson

from gateway.core.json_types import JsonObject
from gateway.core.printable import printable

_SHA256 = re.compile(r"[0-9a-f]{64}")
_LIMITS = {"rpm_limit": "rpm", "tpm_limit": "tpm", "max_parallel_requests": "max_parallel_requests"}
_WINDOWS = {"24h": "day", "1d": "day", "7d": "week", "30d": "month", "1mo": "month"}
_EVERY_MODEL = frozenset({"all-proxy-models", "all-team-models", "*"})


class LitellmKey(NamedTuple):
    """One key.

    Attributes:
        sha256: of the key.
        fields: of `gateway.config.access.NewKey`.
    """

    sha256: bytes
    fields: JsonObject


class LitellmKeys(NamedTuple):
    """All keys, and one line about each that is not taken over or means something else."""

    keys: list[LitellmKey]
    findings: list[str]


class NotKeys(ValueError):
    """The text does not have keys of LiteLLM."""


def read_litellm_keys(text: bytes) -> LitellmKeys:
    """The keys of an export.

    Raises:
        NotKeys: it is no such export.
    """
    try:
        exported = orjson.loads(text)
    except orjson.JSONDecodeError as exc:
        raise NotKeys(f"not JSON: {exc}") from exc
    rows = exported.get("keys") if isinstance(exported, dict) else exported
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise NotKeys("neither a list of keys nor the answer of /key/list?return_full_object=true")
    keys: list[LitellmKey] = []
    findings: list[str] = []
    for row in rows:
        key = _key(row, findings)
        if key is not None:
            keys.append(key)
    return LitellmKeys(keys, findings)


def _key(row: JsonObject, findings: list[str]) -> LitellmKey | None:
    token = row.get("token")
    name = printable(str(row.get("key_alias") or f"litellm-{str(token)[:8]}"))
    if not isinstance(token, str) or _SHA256.fullmatch(token) is None:
        findings.append(f"{name}: left out, `token` is not the SHA-256 of a key")
        return None
    if row.get("blocked"):
        findings.append(f"{name}: left out, it is blocked")
        return None
    fields: JsonObject = {"name": name}
    if team := row.get("team_alias") or row.get("team_id"):
        fields["team"] = str(team)
    models = row.get("models") or []
    if models and _EVERY_MODEL.isdisjoint(models):
        fields["models"] = models
    for own, ours in _LIMITS.items():
        if row.get(own) is not None:
            fields[ours] = row[own]
    if row.get("expires"):
        fields["expires"] = row["expires"]
    if isinstance(row.get("tags"), list) and row["tags"]:
        fields["tags"] = row["tags"]
    if row.get("max_budget") is not None:
        duration = row.get("budget_duration")
        per = "ever" if duration is None else _WINDOWS.get(str(duration))
        if per is None:
            findings.append(f"{name}: left out, no window is like budget_duration {printable(str(duration))}")
            return None
        fields["budget"] = [{"usd": row["max_budget"], "per": per}]
        if spent := row.get("spend"):
            findings.append(f"{name}: its budget begins anew; {spent:g} USD were spent there")
    return LitellmKey(bytes.fromhex(token), fields)
