"""What a process knows of the budgets of its keys and teams: warns when one is nearly spent, and lets policies save money then.

The state of a budget is as new as the last answer of the store about it, at most a second old for a key in use, and what its own
requests have spent since.
"""

import logging
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

from gateway.config.access import Grant
from gateway.core.vocabulary import NUSD_PER_USD
from gateway.limits.engine import BudgetTerm, WindowKey, WindowState
from gateway.limits.refusals import budget_of, describe
from gateway.limits.slice import Slice

log = logging.getLogger("locus.limits")

Stored = Callable[[Sequence[WindowKey]], Awaitable[Mapping[WindowKey, WindowState]]]


class BudgetState(NamedTuple):
    """One budget in its window, nano-USD.

    Attributes:
        kind: "key" or "team".
        name: of the key or team.
        expected, worst: reserved, if all goes as expected and in the worst case.
        leases: that share it.
    """

    kind: str
    name: str
    term: BudgetTerm
    spent: int
    expected: int
    worst: int
    leases: int


class BudgetWatch:
    """The budgets of one process.

    Args:
        stored: `Engine.windows` of the store.
        warned: called with kind, name and period when a budget reaches its warning share.
    """

    def __init__(self, stored: Stored, warned: Callable[[str, str, str], None]) -> None:
        self._stored = stored
        self._warned = warned
        self._states: dict[WindowKey, BudgetState] = {}
        self._warnings: set[WindowKey] = set()

    def note(self, slice: Slice) -> None:
        """Takes over the newest answer of the store."""
        if slice.last is None:
            return
        for term, state in zip(slice.terms.budgets, slice.last.budgets, strict=True):
            kind, _, name = term.key.scope.partition(":")
            name = slice.grant.identity.name if kind == "key" else name
            spent = state.used + slice.spent - slice.last.booked
            self._states[term.key] = BudgetState(
                kind, name, term, spent, state.expected, state.worst, slice.last.leases
            )
            if term.key not in self._warnings:
                self._warn(slice.grant, term, spent, (kind, name))

    def forget_before(self, now: float) -> None:
        """Forgets the windows that have ended."""
        for key in [key for key, state in self._states.items() if state.term.end <= now]:
            del self._states[key]
            self._warnings.discard(key)

    async def windows(self, keys: Sequence[WindowKey]) -> Mapping[WindowKey, WindowState]:
        """What the store has of windows, with what the requests of this process have spent since.

        A window is missing if no request came in it since its budget exists.

        Raises:
            LimitsAway: the store does not answer.
        """
        found = dict(await self._stored(keys))
        for key, stored in found.items():
            if (own := self._states.get(key)) is not None and own.spent > stored.spent:
                found[key] = stored._replace(spent=own.spent)
        return found

    def states(self) -> Iterator[BudgetState]:
        """All budgets that are known."""
        yield from self._states.values()

    def gauges(self) -> Iterator[tuple[tuple[str, str, str], tuple[float, float, float]]]:
        """Kind, name and period of each budget, and its limit, what is spent and what is reserved, in USD."""
        for state in self._states.values():
            labels = state.kind, state.name, state.term.key.period
            yield labels, (state.term.limit / NUSD_PER_USD, state.spent / NUSD_PER_USD, state.worst / NUSD_PER_USD)

    def share(self, slice: Slice) -> tuple[int, int] | None:
        """This process's share of what is left of each budget of a slice, expected and worst; None if one is not known."""
        shares = []
        for term in slice.terms.budgets:
            state = self._states.get(term.key) or self._before(term)
            if state is None:
                return None
            room = term.limit - state.spent - state.expected, term.ceiling - state.spent - state.worst
            shares.append(tuple(max(0, left) // max(1, state.leases) for left in room))
        return (min(one for one, _ in shares), min(one for _, one in shares)) if shares else None

    def _before(self, term: BudgetTerm) -> BudgetState | None:
        """The state of a window that has just begun, from the one before."""
        for key, state in self._states.items():
            if key.scope == term.key.scope and key.period == term.key.period and state.term.end == term.key.start:
                return state._replace(term=term, spent=0, expected=0, worst=0)
        return None

    def cost_factor(self, slice: Slice) -> float:
        """How much more than usual money counts to policies, by the `near_limit` of key and team; 1: no budget is near its limit.

        That of a key is about its own budgets and those of its team, that of a team about those of the team.
        """
        self.note(slice)  # with what has been spent since the store answered
        factor = 1.0
        for (kind, name), limits in slice.grant.scopes:
            near = limits.near_limit
            if near is None:
                continue
            for term in slice.terms.budgets:
                state = self._states.get(term.key) if kind == "key" or term.key.scope == f"{kind}:{name}" else None
                if state is not None and state.spent >= near.at * term.limit:
                    factor = max(factor, near.cost_weight)
        return factor

    def _warn(self, grant: Grant, term: BudgetTerm, spent: int, owner: tuple[str, str]) -> None:
        if spent < budget_of(grant, term).warn * term.limit:
            return
        self._warnings.add(term.key)
        self._warned(*owner, term.key.period)
        log.warning("%s is spent to %.0f%%", describe(grant, term), 100 * spent / term.limit if term.limit else 100)
