"""Durations as text."""

import pytest

from gateway.core.durations import duration_s


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90.0), ("15m", 900.0), ("1h", 3600.0), ("7d", 604_800.0), ("1.5 m", 90.0), ("20", 20.0)],
)
def test_a_duration(text: str, seconds: float) -> None:
    assert duration_s(text) == seconds


@pytest.mark.parametrize("text", ["", "h", "1y", "-1h", "1h30m", "1 hour", "nan", "1e3", "９s"])
def test_no_duration(text: str) -> None:
    assert duration_s(text) is None
