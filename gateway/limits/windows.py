"""The calendar windows of budgets: a day, a week from Monday, a month, or all time, in a time zone. Pure."""

from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

from gateway.config.access import Period

FOREVER = 1 << 50  # the end of the window `ever`, seconds since the epoch


class Window(NamedTuple):
    """The time from `start` until before `end`, in seconds since the epoch."""

    start: int
    end: int


def window_at(period: Period, timezone: str, now: float) -> Window:
    """The window of a period that contains the time `now`.

    Windows begin at local midnight, so a day has 23 or 25 hours where the clocks change. A midnight that does not exist on such
    a day is the moment of the change.

    Args:
        timezone: name in the IANA database, such as "Europe/Berlin".
        now: seconds since the epoch.
    """
    if period == "ever":
        return Window(0, FOREVER)
    zone = _zone(timezone)
    today = datetime.fromtimestamp(now, zone).date()
    if period == "day":
        first, last = today, today + timedelta(days=1)
    elif period == "week":
        first = today - timedelta(days=today.weekday())
        last = first + timedelta(days=7)
    else:
        first = today.replace(day=1)
        last = (first + timedelta(days=31)).replace(day=1)
    return Window(_midnight(first, zone), _midnight(last, zone))


def _midnight(day: date, zone: ZoneInfo) -> int:
    # By way of UTC: `timestamp` would give the same, but for a midnight that does not exist it depends on `fold`.
    return int(datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC).timestamp())


@lru_cache(64)
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)
