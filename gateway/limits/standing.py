"""How a key stands with its limits, as this process knows it: for headers of answers, and for what is near a limit. Pure."""

from typing import NamedTuple

from gateway.limits.engine import Counted
from gateway.limits.slice import Slice


class Standing(NamedTuple):
    """One limit.

    Attributes:
        remaining: of the limit.
        full_at: the time from which all of it is free again, if nothing more is used; seconds since the epoch.
    """

    limit: int
    remaining: int
    full_at: float


def counted_standings(slice: Slice) -> dict[Counted, Standing]:
    """The limit of each kind of which the least remains; empty before the store was asked."""
    if slice.last is None:
        return {}
    found: dict[Counted, Standing] = {}
    for term, state in zip(slice.terms.counts, slice.last.counts, strict=True):
        kind, limit = term.kind, term.limit
        parallel = slice.places - slice.open
        held = slice.requests if kind == "requests" else slice.tokens if kind == "tokens" else parallel
        remaining = min(limit, max(0, limit - state.used + held))
        known = found.get(kind)
        if known is None or remaining < known.remaining:
            found[kind] = Standing(limit, remaining, state.full_at)
    return found
