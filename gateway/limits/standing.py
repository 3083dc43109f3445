"""How a key stands with its limits, as this process knows it: for headers of answers, and for what is near a limit. Pure."""

from functools import lru_cache
from typing import NamedTuple

from gateway.limits.engine import Counted, CountTerm
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
    states, found = slice.last.counts, {}
    for kind, places in _by_kind(slice.terms.counts):
        held = slice.requests if kind == "requests" else slice.tokens if kind == "tokens" else slice.places - slice.open
        least: tuple[int, int, float] | None = None
        for place, limit in places:
            state = states[place]
            remaining = limit - state.used + held
            remaining = 0 if remaining < 0 else limit if remaining > limit else remaining
            if least is None or remaining < least[1]:
                least = limit, remaining, state.full_at
        assert least is not None
        found[kind] = Standing(*least)
    return found


@lru_cache(4096)
def _by_kind(terms: tuple[CountTerm, ...]) -> tuple[tuple[Counted, tuple[tuple[int, int], ...]], ...]:
    """The kinds of limits, and of each of them the places among the terms, with the limits there."""
    kinds: dict[Counted, list[tuple[int, int]]] = {}
    for place, term in enumerate(terms):
        kinds.setdefault(term.kind, []).append((place, term.limit))
    return tuple((kind, tuple(places)) for kind, places in kinds.items())
