"""What makes a picture hard to read: cut or overlapping text, small text, axes without labels, a legend that is not whole."""

from itertools import combinations

from matplotlib.artist import Artist
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.ticker import FixedFormatter, FuncFormatter
from matplotlib.transforms import Bbox

SHOWN = 600  # pixels that a page shows a picture wide
LEAST = 10.0  # pixels of text there


def flaws(figure: Figure) -> list[str]:
    """One line per flaw."""
    figure.draw_without_rendering()
    unseen = _unseen(figure)
    every = [text for text in figure.findobj(Text) if isinstance(text, Text) and id(text) not in unseen]
    texts = [text for text in every if text.get_visible() and text.get_text().strip()]
    boxes = [(text.get_text(), text.get_window_extent()) for text in texts]
    page = figure.bbox.padded(0.5)
    found = [f"cut: {name!r}" for name, box in boxes if not _inside(box, page)]
    found += [f"overlap: {a!r} and {b!r}" for (a, x), (b, y) in combinations(boxes, 2) if _overlap(x, y)]
    scale = SHOWN / figure.get_figwidth() / 72
    found += [f"small: {text.get_text()!r}" for text in texts if text.get_fontsize() * scale < LEAST]
    if not figure.get_suptitle():
        found.append("no title")
    return found + _axis_flaws(figure) + [flaw for legend in figure.legends for flaw in _legend_flaws(figure, legend)]


def _axis_flaws(figure: Figure) -> list[str]:
    """Every axis is named: below the lowest axes, and beside them or on the axis by names of its own."""
    lowest = min(axes.get_position().y0 for axes in figure.axes)
    below = [axes for axes in figure.axes if axes.get_position().y0 < lowest + 0.01]
    found = [f"no horizontal label: {axes.get_title(loc='left')!r}" for axes in below if not axes.get_xlabel()]
    numbers = any(
        not isinstance(axes.yaxis.get_major_formatter(), FixedFormatter | FuncFormatter) for axes in figure.axes
    )
    beside = figure.get_supylabel() or all(axes.get_ylabel() for axes in figure.axes)
    return found + (["no vertical label"] if numbers and not beside else [])


def _legend_flaws(figure: Figure, legend: Artist) -> list[str]:
    box = legend.get_window_extent()
    found = [] if _inside(box, figure.bbox.padded(0.5)) else ["the legend is cut"]
    return found + [
        f"the legend is over {axes.get_title(loc='left')!r}"
        for axes in figure.axes
        if _overlap(box, axes.get_window_extent())
    ]


def _unseen(figure: Figure) -> set[int]:
    """The identities of tick labels that matplotlib keeps beyond the ends of an axis, or at its other side, and does not draw."""
    found = set()
    for axis in (axis for axes in figure.axes for axis in (axes.xaxis, axes.yaxis)):
        low, high = sorted(axis.get_view_interval())
        margin = 1e-9 * (high - low)
        for tick in (*axis.get_major_ticks(), *axis.get_minor_ticks()):
            outside = not low - margin <= tick.get_loc() <= high + margin
            found |= {id(label) for label in (tick.label1, tick.label2) if outside or not label.get_visible()}
    return found


def _inside(box: Bbox, page: Bbox) -> bool:
    return bool(page.x0 <= box.x0 and box.x1 <= page.x1 and page.y0 <= box.y0 and box.y1 <= page.y1)


def _overlap(a: Bbox, b: Bbox) -> bool:
    """By more than the empty border that a text has."""
    return bool(min(a.x1, b.x1) - max(a.x0, b.x0) > 1 and min(a.y1, b.y1) - max(a.y0, b.y0) > 2)
