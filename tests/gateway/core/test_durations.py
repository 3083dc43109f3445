"""Durations as text."""

from datetime import UTC

import pytest

from gateway.core.durations import duration_s, time_of


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90.0), ("15m", 900.0), ("1h", 3600.0), ("7d", 604_800.0), ("1.5 m", 90.0), ("20", 20.0)],
)
def test_a_duration(text: str, seconds: float) -> None:
    assert duration_s(text) == seconds


@pytest.mark.parametrize("text", ["", "h", "1y", "-1h", "1h30m", "1 hour", "nan", "1e3", "９s"])
def test_no_duration(text: str) -> None:
    assert duration_s(text) is None


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("1h", 96_400.0),
        ("1970-01-02", 86_400.0),
        ("1970-01-02T01:00:00Z", 90_000.0),
        ("1970-01-02T01:00:00+01:00", 86_400.0),
        ("soon", None),
        ("", None),
        ("9999-99-99", None),
        ("999999999999w", None),
        ("0001-01-01", None),
        ("9999-12-31", None),
    ],
)
def test_a_time_is_a_date_or_a_duration_before_now(text: str, at: float | None) -> None:
    assert time_of(text, 100_000.0, UTC) == at
