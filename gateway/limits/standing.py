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
    held: dict[Counted, int] = {
        "requests": slice.requests,
        "tokens": slice.tokens,
        "parallel": slice.places - slice.open,
    }
    found: dict[Counted, Standing] = {}
    for term, state in zip(slice.terms.counts, slice.last.counts, strict=True):
        remaining = min(term.limit, max(0, term.limit - state.used + held[term.kind]))
        if term.kind not in found or remaining < found[term.kind].remaining:
            found[term.kind] = Standing(term.limit, remaining, state.full_at)
    return found
