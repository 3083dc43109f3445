"""Groups of models by distance: average-linkage hierarchical clustering, cut into clusters. Loads scipy."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]


@dataclass(frozen=True)
class Cluster:
    """Models that belong together.

    Attributes:
        medoid: the member with the least sum of distances to the others.
        members: rows, the medoid first, then by distance to it.
        radius: distance from the medoid to the farthest member.
    """

    medoid: int
    members: tuple[int, ...]
    radius: float


def pairwise(z: Floats) -> NDArray[np.float64]:
    """Euclidean distances between the rows of z, (M, d) -> (M, M), float64; exactly symmetric, zero diagonal."""
    from scipy.spatial.distance import pdist, squareform

    return np.asarray(squareform(pdist(z.astype(np.float64))))


def linkage(distances: Floats) -> NDArray[np.float64]:
    """The tree of an average-linkage (UPGMA) clustering, in scipy's form: M - 1 merges of (left, right, distance, size).

    Args:
        distances: (M, M), symmetric, zero diagonal; M >= 2.

    Raises:
        ValueError: fewer than two models, or the matrix is not square, symmetric and zero on its diagonal.
    """
    from scipy.cluster.hierarchy import linkage as merge
    from scipy.spatial.distance import squareform

    if len(distances) < 2:
        raise ValueError(f"expected at least two models to cluster, got {len(distances)}")
    tree: NDArray[np.float64] = merge(squareform(distances.astype(np.float64)), method="average", optimal_ordering=True)
    return tree


def cut(tree: NDArray[np.float64], *, number: int | None = None, distance: float | None = None) -> NDArray[np.int64]:
    """Cluster of each model, (M,), from 0, numbered in the order in which models first appear.

    Args:
        tree: of `linkage`.
        number: exactly so many clusters, merges undone from the last one; 1 to M.
        distance: instead, undo the merges of clusters that are further apart on average.

    Raises:
        ValueError: neither or both are given, or one is out of range.
    """
    models = len(tree) + 1
    if number is not None and distance is None:
        if not 1 <= number <= models:
            raise ValueError(f"number of clusters must be from 1 to {models}, got {number}")
        merges = models - number
    elif distance is not None and number is None:
        if not distance >= 0:
            raise ValueError(f"distance must be 0 or more, got {distance}")
        merges = int((tree[:, 2] <= distance).sum())
    else:
        raise ValueError("expected either a number of clusters or a distance")
    root = list(range(models + merges))
    for i, (left, right) in enumerate(tree[:merges, :2].astype(np.int64).tolist()):
        root[left] = root[right] = models + i
    labels = [_root_of(root, m) for m in range(models)]
    order = {label: i for i, label in enumerate(dict.fromkeys(labels))}
    return np.array([order[label] for label in labels], np.int64)


def silhouette(distances: Floats, labels: NDArray[np.int64]) -> float:
    """How clearly models lie nearer to their own cluster than to the next one (Rousseeuw 1987): mean of (b - a) / max(a, b).

    a is a model's mean distance to the others of its cluster, b the least mean distance to another cluster; a model that is
    alone counts 0.

    Args:
        distances: (M, M).
        labels: (M,), from 0, at least two clusters.
    """
    member = np.eye(int(labels.max()) + 1)[labels]  # (M, clusters)
    sizes = member.sum(axis=0)
    sums = distances @ member
    rows = np.arange(len(labels))
    own = sums[rows, labels] / np.maximum(sizes[labels] - 1, 1)
    others = sums / sizes
    others[rows, labels] = np.inf
    nearest = others.min(axis=1)
    widths = (nearest - own) / np.maximum(np.maximum(own, nearest), 1e-12)
    return float(np.where(sizes[labels] > 1, widths, 0.0).mean())


def best_number(tree: NDArray[np.float64], distances: Floats, most: int = 20) -> int:
    """The number of clusters, from 2 to `most`, whose cut has the highest silhouette; the smallest of equals.

    Splitting one outlier off the rest is a clear cut that says little: where there is a cut whose largest cluster holds at
    most half of the models, only such cuts count.
    """
    cuts = {n: cut(tree, number=n) for n in range(2, min(most, len(distances) - 1) + 1)}
    balanced = [n for n, labels in cuts.items() if np.bincount(labels).max() <= len(labels) / 2]
    return max(balanced or cuts, key=lambda n: silhouette(distances, cuts[n]), default=min(2, len(distances)))


def clusters(labels: NDArray[np.int64], distances: Floats) -> list[Cluster]:
    """Medoid and members of each cluster; the largest cluster first, equals by their first member.

    Args:
        labels: (M,), from 0.
        distances: (M, M).
    """
    groups = [np.flatnonzero(labels == label) for label in range(int(labels.max()) + 1)]
    return [_cluster(group, distances) for group in sorted(groups, key=lambda group: (-len(group), group[0]))]


def _cluster(group: NDArray[np.int64], distances: Floats) -> Cluster:
    within = distances[np.ix_(group, group)]
    to_medoid = within[within.sum(axis=1).argmin()]
    order = np.argsort(to_medoid, kind="stable")
    return Cluster(int(group[order[0]]), tuple(group[order].tolist()), float(to_medoid.max()))


def _root_of(parents: Sequence[int], node: int) -> int:
    while parents[node] != node:
        node = parents[node]
    return node
