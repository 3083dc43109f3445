"""What keys and teams have spent, for pages: budgets in their windows of now, and sums of the last days."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from gateway.config.access import Limits
from gateway.http.service import Service
from gateway.limits.engine import BudgetTerm, LimitsAway, WindowState
from gateway.limits.terms import budget_term
from gateway.limits.windows import FOREVER
from gateway.store.transactions import reading

Kind = Literal["key", "team"]
DAY_S = 86_400
RECENT_DAYS = 7
Level = Literal["", "good", "warn", "bad"]


@dataclass(frozen=True, slots=True)
class BudgetView:
    """A budget in its window of now. Money is in nano-USD.

    Attributes:
        warn: share of the limit at which the gateway warns.
        spent, reserved: None: the store of limits does not answer.
        ends: of the window, seconds since the epoch; None: never.
    """

    limit: int
    per: str
    warn: float
    spent: int | None
    reserved: int | None
    ends: float | None

    @property
    def level(self) -> Level:
        """How near its limit it is."""
        if self.spent is None:
            return ""
        if self.spent >= self.limit:
            return "bad"
        return "warn" if self.spent >= self.warn * self.limit else "good"

    @property
    def bar(self) -> tuple[float, float]:
        """Lengths of the bars for what is spent and what is reserved, in percent; together at most 100."""
        if self.spent is None or self.reserved is None:
            return 0.0, 0.0
        if not self.limit:
            return 100.0, 0.0
        spent = min(100.0, 100 * self.spent / self.limit)
        return spent, min(100.0 - spent, 100 * self.reserved / self.limit)


class Spending:
    """Reads the store of limits and the sums by hour."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def budgets(self, scopes: Iterable[tuple[Kind, str, Limits]]) -> dict[tuple[Kind, str], list[BudgetView]]:
        """The budgets of keys, by id, and of teams, by name.

        Raises:
            StoreUnavailable: the database cannot be used.
        """
        limiter, scopes = self._service.limiter, list(scopes)
        terms = {
            (kind, name): [budget_term(f"{kind}:{name}", one, limiter.now) for one in limits.budgets]
            for kind, name, limits in scopes
        }
        states = await self._states([term for of_scope in terms.values() for term in of_scope])
        return {
            (kind, name): [
                _view(term, one.warn, states.get(term))
                for term, one in zip(terms[kind, name], limits.budgets, strict=True)
            ]
            for kind, name, limits in scopes
        }

    async def recent(self, kind: Kind, names: Collection[str]) -> Mapping[str, int]:
        """Nano-USD of the last `RECENT_DAYS` by the id of a key or the name of a team; empty without a database.

        Raises:
            StoreUnavailable: the database cannot be used.
        """
        if self._service.database is None:
            return {}
        since = self._service.limiter.now // DAY_S * DAY_S - (RECENT_DAYS - 1) * DAY_S
        async with reading(self._service.database, "spending") as connection:
            from gateway.record.key_sums import spent_on_days

            return dict.fromkeys(names, 0) | dict(await connection.run_sync(spent_on_days, kind, names, since))

    async def _states(self, terms: Sequence[BudgetTerm]) -> dict[BudgetTerm, WindowState]:
        if not terms:
            return {}
        try:
            known = await self._service.limiter.budgets.windows([term.key for term in terms])
        except LimitsAway:
            return {}
        states = {term: known[term.key] for term in terms if term.key in known}
        # The store learns of a window by its first request; what was spent in it before its budget existed counts too.
        groups: dict[tuple[Kind, int], list[BudgetTerm]] = {}
        for term in terms:
            if term not in states:
                kind: Kind = "key" if term.key.scope.startswith("key:") else "team"
                groups.setdefault((kind, term.key.start), []).append(term)
        for (kind, start), some in groups.items():
            names = {term: term.key.scope.partition(":")[2] for term in some}
            spent = await self._since(kind, set(names.values()), start)
            states |= {term: WindowState(spent.get(name, 0), 0, 0) for term, name in names.items()}
        return states

    async def _since(self, kind: Kind, names: Collection[str], since: float) -> Mapping[str, int]:
        if self._service.database is None:
            return {}
        async with reading(self._service.database, "spending") as connection:
            from gateway.record.key_sums import spent_since

            return await connection.run_sync(spent_since, kind, names, since)


def _view(term: BudgetTerm, warn: float, state: WindowState | None) -> BudgetView:
    spent, reserved = (None, None) if state is None else (state.spent, state.expected)
    return BudgetView(term.limit, term.key.period, warn, spent, reserved, None if term.end >= FOREVER else term.end)
