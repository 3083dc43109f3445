from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from gateway.limits.windows import FOREVER, Window, window_at

BERLIN = ZoneInfo("Europe/Berlin")


def at(text: str, zone: str = "UTC") -> float:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp()


@pytest.mark.parametrize(
    ("period", "now", "start", "end"),
    [
        ("day", "2027-03-10T23:59:59", "2027-03-10", "2027-03-11"),
        ("week", "2027-03-10T12:00", "2027-03-08", "2027-03-15"),
        ("week", "2027-03-08T00:00", "2027-03-08", "2027-03-15"),
        ("month", "2027-12-31T23:59", "2027-12-01", "2028-01-01"),
        ("month", "2028-02-29T12:00", "2028-02-01", "2028-03-01"),
    ],
)
def test_windows_begin_at_local_midnight(period: str, now: str, start: str, end: str) -> None:
    for zone in ("UTC", "Europe/Berlin", "Asia/Kolkata"):
        assert window_at(period, zone, at(now, zone)) == Window(int(at(start, zone)), int(at(end, zone)))  # type: ignore[arg-type]


def test_ever_is_one_window() -> None:
    assert window_at("ever", "UTC", 5.0) == Window(0, FOREVER)


def test_a_day_has_23_or_25_hours_where_the_clocks_change() -> None:
    spring = window_at("day", "Europe/Berlin", at("2027-03-28T12:00", "Europe/Berlin"))
    autumn = window_at("day", "Europe/Berlin", at("2027-10-31T12:00", "Europe/Berlin"))
    assert spring.end - spring.start == 23 * 3600
    assert autumn.end - autumn.start == 25 * 3600
    # Both times of the hour that comes twice are in the same day.
    twice = at("2027-10-31T02:30", "Europe/Berlin")
    assert window_at("day", "Europe/Berlin", twice) == window_at("day", "Europe/Berlin", twice + 3600) == autumn


def test_a_midnight_that_does_not_exist_is_the_moment_of_the_change() -> None:
    # In Cairo the clocks went from 24:00 on 2023-04-27 to 01:00 on the next day.
    day = window_at("day", "Africa/Cairo", at("2023-04-28T12:00", "Africa/Cairo"))
    assert day.end - day.start == 23 * 3600
    assert window_at("day", "Africa/Cairo", day.start - 1).end == day.start


def test_windows_follow_each_other_without_gap_or_overlap() -> None:
    now = at("2027-01-01")
    for period in ("day", "week", "month"):
        window = window_at(period, "America/Havana", now)
        for _ in range(400):
            following = window_at(period, "America/Havana", window.end)
            assert following.start == window.end
            window = following
