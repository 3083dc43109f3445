"""Draws the map of a model space. Loads matplotlib inside."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from router.explore.label_placement import Box, place_labels, spread_out
from router.explore.space_map import OTHERS, SpaceMap, colours, provider, short_name
from router.explore.style import (
    DPI,
    GREY,
    INK,
    MARKS,
    SMALL,
    SOFT,
    WIDTH,
    new_figure,
    plain,
    set_legend,
    set_title,
)

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CLEAR = 0.8  # correlation from which on the title says so
SMALLEST, LARGEST = 1.8, 4.6  # radius of a mark, points
FARTHEST = 9.0  # pixels between a mark and its name without a line
GAP = (8.0, 2.0)  # pixels between names, beside and above each other


def draw_map(space: SpaceMap, source: str) -> "Figure":
    """The map: colour and mark by provider, size by mean predicted accuracy, and names where there is room.

    Args:
        source: what the embeddings come from, for the caption.
    """
    wide, high = np.ptp(space.xy, axis=0)
    figure = new_figure(2.4 + float(np.clip(WIDTH * high / max(wide, 1e-9), 4.0, 8.0)))
    axes = figure.add_subplot()
    radii = _radii(space.mean_accuracy)
    handles = _marks(axes, space, radii)
    plain(axes)
    axes.margins(0.07)
    axes.set_aspect("equal", adjustable="datalim")
    axes.locator_params(nbins=6)
    axes.set_ylabel("distance in the space", fontsize=SMALL, color=SOFT)
    axes.set_xlabel("\n" * 2, fontsize=SMALL)  # room for the caption, which tells how many names were placed
    set_title(figure, _finding(space))
    set_legend(figure, handles)
    figure.canvas.draw()
    named = _names(axes, space, radii * DPI / 72)
    axes.set_xlabel(_caption(space, named, source), fontsize=SMALL, color=SOFT)
    return figure


def _finding(space: SpaceMap) -> str:
    """The title: whether the map's first dimension is how good models are, else what the map shows of the distances."""
    known = len(space.models) > 2 and np.ptp(space.xy[:, 0]) > 0 and np.ptp(space.mean_accuracy) > 0
    r = float(np.corrcoef(space.xy[:, 0], space.mean_accuracy)[0, 1]) if known else 0.0
    if abs(r) < CLEAR:
        return f"{len(space.models)} models: the map shows {100 * space.explained:.0f}% of their squared distances"
    towards = "right" if r > 0 else "left"
    return (
        f"What sets {len(space.models)} models apart most is mean accuracy, higher to the {towards} (r = {abs(r):.2f})"
    )


def _caption(space: SpaceMap, named: int, source: str) -> str:
    accuracy = 100 * space.mean_accuracy
    return (
        f"distance in the space of {source}; two dimensions explain {100 * space.explained:.0f}% of the squared distances\n"
        f"larger marks: higher mean predicted accuracy, {accuracy.min():.0f}% to {accuracy.max():.0f}%\n"
        f"{named} of {len(space.models)} names have room"
    )


def _radii(accuracy: NDArray[np.float64]) -> NDArray[np.float64]:
    """The radius of each mark, (M,), points: linear in the accuracy."""
    spread = float(np.ptp(accuracy))
    share = (accuracy - accuracy.min()) / spread if spread > 0 else np.full(len(accuracy), 0.5)
    return np.asarray(SMALLEST + (LARGEST - SMALLEST) * share)


def _marks(axes: "Axes", space: SpaceMap, radii: NDArray[np.float64]) -> Mapping[str, "Artist"]:
    """Draws the models by provider, large marks first, and returns what the legend shows."""
    from matplotlib.lines import Line2D

    palette = colours(space.models)
    looks = {
        name: (colour, "o" if name == OTHERS else mark)
        for (name, colour), mark in zip(palette.items(), f"{MARKS}o", strict=False)
    }
    of_models = np.array([name if (name := provider(model)) in looks else OTHERS for model in space.models])
    for name in (OTHERS, *(name for name in looks if name != OTHERS)):
        colour, mark = looks.get(name, (GREY, "o"))
        members = np.flatnonzero(of_models == name)
        members = members[np.argsort(-radii[members], kind="stable")]  # so that no mark hides another
        x, y = space.xy[members].T
        axes.scatter(
            x, y, s=(2 * radii[members]) ** 2, c=colour, marker=mark, linewidths=0.5, edgecolors="white", zorder=3
        )
    return {
        name: Line2D([], [], marker=mark, linestyle="", color=colour, markersize=7)
        for name, (colour, mark) in looks.items()
    }


def _names(axes: "Axes", space: SpaceMap, radii: NDArray[np.float64]) -> int:
    """Writes names beside the marks, with a line to a mark that is not close, and returns their number.

    Args:
        radii: of the marks, pixels.
    """
    from matplotlib.patheffects import withStroke

    marks = np.asarray(axes.transData.transform(space.xy))
    order = spread_out(marks)
    halo = [withStroke(linewidth=2.5, foreground="white")]
    texts = [
        axes.text(0, 0, short_name(space.models[i]), fontsize=SMALL, color=INK, path_effects=halo, parse_math=False)
        for i in order
    ]
    extents = [text.get_window_extent() for text in texts]
    sizes = np.array([[extent.width, extent.height] for extent in extents]) + GAP
    area = axes.get_window_extent()
    places = place_labels(marks[order], radii[order], sizes, Box(area.x0, area.y0, area.x1, area.y1))
    back = axes.transData.inverted()
    for i, text, box in zip(order, texts, places, strict=True):
        if box is None:
            text.remove()
            continue
        centre = ((box.left + box.right) / 2, (box.bottom + box.top) / 2)
        text.set(position=back.transform(centre), ha="center", va="center", zorder=4)
        nearest = np.clip(marks[i], (box.left, box.bottom), (box.right, box.top))
        if np.hypot(*(nearest - marks[i])) > radii[i] + FARTHEST:
            ends = back.transform(np.array([marks[i], nearest]))
            axes.plot(*ends.T, color=SOFT, alpha=0.7, linewidth=0.7, zorder=2, scalex=False, scaley=False)
    return sum(box is not None for box in places)
