"""Groups models by distance: average-linkage hierarchical clustering, cut into clusters. Loads scipy and scikit-learn inside."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]


@dataclass(frozen=True)
class Cluster:
    """A group of models.

    Attributes:
        medoid: the member with the least sum of distances to the others.
        members: rows of the space, the medoid first, then by distance to it.
        radius: distance from the medoid to the farthest member.
    """

    medoid: int
    members: tuple[int, ...]
    radius: float


def pairwise_distances(z: Floats) -> NDArray[np.float64]:
    """Euclidean distances between the rows of z, (M, d) -> (M, M), float64; exactly symmetric, zero diagonal.

    By numpy, so that commands which only need distances run without scipy.
    """
    points = z.astype(np.float64)
    return np.stack([np.linalg.norm(points - point, axis=1) for point in points])


def linkage(distances: Floats) -> NDArray[np.float64]:
    """The tree of an average-linkage (UPGMA) clustering, in scipy's form: M - 1 merges of (left, right, distance, size).

    Args:
        distances: (M, M), symmetric, zero diagonal; M >= 2.

    Raises:
        ValueError: fewer than two models, or the matrix is not square, symmetric and zero on its diagonal.
    """
    from scipy.cluster.hierarchy import linkage as scipy_linkage
    from scipy.spatial.distance import squareform

    if len(distances) < 2:
        raise ValueError(f"expected at least two models to cluster, got {len(distances)}")
    condensed = squareform(distances.astype(np.float64))
    tree: NDArray[np.float64] = scipy_linkage(condensed, method="average", optimal_ordering=True)
    return tree


def cut_tree(
    tree: NDArray[np.float64], *, number: int | None = None, distance: float | None = None
) -> NDArray[np.int64]:
    """The cluster of each model, (M,), from 0, numbered in the order in which models first appear.

    Args:
        tree: of `linkage`.
        number: the exact number of clusters, 1 to M.
        distance: instead of `number`: clusters whose average distance is at most this are merged.

    Raises:
        ValueError: neither or both are given, or one is out of range.
    """
    from scipy.cluster import hierarchy

    models = len(tree) + 1
    if number is not None and distance is None:
        if not 1 <= number <= models:
            raise ValueError(f"number of clusters must be from 1 to {models}, got {number}")
        # Not fcluster: where several merges have one distance, it gives fewer clusters than asked for.
        labels = hierarchy.cut_tree(tree, n_clusters=number)[:, 0].tolist()
    elif distance is not None and number is None:
        if not distance >= 0:
            raise ValueError(f"distance must be 0 or more, got {distance}")
        labels = hierarchy.fcluster(tree, distance, "distance").tolist()
    else:
        raise ValueError("expected either a number of clusters or a distance")
    order = {label: i for i, label in enumerate(dict.fromkeys(labels))}
    return np.array([order[label] for label in labels], np.int64)


def best_cluster_count(tree: NDArray[np.float64], distances: Floats, most: int = 20) -> int:
    """The number of clusters, from 2 to `most`, whose cut has the highest silhouette (Rousseeuw 1987); the least of equals.

    A cut that only separates one outlier has a high silhouette but says little. So if there is a cut whose largest cluster
    holds at most half of the models, only such cuts are compared.
    """
    from sklearn.metrics import silhouette_score

    cuts = {n: cut_tree(tree, number=n) for n in range(2, min(most, len(distances) - 1) + 1)}
    balanced = [n for n, labels in cuts.items() if np.bincount(labels).max() <= len(labels) / 2]
    scores = {n: float(silhouette_score(distances, cuts[n], metric="precomputed")) for n in balanced or cuts}
    return max(scores, key=lambda n: scores[n], default=min(2, len(distances)))


def clusters(labels: NDArray[np.int64], distances: Floats) -> list[Cluster]:
    """The medoid and members of each cluster; the largest cluster first, equals by their first member.

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
