"""Pictures of a model space: a map in two dimensions, as PNG or as one HTML page, and a dendrogram. Loads matplotlib.

Nothing here computes embeddings or predictions; a picture shows what it is given.
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from router.model.space import Neighbor

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PAGE = Path(__file__).parent / "space.html"
DATA_MARK = "/*DATA*/"
# After Paul Tol's qualitative schemes; told apart on white and on near-black, and by most colour-blind readers.
COLOURS = ("#4477aa", "#ee6677", "#228833", "#ccaa33", "#33bbee", "#aa3377", "#ee7733", "#009988", "#8866cc", "#bb5544")
OTHERS = "other providers"
GREY = "#8a919c"
INK, FAINT = "#22262e", "#d9dde3"
DPI = 150


@dataclass(frozen=True)
class SpaceMap:
    """What a map shows of M models.

    Attributes:
        xy: places, (M, 2), as of `layout`.
        shown: share of the squared distances that the two dimensions show, in [0, 1].
        accuracy: benchmark -> predicted accuracy, (M,), in [0, 1].
        mean_accuracy: (M,), in [0, 1]; sets the size of a mark.
        neighbors: the nearest models of each.
        evaluations: how many each embedding was read from.
    """

    models: tuple[str, ...]
    xy: NDArray[np.float64]
    shown: float
    accuracy: Mapping[str, NDArray[np.float64]]
    mean_accuracy: NDArray[np.float64]
    neighbors: Sequence[Sequence[Neighbor]]
    evaluations: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle, in pixels."""

    left: float
    bottom: float
    right: float
    top: float

    def meets(self, other: "Box") -> bool:
        return (
            self.left < other.right and other.left < self.right and self.bottom < other.top and other.bottom < self.top
        )

    def within(self, other: "Box") -> bool:
        return (
            other.left <= self.left
            and self.right <= other.right
            and other.bottom <= self.bottom
            and self.top <= other.top
        )


