"""Values as the console writes them."""

import pytest

from gateway.console.formats import duration, moment, number, percent, usd


@pytest.mark.parametrize(
    ("nusd", "text"),
    [
        (None, "–"),
        (0, "0 USD"),
        (1_500_000_000, "1.50 USD"),
        (1_234_567_800_000, "1,234.57 USD"),
        (99_000_000, "0.099 USD"),
        (100_000, "0.0001 USD"),
        (42_000, "0.000042 USD"),
        (1, "0.000000001 USD"),
        (-2_000_000_000, "-2.00 USD"),
    ],
)
def test_money(nusd: int | None, text: str) -> None:
    assert usd(nusd) == text


@pytest.mark.parametrize(
    ("ms", "text"),
    [
        (None, "–"),
        (0.42, "0.4 ms"),
        (250.0, "250 ms"),
        (999.4, "999 ms"),
        (999.6, "1.0 s"),
        (59_940.0, "59.9 s"),
        (59_960.0, "1 min 0 s"),
        (90_000.0, "1 min 30 s"),
    ],
)
def test_durations(ms: float | None, text: str) -> None:
    assert duration(ms) == text


def test_numbers_and_shares() -> None:
    assert (number(1_234_567), number(None)) == ("1,234,567", "–")
    assert (percent(0.256), percent(0.256, 1), percent(None)) == ("26%", "25.6%", "–")


def test_moments() -> None:
    assert str(moment(1_800_000_000.25)) == (
        '<time datetime="2027-01-15T08:00:00.250+00:00">2027-01-15 08:00:00 UTC</time>'
    )
    assert moment(None) == "–"
