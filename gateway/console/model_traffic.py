"""How many requests each model answered in a period, from the sums by hour and by day."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlalchemy import Connection

PERIODS = {"24h": 86_400, "7d": 7 * 86_400, "30d": 30 * 86_400}  # seconds
DEFAULT_PERIOD = "7d"
PERIOD_NAMES = {"24h": "24 hours", "7d": "7 days", "30d": "30 days"}
HOUR_S, DAY_S = 3600, 86_400


def requests_by_model(connection: "Connection", since: float) -> dict[str, int]:
    """The requests of clients that each model answered, by its name.

    Args:
        since: seconds since the epoch; the hour in which it lies counts as a whole.
    """
    from sqlalchemy import func, select

    from gateway.record.reading import SYSTEM
    from gateway.store.usage_tables import USAGE_DAILY, USAGE_HOURLY

    midnight = -(-since // DAY_S) * DAY_S  # the first one of the period; the sums by day count from there on
    hours, days = USAGE_HOURLY.c, USAGE_DAILY.c
    found: dict[str, int] = {}
    for c, when in ((hours, (hours.hour > since - HOUR_S) & (hours.hour < midnight)), (days, days.day >= midnight)):
        answered = select(c.model, func.sum(c.requests)).where(when, c.model != "", ~c.key_id.startswith(SYSTEM))
        for model, requests in connection.execute(answered.group_by(c.model)):
            if requests:
                found[model] = found.get(model, 0) + int(requests)
    return found
