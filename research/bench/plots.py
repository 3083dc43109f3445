"""Plots of the benchmark: curves, points, rows of dots and reliability, in one style. Imports matplotlib when it draws."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from research.bench.looks import BLUE, LOOKS
from router.explore.style import COLOURS, FAINT, GREY, INK, PLAIN, SMALL, SOFT, new_figure, plain, set_legend, set_title

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DASHED = (0, (4, 3))
HEIGHTS = {1: 3.6, 2: 3.1, 3: 2.35}  # inches of a row of panels, by their number in it
BAND = 0.15  # opacity
MARKS = 8  # of a line, about
NARROW = 3.0  # ratio of the ends of an axis up to which a logarithmic one would have no ticks


@dataclass(frozen=True)
class Curve:
    """A named line with marks; its colour and marks are those of its name.

    Attributes:
        points: only the marks.
        line: only the line.
        spread: ± this around each point, as a band; NaN where it is not known.
    """

    name: str
    x: Sequence[float]
    y: Sequence[float]
    points: bool = False
    line: bool = False
    spread: Sequence[float] = ()


@dataclass(frozen=True)
class Words:
    """What is found, the axis labels of a plot, with units, and what the bands around its curves are."""

    title: str
    x: str
    y: str
    band: str = ""


@dataclass(frozen=True)
class Dots:
    """One dot per row; NaN draws none."""

    name: str
    x: Sequence[float]


@dataclass(frozen=True)
class Panel:
    """One of several axes.

    Attributes:
        title: above it.
        curves: in the order of the legend.
        level: name and height of a dashed line; None draws none.
    """

    title: str
    curves: Sequence[Curve]
    level: tuple[str, float] | None = None


def curves(
    panels: Sequence[Panel], words: Words, *, log_x: bool = True, log_y: bool = False, from_zero: bool = False, columns: int = 3
) -> "Figure":  # fmt: skip
    """Small multiples with a shared legend.

    Args:
        log_x, log_y: logarithmic axes, with plain numbers at their ticks.
        from_zero: vertical axes start at 0.
    """
    figure, grid = _panels(len(panels), columns)
    for axes, panel in zip(grid, panels, strict=True):
        for curve in panel.curves:
            _curve(axes, curve)
        if from_zero:
            axes.set_ylim(bottom=0)
        if panel.level:
            axes.axhline(panel.level[1], color=INK, linewidth=1, linestyle=DASHED, label=panel.level[0], zorder=1)
            axes.margins(y=0.06)  # the line is not at the edge
        _ticks(axes, "x", log_x, 6 if columns < 3 else 5)
        _ticks(axes, "y", log_y, 6)
        axes.set_title(panel.title, loc="left", fontsize=PLAIN, color=INK)
    return _finished(figure, grid, words)


def reliability(panels: Mapping[str, Mapping[str, Sequence[float]]], words: Words) -> "Figure":
    """Mean score against mean prediction per bin, the diagonal, and below it the share of evaluations in each bin.

    Args:
        panels: title -> `predicted`, `observed` and `share`, one number per bin that is not empty.
    """
    figure, grid = _panels(len(panels), 3)
    for axes, (title, bins) in zip(grid, panels.items(), strict=True):
        axes.plot([0, 1], [0, 1], color=INK, linewidth=1, linestyle=DASHED, label="perfect", zorder=1)
        axes.bar(bins["predicted"], bins["share"], width=0.045, color=FAINT, label="share of evaluations", zorder=1)
        axes.plot(bins["predicted"], bins["observed"], color=COLOURS[0], linewidth=1.4, zorder=2)
        axes.scatter(bins["predicted"], bins["observed"], s=22, color=COLOURS[0], zorder=3, label="mean score")
        axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), xticks=(0, 0.5, 1), yticks=(0, 0.5, 1))
        axes.set_title(title, loc="left", fontsize=PLAIN, color=INK)
    return _finished(figure, grid, words)


def points(panels: Mapping[str, tuple[NDArray[np.float64], NDArray[np.float64]]], words: Words) -> "Figure":
    """Scatter plots.

    Args:
        panels: title -> x (n,) and y (n,).
    """
    figure, grid = _panels(len(panels), 3)
    for axes, (title, (x, y)) in zip(grid, panels.items(), strict=True):
        axes.scatter(x, y, s=10, color=COLOURS[0], alpha=0.45 if len(x) > 200 else 0.8, linewidths=0)
        _ticks(axes, "x", False, 3)
        _ticks(axes, "y", False, 5)
        axes.set_title(title, loc="left", fontsize=PLAIN, color=INK)
    return _finished(figure, grid, words)


def dots(rows: Sequence[str], series: Sequence[Dots], words: Words, level: float | None = None) -> "Figure":
    """A line per row with one dot of each series.

    Args:
        rows: from top to bottom.
        level: where a dashed line stands upright.
    """
    figure = new_figure(1.6 + 0.42 * len(rows))
    axes = figure.add_subplot()
    at = np.arange(len(rows))
    for part in series:
        colour, mark = LOOKS[part.name]
        axes.scatter(part.x, at, s=60, color=colour, marker=mark, label=part.name, zorder=3)
    if level is not None:
        axes.axvline(level, color=INK, linewidth=1, linestyle=DASHED, zorder=1)
    figure = _finished(figure, [axes], words)
    axes.set_yticks(at, rows, fontsize=PLAIN, color=INK)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    return figure


def _panels(number: int, columns: int) -> tuple["Figure", list["Axes"]]:
    columns = min(columns, number)
    rows = -(-number // columns)
    figure = new_figure(1.3 + HEIGHTS[columns] * rows)
    return figure, [figure.add_subplot(rows, columns, i + 1) for i in range(number)]


def _curve(axes: "Axes", curve: Curve) -> None:
    colour, mark = LOOKS[curve.name]
    by_locus = colour == BLUE
    if curve.points:
        alone = len(curve.x) == 1
        size, edge = (130, "white") if alone else (14, "none")
        axes.scatter(
            curve.x, curve.y, s=size, color=colour, marker=mark, edgecolors=edge, label=curve.name, zorder=4 + alone
        )
        return
    if len(curve.spread):
        y, spread = np.asarray(curve.y), np.asarray(curve.spread)
        axes.fill_between(curve.x, y - spread, y + spread, color=colour, alpha=BAND, linewidth=0, zorder=1)
    axes.plot(
        curve.x,
        curve.y,
        color=colour,
        marker=None if curve.line else mark,
        markevery=max(1, len(curve.x) // MARKS),
        markersize=6.5 if by_locus else 5,
        linewidth=2.6 if by_locus else 1.3,
        label=curve.name,
        zorder=2 if by_locus else 3,  # wide below narrow: both show where they are equal
        clip_on=False,  # marks on an axis stay whole
    )


def _ticks(axes: "Axes", which: str, log: bool, most: int) -> None:
    """At most so many ticks, with plain numbers."""
    from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, StrMethodFormatter

    low, high = axes.dataLim.intervalx if which == "x" else axes.dataLim.intervaly
    axis = axes.xaxis if which == "x" else axes.yaxis
    steps = (1, 2, 2.5, 5, 10)
    if not log or high <= low * NARROW:
        axis.set_major_locator(MaxNLocator(nbins=most, steps=steps, integer=which == "x" and high - low >= most))
        axis.set_major_formatter(StrMethodFormatter("{x:,g}"))
        return
    (axes.set_xscale if which == "x" else axes.set_yscale)("log")
    subs = (
        (1.0, 2.0, 5.0) if np.log10(high / low) * 3 <= most + 1 else (1.0, 3.0) if np.log10(high / low) < 2 else (1.0,)
    )
    axis.set_major_locator(LogLocator(base=10, subs=subs, numticks=12))
    axis.set_major_formatter(StrMethodFormatter("{x:,g}"))
    axis.set_minor_formatter(NullFormatter())
    axes.tick_params(axis=which, which="minor", length=0)  # type: ignore[arg-type]


def _finished(figure: "Figure", grid: Sequence["Axes"], words: Words) -> "Figure":
    """Writes the title, the axis labels at the left and below, and the legend."""
    from matplotlib.patches import Patch

    set_title(figure, words.title)
    columns = sum(axes.get_subplotspec().rowspan.start == 0 for axes in grid)  # type: ignore[union-attr]
    for i, axes in enumerate(grid):
        plain(axes)
        if i + columns >= len(grid):
            axes.set_xlabel(words.x, fontsize=SMALL, color=SOFT)
    if words.y:
        figure.supylabel(words.y, fontsize=SMALL, color=SOFT)
    handles: dict[str, Artist] = {
        label: handle for axes in grid for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    if words.band and any(axes.collections for axes in grid):
        handles[words.band] = Patch(color=GREY, alpha=2 * BAND, linewidth=0)
    set_legend(figure, handles)
    return figure
