"""The limits of a key and its team, in the windows of one moment. Pure."""

from typing import NamedTuple

from gateway.config.access import Budget, Grant, Limits
from gateway.limits.engine import BudgetTerm, Counted, CountTerm, Terms, WindowKey
from gateway.limits.windows import window_at


class Dated(NamedTuple):
    """Terms, and the time until which they are in force, seconds since the epoch."""

    terms: Terms
    until: float


def terms_at(grant: Grant, now: float) -> Dated:
    """All limits of a grant at a time, seconds since the epoch."""
    budgets: list[BudgetTerm] = []
    counts: list[CountTerm] = []
    for (kind, name), limits in grant.scopes:
        scope = f"{kind}:{name}"
        budgets += [budget_term(scope, budget, now) for budget in limits.budgets]
        counts += [CountTerm(scope, counted, limit) for counted, limit in _counted(limits) if limit is not None]
    return Dated(Terms(tuple(budgets), tuple(counts)), min((float(term.end) for term in budgets), default=float("inf")))


def budget_term(scope: str, budget: Budget, now: float) -> BudgetTerm:
    """A budget in its window at a time, seconds since the epoch."""
    window = window_at(budget.period, budget.timezone, now)
    ceiling = budget.nusd + int(budget.nusd * budget.overshoot)
    return BudgetTerm(WindowKey(scope, budget.period, window.start), window.end, budget.nusd, ceiling)


def _counted(limits: Limits) -> tuple[tuple[Counted, int | None], ...]:
    return ("requests", limits.rpm), ("tokens", limits.tpm), ("parallel", limits.max_parallel_requests)