def layout(distances: NDArray[np.floating]) -> tuple[NDArray[np.float64], float]:
    """Places in the plane whose distances approximate the given ones: classical multidimensional scaling (Torgerson 1952).

    For Euclidean distances this is PCA of the embeddings. An axis has no natural sign; here the longer tail points to the
    right, or up.

    Args:
        distances: (M, M), symmetric, zero diagonal.

    Returns:
        (M, 2), and the share of the squared distances that they show, in [0, 1].
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
    """Provider -> colour, the providers with most models first; what has no colour of its own is `OTHERS`.

    Up to ten providers that have several models get one; if all fit, so do those with a single one.
    """
    counts = Counter(provider(model) for model in models)
    ranked = sorted(counts, key=lambda name: (-counts[name], name.lower()))
    if len(ranked) > len(COLOURS):
        ranked = [name for name in ranked if counts[name] > 1][: len(COLOURS)]
    found = dict(zip(ranked, COLOURS, strict=False))
    return found if len(found) == len(counts) else found | {OTHERS: GREY}


def place_labels(
    marks: NDArray[np.float64], radii: NDArray[np.float64], sizes: NDArray[np.float64], bounds: Box
) -> list[Box | None]:
    """A place for each label near its mark, such that labels cover neither marks nor each other; None where there is none.

    Labels are placed in the order given, each at the nearest free of some places around its mark.

    Args:
        marks: centres, (M, 2).
        radii: (M,).
        sizes: width and height of each label, (M, 2).
        bounds: labels stay within.
    """
    taken = [Box(x - r, y - r, x + r, y + r) for (x, y), r in zip(marks.tolist(), radii.tolist(), strict=True)]
    placed: list[Box | None] = []
    for (x, y), radius, (width, height) in zip(marks.tolist(), radii.tolist(), sizes.tolist(), strict=True):
        free = None
        for dx, dy in _around(radius, width, height):
            box = Box(x + dx - width / 2, y + dy - height / 2, x + dx + width / 2, y + dy + height / 2)
            if box.within(bounds) and not any(box.meets(other) for other in taken):
                free = box
                taken.append(box)
                break
        placed.append(free)
    return placed


def draw_map(space: SpaceMap, out: Path, title: str) -> None:
    """Writes the map as a PNG: colour by provider, size by mean predicted accuracy, a label wherever one fits."""
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
    axes.tick_params(labelbottom=False, labelleft=False, length=0)
    axes.grid(color=FAINT, linewidth=0.6)
    axes.set_axisbelow(True)
    for spine in axes.spines.values():
        spine.set_visible(False)
    _legend(axes, space.models, palette)
    figure.canvas.draw()
    _label(axes, space, radii * DPI / 72, palette)
    out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(out)


def page(space: SpaceMap, title: str) -> str:
    """The map as one HTML page that needs nothing else: hover or search a model, zoom, light and dark."""
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
    # "<" cannot occur in the data as such, so no model name can close the script element.
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")
    return PAGE.read_text(encoding="utf-8").replace(DATA_MARK, text, 1)


def draw_dendrogram(
    tree: NDArray[np.float64], models: Sequence[str], labels: NDArray[np.int64], out: Path, title: str
) -> None:
    """Writes the tree of a clustering as a PNG, leaves downwards, the clusters in colour.

    Args:
        tree: of `router.explore.clusters.linkage`.
        labels: cluster of each model, (M,), from `router.explore.clusters.cut_tree`.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from scipy.cluster.hierarchy import dendrogram

    figure = Figure(figsize=(12, 1.6 + 0.2 * len(models)), dpi=DPI, facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    shape: dict[str, Any] = dendrogram(tree, no_plot=True)
    leaves: list[int] = shape["leaves"]
    height = _height(tree, labels)
    shade = {label: COLOURS[i % len(COLOURS)] for i, label in enumerate(dict.fromkeys(labels[leaves].tolist()))}
    for across, along in zip(shape["icoord"], shape["dcoord"], strict=True):
        # scipy puts leaf i at 10 i + 5.
        inside = max(along) <= height
        colour = shade[int(labels[leaves[int(min(across) // 10)]])] if inside else GREY
        axes.plot(along, across, color=colour, linewidth=1.6, solid_joinstyle="miter", solid_capstyle="butt")
    axes.set_yticks([10 * i + 5 for i in range(len(models))], [models[leaf] for leaf in leaves], fontsize=8.5)
    axes.set_ylim(0, 10 * len(models))
    axes.set_xlim(float(tree[-1, 2]) * 1.02, 0)
    axes.yaxis.tick_right()
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel("average distance between the models that are joined", fontsize=10, color="#5b6270")
    axes.set_title(title, loc="left", fontsize=15, color=INK, pad=12)
    axes.grid(axis="x", color=FAINT, linewidth=0.6)
    axes.set_axisbelow(True)
    for spine in axes.spines.values():
        spine.set_visible(False)
    out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(out)


def _height(tree: NDArray[np.float64], labels: NDArray[np.int64]) -> float:
    """The distance of the last merge that made the clusters; below 0 where every model is one."""
    merges = len(labels) - (int(labels.max()) + 1)
    return float(tree[merges - 1, 2]) if merges else -1.0


def _caption(space: SpaceMap) -> str:
    return (
        f"{len(space.models)} models. Near on the map is near in the space: two dimensions show {100 * space.shown:.0f}% of the "
        f"squared distances. Larger marks: higher mean predicted accuracy, {100 * space.mean_accuracy.min():.0f}% to "
        f"{100 * space.mean_accuracy.max():.0f}%."
    )


def _radii(accuracy: NDArray[np.float64], smallest: float, largest: float) -> NDArray[np.float64]:
    """Radius of each mark: linear between the least and the most accurate model."""
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
    """Writes names beside the marks, those in a crowd first, with a line to the mark where it is not close by.

    Args:
        radii: of the marks, pixels.
    """
    from matplotlib.patheffects import withStroke

    marks = np.asarray(axes.transData.transform(space.xy))
    order = _crowded_first(marks)
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


def _crowded_first(marks: NDArray[np.float64]) -> NDArray[np.int64]:
    """Order of marks by how many others are within about a label's length; the ones outside find a place anyway."""
    apart = np.linalg.norm(marks[:, None] - marks, axis=2)
    return np.argsort(-np.exp(-apart / 150).sum(axis=1), kind="stable")


def _around(radius: float, width: float, height: float) -> list[tuple[float, float]]:
    """Offsets of a label's centre from its mark, nearest first: rings of places, right and left of the mark before others."""
    places = []
    for ring in range(14):
        gap = radius + 2 + ring * 0.6 * height
        for step in range(16):
            angle = np.pi / 8 * ((step + 1) // 2 * (1 if step % 2 else -1))
            cos, sin = float(np.cos(angle)), float(np.sin(angle))
            places.append((cos * (gap + width / 2), sin * (gap + height / 2)))
    return places
