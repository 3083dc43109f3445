"""Plots of the benchmark: curves, points, bars and reliability, in one style. Imports matplotlib when it draws."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from research.bench.rows import ORACLE, OURS, RANDOM
from router.explore.style import COLOURS, DPI, FAINT, GREY, INK

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SINGLE = "a model by itself"
SOFT = "#5b6270"  # text that only explains
# A row keeps its colour and its mark in every plot, so that no plot is read by colour alone.
LOOKS: Mapping[str, tuple[str, str]] = {
    OURS: (COLOURS[0], "o"),
    "EmbedLLM": (COLOURS[1], "s"),
    "IRT-Net": (COLOURS[2], "^"),
    "kNN": (COLOURS[3], "D"),
    "clusters": (COLOURS[4], "v"),
    "LOCUS (paper)": (COLOURS[5], "P"),
    "logistic regression": (COLOURS[6], "X"),
    "UniRoute": (COLOURS[7], "<"),
    "best per benchmark": (COLOURS[9], ">"),
    "best single": (INK, "*"),
    RANDOM: (GREY, "x"),
    ORACLE: (GREY, "+"),
    SINGLE: (GREY, "o"),
}
FREE = tuple(
    zip((COLOURS[8], *COLOURS[5:8], COLOURS[9]), "sD^vP", strict=True)
)  # of other names; no frequent row has them
TITLE_CHARS, LEGEND_CHARS, LEGEND_MARK = 8.0, 11.5, 0.8  # characters per inch, and the inches of a legend's mark


@dataclass(frozen=True)
class Curve:
    """A named line; `marks` only draws its points, `steps` draws no mark at all."""

    name: str
    x: Sequence[float]
    y: Sequence[float]
    marks: bool = False
    steps: bool = False


@dataclass(frozen=True)
class Words:
    """Title and axis labels of a plot."""

    title: str
    x: str
    y: str


@dataclass(frozen=True)
class Bars:
    """One bar per group; NaN draws none."""

    name: str
    heights: Sequence[float]


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


def looks(names: Sequence[str]) -> dict[str, tuple[str, str]]:
    """Colour and mark of each name: fixed for rows, and the next free ones for other names, in their order.

    A name that begins with a row's name, such as `kNN on its own evaluations`, has that row's.
    """
    rows = {name: next((row for row in LOOKS if name.startswith(row)), None) for name in names}
    others = [name for name, row in rows.items() if row is None]
    return {name: FREE[others.index(name) % len(FREE)] if row is None else LOOKS[row] for name, row in rows.items()}


def curves(
    panels: Sequence[Panel], words: Words, out: Path, *, log_x: bool = True, from_zero: bool = False, columns: int = 3
) -> None:
    """Small multiples with a shared legend.

    Args:
        log_x: a logarithmic horizontal axis, with plain numbers at its ticks; otherwise whole numbers are.
        from_zero: vertical axes start at 0.
    """
    from matplotlib.ticker import MaxNLocator

    figure, grid = _panels(len(panels), columns)
    look = looks([curve.name for panel in panels for curve in panel.curves])
    for axes, panel in zip(grid, panels, strict=True):
        for curve in panel.curves:
            _line(axes, curve, look[curve.name])
        if from_zero:
            axes.set_ylim(bottom=0)
        if panel.level:
            axes.axhline(panel.level[1], color=INK, linewidth=1, linestyle=(0, (4, 3)), label=panel.level[0], zorder=1)
            axes.margins(y=0.06)  # the line is not at the edge
        if log_x:
            axes.set_xscale("log")
        else:
            axes.xaxis.set_major_locator(MaxNLocator(nbins=8, integer=True))
        axes.set_title(panel.title, loc="left", fontsize=10.5, color=INK)
        _plain(axes)
    _finish(figure, grid, words, out, log_x)


def reliability(panels: Mapping[str, Mapping[str, Sequence[float]]], words: Words, out: Path) -> None:
    """Mean score against mean prediction per bin, the diagonal, and below it the share of evaluations in each bin.

    Args:
        panels: title -> `predicted`, `observed` and `share`, one number per bin that is not empty.
    """
    figure, grid = _panels(len(panels), 3)
    for axes, (title, bins) in zip(grid, panels.items(), strict=True):
        axes.plot([0, 1], [0, 1], color=INK, linewidth=1, linestyle=(0, (4, 3)), label="perfect", zorder=1)
        axes.bar(bins["predicted"], bins["share"], width=0.045, color=FAINT, label="share of evaluations", zorder=1)
        axes.plot(bins["predicted"], bins["observed"], color=COLOURS[0], linewidth=1.4, zorder=2)
        axes.scatter(bins["predicted"], bins["observed"], s=26, color=COLOURS[0], zorder=3, label="mean score")
        axes.set(xlim=(0, 1), ylim=(0, 1))
        axes.set_title(title, loc="left", fontsize=10.5, color=INK)
        _plain(axes)
    _finish(figure, grid, words, out, log_x=False)


def points(
    panels: Mapping[str, tuple[NDArray[np.float64], NDArray[np.float64]]],
    words: Words,
    out: Path,
    columns: int = 3,
) -> None:
    """Scatter plots.

    Args:
        panels: title -> x (n,) and y (n,).
    """
    figure, grid = _panels(len(panels), columns)
    for axes, (title, (x, y)) in zip(grid, panels.items(), strict=True):
        axes.scatter(x, y, s=14, color=COLOURS[0], alpha=0.55, linewidths=0)
        axes.set_title(title, loc="left", fontsize=10.5, color=INK)
        _plain(axes)
    _finish(figure, grid, words, out, log_x=False)


def bars(groups: Sequence[str], series: Sequence[Bars], words: Words, out: Path, level: float | None = None) -> None:
    """Bars side by side per group, in the order of the legend.

    Args:
        level: height of a dashed line.
    """
    figure, (axes,) = _panels(1, 1)
    figure.set_size_inches(max(7.0, 1.6 * len(groups)), 4.6)
    width = 0.8 / len(series)
    look = looks([part.name for part in series])
    for i, part in enumerate(series):
        left = np.arange(len(groups)) + (i - (len(series) - 1) / 2) * width
        axes.bar(left, part.heights, width=0.9 * width, color=look[part.name][0], label=part.name)
    if level is not None:
        axes.axhline(level, color=INK, linewidth=1, linestyle=(0, (4, 3)), zorder=1)
    _plain(axes)
    axes.grid(visible=False, axis="x")
    axes.set_xticks(np.arange(len(groups)), groups, fontsize=9.5, color=INK)
    _finish(figure, [axes], words, out, log_x=False)


def _panels(number: int, columns: int) -> tuple["Figure", list["Axes"]]:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    columns = min(columns, number)
    rows = -(-number // columns)
    figure = Figure(
        figsize=(max(6.5, 4.1 * columns), 1.5 + 3.1 * rows), dpi=DPI, facecolor="white", layout="constrained"
    )
    FigureCanvasAgg(figure)
    axes = [figure.add_subplot(rows, columns, i + 1) for i in range(number)]
    return figure, axes


def _line(axes: "Axes", curve: Curve, look: tuple[str, str]) -> None:
    colour, mark = look
    ours = curve.name == OURS
    if curve.marks:
        alone = len(curve.x) == 1
        axes.scatter(curve.x, curve.y, s=90 if alone else 18, color=colour, marker=mark, label=curve.name, zorder=4)
        return
    axes.plot(
        curve.x,
        curve.y,
        color=colour,
        marker=None if curve.steps else mark,
        markersize=5.5,
        linewidth=2.4 if ours else 1.4,
        label=curve.name,
        zorder=3 if ours else 2,
        clip_on=False,  # marks on an axis stay whole
    )


def _plain(axes: "Axes") -> None:
    axes.grid(color=FAINT, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=8.5, length=0, colors=SOFT)
    for spine in axes.spines.values():
        spine.set_visible(False)


def _finish(figure: "Figure", grid: Sequence["Axes"], words: Words, out: Path, log_x: bool) -> None:
    from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

    for axes in grid:
        if log_x:
            axes.xaxis.set_major_locator(LogLocator(base=10, subs=(1.0, 2.0, 5.0), numticks=12))
            axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,g}"))
            axes.xaxis.set_minor_formatter(NullFormatter())
            axes.tick_params(axis="x", which="minor", length=0)
    handles = {label: handle for axes in grid for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)}
    width = figure.get_figwidth()
    figure.suptitle(fill(words.title, int(TITLE_CHARS * width)), x=0.01, ha="left", fontsize=14, color=INK)
    columns = sum(axes.get_subplotspec().rowspan.start == 0 for axes in grid)  # type: ignore[union-attr]
    for i, axes in enumerate(grid):
        if i + columns >= len(grid):
            axes.set_xlabel(words.x, fontsize=9.5, color=SOFT)
        if i % columns == 0:
            axes.set_ylabel(words.y, fontsize=9.5, color=SOFT)
    if len(handles) > 1:
        figure.legend(
            handles.values(),
            handles.keys(),
            loc="outside lower center",
            ncols=max(1, min(int(width / (max(map(len, handles)) / LEGEND_CHARS + LEGEND_MARK)), len(handles))),
            frameon=False,
            fontsize=9.5,
            labelcolor=INK,
        )
    out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(out)
