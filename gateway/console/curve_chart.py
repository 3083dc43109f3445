"""Accuracy and cost of alternatives as a chart: places for a template that draws it as SVG. Pure."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from gateway.console.replay_view import Point

WIDE, NARROW = 1080, 330  # for a screen and for a phone
HEIGHT = 320
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 24, 14, 44  # around the points
_TICKS = 5  # at most, on each axis
_LABEL_PX = 48  # between two marks with labels


@dataclass(frozen=True, slots=True)
class Mark:
    """An alternative, or the log.

    Attributes:
        x, y: of its point.
        top, bottom: of its interval; equal to y for the log.
        label: empty where it would cover another one.
        text: all that is known, for people who point at it or hear it.
    """

    x: float
    y: float
    top: float
    bottom: float
    label: str
    text: str
    logged: bool = False


@dataclass(frozen=True, slots=True)
class CurveChart:
    """A chart.

    Attributes:
        marks: the log, then the alternatives, the cheapest first.
        line: the points of the curve, as SVG has them.
        x_ticks, y_ticks: place and text.
    """

    marks: Sequence[Mark]
    line: str
    x_ticks: Sequence[tuple[float, str]]
    y_ticks: Sequence[tuple[float, str]]
    width: int
    height: int = HEIGHT
    left: int = _LEFT
    bottom: int = HEIGHT - _BOTTOM

    @property
    def right(self) -> int:
        """The end of the axis."""
        return self.width - _RIGHT


def curve_chart(points: Sequence[Point], width: int) -> CurveChart | None:
    """The chart of points; None if none has both a cost and an accuracy.

    Horizontal: USD per 1,000 requests. Vertical: accuracy minus that of the log, in points, with its interval of 90%. The interval
    is that of the difference, since both accuracies share most of their error.

    Args:
        width: of the chart, pixels.
    """
    known = [
        (point, point.accuracy, 1000 * point.other_usd)
        for point in points
        if point.accuracy and point.other_usd is not None
    ]
    logged = next((1000 * point.logged_usd for point, *_ in known if point.logged_usd is not None), None)
    if not known or logged is None:
        return None
    xs = [logged, *(usd for *_, usd in known)]
    ends = [0.0, *(100 * end for _, accuracy, _ in known for end in (accuracy.low, accuracy.high))]
    x_ticks, y_ticks = ticks(0.0, max(xs)), ticks(min(ends), max(ends))

    def x(usd: float) -> float:
        return round(_LEFT + (width - _LEFT - _RIGHT) * usd / x_ticks[-1], 1)

    def y(accuracy: float) -> float:
        low, high = y_ticks[0], y_ticks[-1]
        return round(_TOP + (HEIGHT - _TOP - _BOTTOM) * (high - accuracy) / (high - low), 1)

    marks = [Mark(x(logged), y(0), y(0), y(0), "log", f"as logged: {logged:.3g} USD per 1,000", True)]
    taken = [marks[0].x]
    for point, accuracy, usd in known:
        value, low, high = (100 * of for of in (accuracy.value, accuracy.low, accuracy.high))
        free = all(abs(x(usd) - other) > _LABEL_PX for other in taken)
        taken += [x(usd)] if free else []
        text = f"{point.name}: {usd:.3g} USD per 1,000, {value:+.1f} points, interval {low:+.1f} to {high:+.1f}"
        marks.append(Mark(x(usd), y(value), y(high), y(low), point.label if free else "", text))
    line = " ".join(f"{mark.x},{mark.y}" for mark in marks[1:])
    return CurveChart(
        marks,
        line if len(known) > 1 else "",
        [(x(usd), f"{usd:.10g}") for usd in x_ticks],
        [(y(value), f"{value:+.10g}" if value else "0") for value in y_ticks],
        width,
    )


def ticks(low: float, high: float) -> list[float]:
    """Round numbers from at most the lowest to at least the highest value; at least two."""
    span = max(high - low, 1e-9)
    power = 10.0 ** math.floor(math.log10(span / _TICKS))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor * _TICKS >= span)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(i * step, 12) for i in range(first, max(last, first + 1) + 1)]
