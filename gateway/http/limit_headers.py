"""The headers that tell a client how its key stands with its limits: OpenAI's, and the `RateLimit` fields of the IETF. Pure.

They are about the limit of each kind, of the key or its team, of which the least remains.
"""

from collections.abc import Mapping
from functools import lru_cache
from math import ceil
from typing import NamedTuple

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
    form = _form(tuple([(kind, standing[0]) for kind, standing in standings.items()]))
    headers, numbers = [*form.constant], []
    for names, (_, remaining, full_at) in zip(form.names, standings.values(), strict=True):
        numbers.append(remaining)
        if names is not None:
            seconds = max(0, ceil(full_at - now))
            numbers.append(seconds)
            headers += ((names[0], b"%d" % remaining), (names[1], b"%ds" % seconds))
    headers.append((b"ratelimit", form.state % tuple(numbers)))
    return headers


class _Form(NamedTuple):
    """What is the same in the headers of all answers under the same limits.

    Attributes:
        names: of OpenAI's headers for what remains and for the time of the reset, by the place of the limit; None if it has none.
        state: the form of `RateLimit`.
    """

    constant: tuple[tuple[bytes, bytes], ...]
    names: tuple[tuple[bytes, bytes] | None, ...]
    state: bytes


@lru_cache(1024)
def _form(limits: tuple[tuple[Counted, int], ...]) -> _Form:
    """The form for limits, each with its kind and size."""
    constant: list[tuple[bytes, bytes]] = []
    names: list[tuple[bytes, bytes] | None] = []
    policies, states = [], []
    for kind, limit in limits:
        if kind == "parallel":
            names.append(None)
            policies.append(f'"{kind}";q={limit};qu="concurrent-requests"')
            states.append(f'"{kind}";r=%d')
            continue
        constant.append((f"x-ratelimit-limit-{kind}".encode(), b"%d" % limit))
        names.append((f"x-ratelimit-remaining-{kind}".encode(), f"x-ratelimit-reset-{kind}".encode()))
        policies.append(f'"{kind}";q={limit};w={MINUTE_S}')
        states.append(f'"{kind}";r=%d;t=%d')
    constant.append((b"ratelimit-policy", ", ".join(policies).encode()))
    return _Form(tuple(constant), tuple(names), ", ".join(states).encode())
