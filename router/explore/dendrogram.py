"""Draws the tree of a clustering. Loads matplotlib and scipy inside."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from router.explore.style import COLOURS, GREY, INK, SMALL, SOFT, new_figure, plain, set_title

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LINE = 0.18  # inches per model


def draw_dendrogram(
    tree: NDArray[np.float64], models: Sequence[str], labels: NDArray[np.int64], title: str
) -> "Figure":
    """The tree of a clustering, one leaf per line, each cluster in its colour.

    Args:
        tree: of `router.explore.clusters.linkage`.
        labels: cluster of each model, (M,), from `router.explore.clusters.cut_tree`.
    """
    from scipy.cluster.hierarchy import dendrogram

    figure = new_figure(1.6 + LINE * len(models))
    axes = figure.add_subplot()
    shape = dendrogram(tree, no_plot=True)
    leaves: list[int] = shape["leaves"]
    height = _height(tree, labels)
    shade = {label: COLOURS[i % len(COLOURS)] for i, label in enumerate(dict.fromkeys(labels[leaves].tolist()))}
    for across, along in zip(shape["icoord"], shape["dcoord"], strict=True):
        # scipy puts leaf i at 10 i + 5.
        inside = max(along) <= height
        colour = shade[int(labels[leaves[int(min(across) // 10)]])] if inside else GREY
        axes.plot(along, across, color=colour, linewidth=1.8, solid_joinstyle="miter", solid_capstyle="butt")
    plain(axes)
    axes.grid(visible=False, axis="y")
    axes.set_yticks([10 * i + 5 for i in range(len(models))], [models[leaf] for leaf in leaves], color=INK)
    for tick in axes.get_yticklabels():
        tick.set_parse_math(False)
    axes.set_ylim(0, 10 * len(models))
    axes.set_xlim(float(tree[-1, 2]) * 1.02 or 1.0, 0)
    axes.locator_params(axis="x", nbins=5)
    axes.yaxis.tick_right()
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel(
        "average distance between the models that are joined;\na colour is a cluster, grey joins clusters",
        fontsize=SMALL,
        color=SOFT,
    )
    set_title(figure, title)
    return figure


def _height(tree: NDArray[np.float64], labels: NDArray[np.int64]) -> float:
    """The distance of the last merge inside a cluster; -1 if every model is a cluster."""
    merges = len(labels) - (int(labels.max()) + 1)
    return float(tree[merges - 1, 2]) if merges else -1.0
