"""The headers that tell a client how its key stands with its limits: OpenAI's, and the `RateLimit` fields of the IETF. Pure.

They are about the limit of each kind, of the key or its team, of which the least remains.
"""

from collections.abc import Mapping
from functools import lru_cache
from math import ceil

from gateway.http.answer_headers import RawHeaders
from gateway.limits.engine import Counted
from gateway.limits.rates import MINUTE_S
from gateway.limits.standing import Standing


def limit_headers(standings: Mapping[Counted, Standing], now: float) -> RawHeaders:
    """The headers of one answer.

    Args:
        now: by the clock of the standings, seconds since the epoch.
    """
    if not standings:
        return []
    headers, states = [], []
    for kind, (limit, remaining, full_at) in standings.items():
        if kind == "parallel":
            states.append(b'"parallel";r=%d' % remaining)
            continue
        seconds = max(0, ceil(full_at - now))
        limit_name, remaining_name, reset_name, state = _NAMES[kind]
        headers += [(limit_name, b"%d" % limit), (remaining_name, b"%d" % remaining), (reset_name, b"%ds" % seconds)]
        states.append(state % (remaining, seconds))
    policy = _policy(tuple((kind, standing.limit) for kind, standing in standings.items()))
    return [*headers, (b"ratelimit-policy", policy), (b"ratelimit", b", ".join(states))]


def _names(kind: str) -> tuple[bytes, bytes, bytes, bytes]:
    """The names of OpenAI's headers for a kind of limit, and the form of its state in `RateLimit`."""
    limit, remaining, reset = (f"x-ratelimit-{what}-{kind}".encode() for what in ("limit", "remaining", "reset"))
    return limit, remaining, reset, f'"{kind}";r=%d;t=%d'.encode()


_NAMES: dict[Counted, tuple[bytes, bytes, bytes, bytes]] = {
    "requests": _names("requests"),
    "tokens": _names("tokens"),
}


@lru_cache(1024)
def _policy(limits: tuple[tuple[Counted, int], ...]) -> bytes:
    return ", ".join(
        f'"{kind}";q={limit};qu="concurrent-requests"' if kind == "parallel" else f'"{kind}";q={limit};w={MINUTE_S}'
        for kind, limit in limits
    ).encode()
