"""Money by day as a chart: the places of its bars, for a template that draws them as SVG. Pure."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from gateway.core.vocabulary import NUSD_PER_USD

WIDE, NARROW = (
    1080,
    330,
)  # for a screen and for a phone: pictures of one width would have letters that are too large or too small
HEIGHT = 190
_LEFT, _RIGHT, _TOP, _BOTTOM = 58, 20, 10, 24  # around the bars
_LABEL = 90  # a day that has a label, and those until the next one


@dataclass(frozen=True, slots=True)
class Bar:
    """One day; places in units of the chart.

    Attributes:
        label: below it; empty for most.
    """

    day: str
    nusd: int
    x: float
    y: float
    width: float
    height: float
    label: str


@dataclass(frozen=True, slots=True)
class DayChart:
    """A chart.

    Attributes:
        lines: y and USD of each line of the grid.
        total: nano-USD.
        peak: the day with the most, if anything was spent.
    """

    bars: tuple[Bar, ...]
    lines: tuple[tuple[float, str], ...]
    total: int
    peak: Bar | None
    width: int
    height: int = HEIGHT
    left: int = _LEFT

    @property
    def right(self) -> int:
        """The end of the bars."""
        return self.width - _RIGHT


def day_chart(nusd: Mapping[str, int], last: float, days: int, width: int) -> DayChart:
    """The chart of the days until `last`.

    Args:
        nusd: by UTC day, such as 2026-11-01; a missing day is 0.
        last: seconds since the epoch.
        width: of the chart, pixels.
    """
    end = datetime.fromtimestamp(last, UTC).date()
    dates = [end - timedelta(days=days - 1 - i) for i in range(days)]
    values = [nusd.get(date.isoformat(), 0) for date in dates]
    step = _step(max(values, default=0) / NUSD_PER_USD)
    top = step * math.ceil(max(values, default=0) / NUSD_PER_USD / step - 1e-9) or step
    room, slot = HEIGHT - _TOP - _BOTTOM, (width - _LEFT - _RIGHT) / days
    every = math.ceil(_LABEL / slot)
    bars = []
    for i, (date, value) in enumerate(zip(dates, values, strict=True)):
        height = round(room * value / NUSD_PER_USD / top, 1)
        label = f"{date.day} {date:%b}" if (days - 1 - i) % every == 0 else ""
        x = round(_LEFT + slot * i + 0.1 * slot, 1)
        bars.append(
            Bar(date.isoformat(), value, x, round(_TOP + room - height, 1), round(0.8 * slot, 1), height, label)
        )
    lines = [(round(_TOP + room * (1 - i * step / top), 1), _text(i * step)) for i in range(round(top / step) + 1)]
    peak = max(bars, key=lambda bar: bar.nusd)
    return DayChart(tuple(bars), tuple(lines), sum(values), peak if peak.nusd else None, width)


def _text(usd: float) -> str:
    """0.00006, 0.5, 20."""
    text = f"{usd:.9f}".rstrip("0").rstrip(".")
    return text if usd < 1000 else f"{usd:,.0f}"


def _step(most: float) -> float:
    """1, 2 or 5 times a power of ten, of which two to five reach the most."""
    if most <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(most / 2))
    return next(power * factor for factor in (1, 2, 5, 10) if power * factor * 4 >= most)
