"""The errors of requests that a limit refuses. Messages name the limit, and no sums: a team's are not the key's business."""

from datetime import datetime
from math import ceil
from zoneinfo import ZoneInfo

from gateway.config.access import Budget, Grant
from gateway.core.errors import GatewayError, QuotaUsedUp, RateLimited
from gateway.core.vocabulary import NUSD_PER_USD
from gateway.limits.engine import BudgetTerm, Refused
from gateway.limits.windows import FOREVER

_COUNTED = {
    "requests": ("make", "request", "per minute"),
    "tokens": ("use", "token", "per minute"),
    "parallel": ("make", "request", "at once"),
}


def refusal(grant: Grant, refused: Refused, now: float) -> GatewayError:
    """The client's error.

    Args:
        now: the store's clock, seconds since the epoch.
    """
    term = refused.term
    seconds = max(1, ceil(refused.at - now))
    if not isinstance(term, BudgetTerm):
        verb, unit, when = _COUNTED[term.kind]
        what = f"{verb} {term.limit:,} {unit}{'' if term.limit == 1 else 's'} {when}"
        kind = "tokens" if term.kind == "tokens" else "requests"
        message = f"{_owner(grant, term.scope)} may {what}; try again in {seconds} s."
        return RateLimited(message, kind=kind, retry_after_s=seconds)
    name = describe(grant, term)
    if refused.at < term.end:
        return RateLimited(
            f"{name} is reserved by requests in progress; try again in {seconds} s.",
            kind="tokens",
            retry_after_s=seconds,
        )
    if term.end >= FOREVER:
        return QuotaUsedUp(f"{name} has too little left for this request.")
    begins = datetime.fromtimestamp(term.end, ZoneInfo(budget_of(grant, term).timezone)).isoformat(timespec="minutes")
    return QuotaUsedUp(
        f"{name} has too little left for this request; a new window begins at {begins}.",
        retry_after_s=seconds,
    )


def describe(grant: Grant, term: BudgetTerm) -> str:
    """Such as "The budget of 5 USD per day of the key `ci`"."""
    per = "in all" if term.key.period == "ever" else f"per {term.key.period}"
    return f"The budget of {term.limit / NUSD_PER_USD:.15g} USD {per} of {_owner(grant, term.key.scope, 'the')}"


def _owner(grant: Grant, scope: str, the: str = "The") -> str:
    kind, _, name = scope.partition(":")
    return f"{the} key `{grant.identity.name}`" if kind == "key" else f"{the} team `{name}`"


def budget_of(grant: Grant, term: BudgetTerm) -> Budget:
    """The budget that a term is made of."""
    return next(
        budget
        for (kind, name), limits in grant.scopes
        if f"{kind}:{name}" == term.key.scope
        for budget in limits.budgets
        if (budget.period, budget.nusd) == (term.key.period, term.limit)
    )
