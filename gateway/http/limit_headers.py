"""The headers that tell a client how its key stands with its limits: OpenAI's, and the `RateLimit` fields of the IETF. Pure.

They are about the limit of each kind, of the key or its team, of which the least remains.
"""

from collections.abc import Mapping
from math import ceil

from gateway.http.answer_headers import RawHeaders
from gateway.limits.engine import Counted
from gateway.limits.rates import MINUTE_S
from gateway.limits.standing import Standing

_MINUTELY: tuple[Counted, ...] = ("requests", "tokens")


def limit_headers(standings: Mapping[Counted, Standing], now: float) -> RawHeaders:
    """The headers of one answer.

    Args:
        now: by the clock of the standings, seconds since the epoch.
    """
    headers: RawHeaders = []
    policies, states = [], []
    for kind in _MINUTELY:
        if (standing := standings.get(kind)) is None:
            continue
        seconds = max(0, ceil(standing.full_at - now))
        for name, value in (("limit", standing.limit), ("remaining", standing.remaining), ("reset", f"{seconds}s")):
            headers.append((f"x-ratelimit-{name}-{kind}".encode(), str(value).encode()))
        policies.append(f'"{kind}";q={standing.limit};w={MINUTE_S}')
        states.append(f'"{kind}";r={standing.remaining};t={seconds}')
    if (standing := standings.get("parallel")) is not None:
        policies.append(f'"parallel";q={standing.limit};qu="concurrent-requests"')
        states.append(f'"parallel";r={standing.remaining}')
    if policies:
        headers.append((b"ratelimit-policy", ", ".join(policies).encode()))
        headers.append((b"ratelimit", ", ".join(states).encode()))
    return headers
