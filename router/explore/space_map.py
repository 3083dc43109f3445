"""A map of a model space in two dimensions, as a PNG or as one HTML page. Loads matplotlib inside, for the PNG only.

Computes no embeddings and no predictions: it shows those of `SpaceMap`.
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from router.explore.label_placement import Box, crowded_first, place_labels
from router.explore.style import COLOURS, DPI, FAINT, GREY, INK
from router.model.space import Neighbor

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PAGE = Path(__file__).parent / "space.html"
DATA_MARK = "/*DATA*/"
OTHERS = "other providers"


@dataclass(frozen=True)
class SpaceMap:
    """The content of a map of M models.

    Attributes:
        xy: positions, (M, 2), of `project_to_plane`.
        explained: share of the squared distances that the two dimensions explain, in [0, 1].
        accuracy: benchmark -> predicted accuracy, (M,), in [0, 1].
        mean_accuracy: (M,), in [0, 1]; sets the size of a mark.
        neighbors: the nearest models of each.
        evaluations: number of evaluations that each embedding was computed from.
    """

    models: tuple[str, ...]
    xy: NDArray[np.float64]
    explained: float
    accuracy: Mapping[str, NDArray[np.float64]]
    mean_accuracy: NDArray[np.float64]
    neighbors: Sequence[Sequence[Neighbor]]
    evaluations: tuple[int, ...]


def project_to_plane(distances: NDArray[np.floating]) -> tuple[NDArray[np.float64], float]:
    """Positions in the plane whose distances approximate the given ones: classical multidimensional scaling (Torgerson 1952).

    For Euclidean distances this is PCA of the embeddings. The sign of an axis is arbitrary: the longer tail points right, or up.

    Args:
        distances: (M, M), symmetric, zero diagonal.

    Returns:
        (M, 2), and the share of the squared distances that they explain, in [0, 1].
    """
    centring = np.eye(len(distances)) - 1 / len(distances)
    values, vectors = np.linalg.eigh(-0.5 * centring @ distances.astype(np.float64) ** 2 @ centring)
    values = np.maximum(values[::-1], 0.0)
    xy = np.zeros((len(distances), 2))
    dimensions = min(2, len(distances))
    xy[:, :dimensions] = vectors[:, ::-1][:, :dimensions] * np.sqrt(values[:dimensions])
    xy *= np.where((xy**3).sum(axis=0) < 0, -1.0, 1.0)
    return xy, float(values[:2].sum() / values.sum()) if values.sum() > 0 else 1.0


def provider(model: str) -> str:
    """ "openai/gpt-4o" -> "openai"; a name without a provider is its own."""
    return model.partition("/")[0]


def short_name(model: str) -> str:
    """ "openai/gpt-4o" -> "gpt-4o" """
    return model.partition("/")[2] or model


def colours(models: Sequence[str]) -> dict[str, str]:
    """Provider -> colour, the providers with most models first. `OTHERS` stands for providers without a colour of their own.

    Up to ten providers with several models get a colour. If all providers fit, those with a single model get one too.
    """
    counts = Counter(provider(model) for model in models)
    ranked = sorted(counts, key=lambda name: (-counts[name], name.lower()))
    if len(ranked) > len(COLOURS):
        ranked = [name for name in ranked if counts[name] > 1][: len(COLOURS)]
    found = dict(zip(ranked, COLOURS, strict=False))
    return found if len(found) == len(counts) else found | {OTHERS: GREY}


def draw_map(space: SpaceMap, out: Path, title: str) -> None:
    """Writes the map as a PNG: colour by provider, size by mean predicted accuracy, and a label if there is room for it."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    wide, high = np.ptp(space.xy, axis=0)
    height = float(np.clip(2 + 14 * high / max(wide, 1e-9), 7.0, 12.0))
    figure = Figure(figsize=(15, height), dpi=DPI, facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    palette = colours(space.models)
    radii = _radii(space.mean_accuracy, 3.0, 9.0)  # points
    large_first = np.argsort(-radii, kind="stable")  # so that no mark hides another
    fill = [palette.get(provider(space.models[i]), GREY) for i in large_first]
    x, y = space.xy[large_first].T
    axes.scatter(x, y, s=(2 * radii[large_first]) ** 2, c=fill, linewidths=0.8, edgecolors="white", zorder=3)
    axes.margins(0.09)
    axes.set_aspect("equal", adjustable="datalim")
    axes.set_title(title, loc="left", fontsize=15, color=INK, pad=14)
    axes.set_xlabel(_caption(space), fontsize=10, color="#5b6270", loc="left", labelpad=10)
    _style_axes(axes)
    _legend(axes, space.models, palette)
    figure.canvas.draw()
    _label(axes, space, radii * DPI / 72, palette)
    out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(out)


def _style_axes(axes: "Axes") -> None:
    axes.tick_params(labelbottom=False, labelleft=False, length=0)
    axes.grid(color=FAINT, linewidth=0.6)
    axes.set_axisbelow(True)
    for spine in axes.spines.values():
        spine.set_visible(False)


def html_page(space: SpaceMap, title: str) -> str:
    """The map as one self-contained HTML page: hover over a model, search, zoom; light and dark."""
    data = {
        "title": title,
        "caption": _caption(space),
        "colours": colours(space.models),
        "others": OTHERS,
        "benchmarks": list(space.accuracy),
        "models": [
            {
                "name": model,
                "provider": provider(model),
                "x": round(float(space.xy[i, 0]), 5),
                "y": round(float(space.xy[i, 1]), 5),
                "mean": round(float(space.mean_accuracy[i]), 4),
                "evaluations": space.evaluations[i],
                "accuracy": [round(float(column[i]), 4) for column in space.accuracy.values()],
                "neighbors": [[n.model, round(n.distance, 4)] for n in space.neighbors[i]],
            }
            for i, model in enumerate(space.models)
        ],
    }
    # "<" is escaped, so that no model name can close the script element.
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")
    return PAGE.read_text(encoding="utf-8").replace(DATA_MARK, text, 1)


def _caption(space: SpaceMap) -> str:
    accuracy = space.mean_accuracy
    return (
        f"{len(space.models)} models. Models that are near on the map are near in the space: two dimensions explain "
        f"{100 * space.explained:.0f}% of the squared distances. Larger marks: higher mean predicted accuracy, "
        f"{100 * accuracy.min():.0f}% to {100 * accuracy.max():.0f}%."
    )


def _radii(accuracy: NDArray[np.float64], smallest: float, largest: float) -> NDArray[np.float64]:
    """The radius of each mark, (M,): linear in the accuracy, between `smallest` and `largest`."""
    spread = float(np.ptp(accuracy))
    share = (accuracy - accuracy.min()) / spread if spread > 0 else np.full(len(accuracy), 0.5)
    return np.asarray(smallest + (largest - smallest) * share)


def _legend(axes: "Axes", models: Sequence[str], palette: Mapping[str, str]) -> None:
    from matplotlib.lines import Line2D

    present = {provider(model) for model in models}
    handles = [
        Line2D([], [], marker="o", linestyle="", color=colour, markersize=8, label=name)
        for name, colour in palette.items()
        if name in present or name == OTHERS
    ]
    axes.legend(
        handles=handles, frameon=False, fontsize=9.5, loc="upper left", bbox_to_anchor=(1.0, 1.0), labelcolor=INK
    )


def _label(axes: "Axes", space: SpaceMap, radii: NDArray[np.float64], palette: Mapping[str, str]) -> None:
    """Writes names beside the marks, with a line to a mark that is not close.

    Args:
        radii: of the marks, pixels.
    """
    from matplotlib.patheffects import withStroke

    marks = np.asarray(axes.transData.transform(space.xy))
    order = crowded_first(marks)
    halo = [withStroke(linewidth=2.5, foreground="white")]
    texts = [axes.text(0, 0, short_name(space.models[i]), fontsize=8, color=INK, path_effects=halo) for i in order]
    extents = [text.get_window_extent() for text in texts]
    sizes = np.array([[extent.width, extent.height] for extent in extents])
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
        if np.hypot(*(nearest - marks[i])) > radii[i] + 6:
            colour = palette.get(provider(space.models[i]), GREY)
            ends = back.transform(np.array([marks[i], nearest]))
            axes.plot(*ends.T, color=colour, alpha=0.7, linewidth=0.7, zorder=2, scalex=False, scaley=False)
