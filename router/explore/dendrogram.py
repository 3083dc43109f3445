"""Draws the tree of a clustering as a PNG. Loads matplotlib and scipy inside."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from router.explore.style import COLOURS, DPI, FAINT, GREY, INK


def draw_dendrogram(
    tree: NDArray[np.float64], models: Sequence[str], labels: NDArray[np.int64], out: Path, title: str
) -> None:
    """Writes the tree of a clustering as a PNG, one leaf per line, each cluster in its colour.

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
    shape = dendrogram(tree, no_plot=True)
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
    """The distance of the last merge inside a cluster; -1 if every model is a cluster."""
    merges = len(labels) - (int(labels.max()) + 1)
    return float(tree[merges - 1, 2]) if merges else -1.0
