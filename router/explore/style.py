"""How every picture looks: one palette, one size of page and text, titles and legends that fit. Loads matplotlib inside."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.text import Text

# Found by a search for the largest least difference (CIEDE2000) of any two, with grey and ink, in full colour vision, protanopia
# and deuteranopia: at least 13. The first is for what Locus does by itself. tests/router/explore/test_style.py measures it.
COLOURS = ("#4477aa", "#e42269", "#276749", "#a4b33f", "#5cb4d9", "#9f0e6c", "#aa6d03", "#8e77ff", "#a60f0e", "#340ffd")
MARKS = "os^DvPX<>h"  # one per colour, so that nothing is read by colour alone
GREY = "#8a919c"
INK, FAINT = "#22262e", "#d9dde3"
SOFT = "#5b6270"  # text that only explains
DPI = 150
WIDTH = 8.0  # inches; the text stays readable where a page shows the picture 600 pixels wide
SMALL, PLAIN, TITLE = 9.8, 10.5, 13.5  # points


def new_figure(height: float) -> "Figure":
    """An empty page, `WIDTH` wide; `height` in inches."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH, height), dpi=DPI, facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def set_title(figure: "Figure", text: str) -> None:
    """Writes the finding above everything, on as many lines as it needs, of about equal lengths."""
    title = figure.suptitle("", x=0.015, ha="left", fontsize=TITLE, color=INK)
    title.set_parse_math(False)
    pixels = 0.96 * figure.bbox.width
    lines = _lines(title, text, pixels)
    while pixels > 0 and len(narrower := _lines(title, text, pixels)) == len(lines):
        lines, pixels = narrower, pixels - 0.02 * figure.bbox.width
    title.set_text("\n".join(lines))


def set_legend(figure: "Figure", handles: Mapping[str, "Artist"]) -> None:
    """A legend below everything, in as many columns as the page is wide enough for. None for a single handle."""
    if len(handles) < 2:
        return
    for columns in range(len(handles), 0, -1):
        legend = figure.legend(
            handles.values(),
            handles.keys(),
            loc="outside lower center",
            ncols=columns,
            frameon=False,
            fontsize=PLAIN,
            labelcolor=INK,
            columnspacing=1.5,
        )
        if legend.get_window_extent().width <= 0.98 * figure.bbox.width or columns == 1:
            return
        legend.remove()


def plain(axes: "Axes") -> None:
    """A faint grid, no frame, and small numbers."""
    axes.grid(color=FAINT, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=SMALL, length=0, colors=SOFT)
    for spine in axes.spines.values():
        spine.set_visible(False)


def save(figure: "Figure", out: Path) -> None:
    """Writes a PNG that has its title in its description too; makes the folders above it."""
    title = figure.get_suptitle().replace("\n", " ")
    out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(out, metadata={"Title": title})


def _lines(title: "Text", text: str, pixels: float) -> list[str]:
    """A title in lines of a width; a longer word has its own."""
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        title.set_text(longer)
        if lines[-1] and title.get_window_extent().width > pixels:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines
