"""Sums of hours or days as charts for `overview.js`: their series, and a title that says what they show. Pure functions."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from gateway.console.formats import number, percent, usd
from gateway.core.json_types import JsonObject
from gateway.core.vocabulary import NUSD_PER_USD

if TYPE_CHECKING:
    from gateway.record.activity import Activity

COLORS = 8  # of the palette, --c1 to --c8
MOST_SERIES = 6
OTHERS, NO_MODEL = "others", "no model answered"


@dataclass(frozen=True, slots=True)
class Series:
    """One line or layer.

    Attributes:
        color: number of the palette; 0: for what has no colour of its own.
        percent: the values are percentages, drawn as a line with an axis of its own; None: not known.
    """

    name: str
    color: int
    values: Sequence[float | None]
    percent: bool = False


@dataclass(frozen=True, slots=True)
class TimeChart:
    """A chart.

    Attributes:
        times: the beginning of each hour or day, seconds since the epoch.
        days: they are UTC days.
        unit: of the values.
        stacked: the series are layers of one sum.
    """

    title: str
    unit: str
    times: Sequence[int]
    series: Sequence[Series]
    days: bool
    stacked: bool = False

    def as_json(self) -> JsonObject:
        """For the script."""
        return asdict(self)


def traffic_chart(found: "Activity") -> TimeChart:
    """Requests by hour or day, and the share of them that failed."""
    requests, errors = found.steps["requests"], found.steps["errors"]
    per, peak = _step(found), max(range(len(requests)), key=requests.__getitem__)
    share = found.totals["errors"] / found.totals["requests"] if found.totals["requests"] else 0.0
    words = "none failed" if not share else f"{percent(share, 1 if share < 0.1 else 0)} failed"
    title = f"Up to {number(requests[peak])} requests in {'an hour' if per == 'hour' else 'a day'}, {words}"
    shares = [100 * failed / all if all else None for failed, all in zip(errors, requests, strict=True)]
    series = [Series("requests", 1, requests), Series("failed", 2, shares, percent=True)]
    return TimeChart(title, f"requests per {per}", found.span.times, series, per == "day")


def spending_chart(found: "Activity", models: Sequence[str]) -> TimeChart:
    """USD by hour or day, by model.

    Args:
        models: of the portfolio, in its order, which gives them their colours.
    """
    totals = {name: sum(values) for name, values in found.model_steps.items()}
    ranked = sorted((name for name in totals if totals[name]), key=lambda name: (-totals[name], name))
    shown = ranked[:MOST_SERIES] if len(ranked) > MOST_SERIES + 1 else ranked
    colors = colors_of(shown, models)
    series = [Series(name or NO_MODEL, colors[name], _usd(found.model_steps[name])) for name in shown]
    if rest := [found.model_steps[name] for name in ranked if name not in shown]:
        series.append(Series(OTHERS, 0, _usd([sum(values) for values in zip(*rest, strict=True)])))
    if not ranked:
        title = "Nothing was spent"
    elif len(ranked) == 1:
        title = f"{ranked[0] or NO_MODEL} cost {usd(found.nusd)}"
    else:
        share = totals[ranked[0]] / found.nusd
        title = f"{ranked[0] or NO_MODEL} took {percent(share)} of {usd(found.nusd)}"
    return TimeChart(title, f"USD per {_step(found)}", found.span.times, series, _step(found) == "day", stacked=True)


def colors_of(shown: Sequence[str], models: Sequence[str]) -> Mapping[str, int]:
    """A colour for each model: that of its place in the portfolio, or the next one that is free in this chart."""
    places = {name: i for i, name in enumerate(models)}
    colors: dict[str, int] = {}
    for name in shown:
        first = places.get(name, len(models))
        free = [color for i in range(COLORS) if (color := (first + i) % COLORS + 1) not in colors.values()]
        colors[name] = free[0] if free else 0
    return colors


def _step(found: "Activity") -> str:
    return "hour" if found.span.step_s < 86_400 else "day"


def _usd(nusd: Sequence[int]) -> list[float]:
    return [value / NUSD_PER_USD for value in nusd]
