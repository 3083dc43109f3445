"""Lengths of time as people write them: `90s`, `15m`, `1h`, `7d`, `2w`."""

import re

DURATION = "[0-9]{1,12}([.][0-9]{1,6})? ?[smhdw]?"
_UNITS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}


def duration_s(text: str) -> float | None:
    """Return the seconds of a duration; a number without a unit is in seconds. None if the text is no duration.

    `duration_s("1h")` is 3600.0, `duration_s("1.5 m")` is 90.0.
    """
    if re.fullmatch(DURATION, text) is None:
        return None
    unit = _UNITS.get(text[-1])
    return float(text) if unit is None else float(text[:-1]) * unit
