"""Lengths of time as people write them: `90s`, `15m`, `1h`, `7d`, `2w`; and times, which are dates or such a length before now."""

import re
from datetime import UTC, datetime, tzinfo

DURATION = "[0-9]{1,12}([.][0-9]{1,6})? ?[smhdw]?"
# Times between these have a date in each time zone.
_FIRST, _LAST = (datetime(year, 1, 1, tzinfo=UTC).timestamp() for year in (2, 9999))
_UNITS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}


def duration_s(text: str) -> float | None:
    """Return the seconds of a duration; a number without a unit is in seconds. None if the text is no duration.

    `duration_s("1h")` is 3600.0, `duration_s("1.5 m")` is 90.0.
    """
    if re.fullmatch(DURATION, text) is None:
        return None
    unit = _UNITS.get(text[-1])
    return float(text) if unit is None else float(text[:-1]) * unit


def time_of(text: str, now: float, zone: tzinfo | None) -> float | None:
    """Return the time that is a duration before now, or a date or time in ISO 8601; None if the text is neither, or the
    time is not in the years 2 to 9998.

    Args:
        now: seconds since the epoch.
        zone: of dates and times that name none; None: the machine's.
    """
    seconds = duration_s(text)
    at = _date(text, zone) if seconds is None else now - seconds
    return at if at is not None and _FIRST <= at < _LAST else None


def _date(text: str, zone: tzinfo | None) -> float | None:
    try:
        at = datetime.fromisoformat(text)
        return (at if at.tzinfo is not None or zone is None else at.replace(tzinfo=zone)).timestamp()
    except (ValueError, OverflowError):
        return None


def iso_time(at: float | None) -> str | None:
    """Return a time in seconds since the epoch as ISO 8601 in UTC; None stays None."""
    return None if at is None else datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")
