"""What the cache may do for one request: by the policy, the request's own wish, and HTTP's `cache-control`. Pure functions."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from gateway.cache.entry import Entry
from gateway.config.portfolio import Portfolio
from gateway.core.json_types import JsonObject, objects_in
from gateway.request.chat_request import ChatRequest

TTL_S = 3_600.0  # for a request that asks for the cache, without a time and by a policy without a cache
# Fields by which the provider looks things up, runs tools or keeps files, so that its answer depends on more than the request.
PROVIDER_SIDE = (
    "web_search_options",
    "search_parameters",
    "plugins",
    "mcp_servers",
    "container",
    "audio",
    "context_management",
)
_CLIENT_TOOLS = (None, "function", "custom")  # types of tools that the client runs
# The client libraries of OpenAI and Anthropic: the number of the try, and how long they wait for an answer.
_RETRY_HEADER = b"x-stainless-retry-count"
_TIMEOUT_HEADERS = (b"x-stainless-timeout", b"x-stainless-read-timeout")
_CLIENT_TIMEOUT_S = 600.0  # their default
_CLIENT_PAUSE_S = 60.0  # their longest wait before a retry
_NUMBER = re.compile(rb"[0-9]{1,9}(\.[0-9]{1,9})?")


@dataclass(frozen=True, slots=True)
class Directives:
    """What the cache may do for one request.

    Attributes:
        ttl_s: how long the answer may be used, seconds.
        reads, stores: the request may get a stored answer; its answer may be stored.
        max_age_s: the oldest answer that the client takes, seconds; None: any.
        min_age_s: the youngest that it may get, seconds. More than 0 for a retry of a client library: what was stored since its
            first try may be what it could not use.
    """

    ttl_s: float
    reads: bool = True
    stores: bool = True
    max_age_s: float | None = None
    min_age_s: float = 0.0

    def allows(self, entry: Entry, now: float) -> bool:
        """Return True if the request may get this answer."""
        age_s = now - entry.stored_at
        youngest = self.min_age_s <= age_s
        return youngest and age_s < min(self.ttl_s, entry.ttl_s) and (self.max_age_s is None or age_s <= self.max_age_s)


def directives(
    request: ChatRequest, portfolio: Portfolio, policy: str, headers: Mapping[bytes, bytes]
) -> Directives | None:
    """Return what the cache may do for a request; None if it does nothing.

    Args:
        policy: the name of the request's policy.
        headers: of the request, names in lower case.
    """
    wish = request.overrides.cache
    if portfolio.settings.cache is None or wish is False:
        return None
    policy_ttl_s = portfolio.cache_ttl_s.get(policy)
    fields = request.fields if request.native is None else request.native.fields
    if _depends_on_provider(fields) or (wish is None and (policy_ttl_s is None or not is_deterministic(fields))):
        return None
    ttl_s = wish if isinstance(wish, float) else policy_ttl_s or TTL_S
    control = [part.strip() for part in headers.get(b"cache-control", b"").lower().split(b",")]
    return Directives(
        ttl_s,
        reads=b"no-cache" not in control,
        stores=b"no-store" not in control,
        max_age_s=next((_number(part[8:]) for part in control if part.startswith(b"max-age=")), None),
        min_age_s=_since_first_try_s(headers),
    )


def is_deterministic(fields: JsonObject) -> bool:
    """Return True if the client asks for one answer that does not change: at temperature 0, or with a seed."""
    if fields.get("n") not in (None, 1):
        return False
    temperature = fields.get("temperature")
    return (temperature == 0 and temperature is not False) or fields.get("seed") is not None


def _depends_on_provider(fields: JsonObject) -> bool:
    if any(fields.get(key) for key in PROVIDER_SIDE):
        return True
    tools = fields.get("tools")
    return bool(tools) and any(tool.get("type") not in _CLIENT_TOOLS for tool in objects_in(tools))


def _since_first_try_s(headers: Mapping[bytes, bytes]) -> float:
    """Return the longest time, seconds, since the first try of a client library; 0 if this is the first one."""
    tries = _number(headers.get(_RETRY_HEADER, b"")) or 0.0
    if not tries:
        return 0.0
    timeouts = [_number(headers[name]) for name in _TIMEOUT_HEADERS if name in headers]
    timeout_s = next((timeout for timeout in timeouts if timeout is not None), _CLIENT_TIMEOUT_S)
    return tries * (timeout_s + _CLIENT_PAUSE_S)


def _number(value: bytes) -> float | None:
    return float(value) if _NUMBER.fullmatch(value.strip()) else None
