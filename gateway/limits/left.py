"""What a key has left, as JSON for `GET /v1/key`. What its team has spent is not told: that is the sum of other keys too. Pure."""

from datetime import UTC, datetime

from gateway.core.json_types import JsonObject
from gateway.core.vocabulary import NUSD_PER_USD
from gateway.limits.slice import Slice
from gateway.limits.standing import counted_standings
from gateway.limits.windows import FOREVER


def left_of(slice: Slice) -> JsonObject | None:
    """The state of the limits; None before the store was asked."""
    if slice.last is None:
        return None
    budgets = []
    for term, state in zip(slice.terms.budgets, slice.last.budgets, strict=True):
        if not term.key.scope.startswith("key:"):
            continue
        spent = state.used + slice.spent - slice.last.booked
        budgets.append(
            {
                "usd": term.limit / NUSD_PER_USD,
                "per": term.key.period,
                "spent_usd": spent / NUSD_PER_USD,
                "left_usd": max(0, term.limit - spent) / NUSD_PER_USD,
                "resets": None if term.end >= FOREVER else datetime.fromtimestamp(term.end, UTC).isoformat(),
            }
        )
    left: JsonObject = {"budgets": budgets}
    for kind, one in counted_standings(slice).items():
        left[kind] = {"limit": one.limit, "remaining": one.remaining}
    return left
