"""Fits the query features ψ on the training queries: scales of the surface statistics, domain classifier and kernel."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from router.data.dataset import Dataset
from router.data.pools import source_of
from router.errors import ArtifactError
from router.model.anchors import Anchors
from router.model.features import FeatureMap, kernel, standardised
from router.train.domains import Classifier, Domains, train_classifier

STATE = "train-state.npz"
KERNEL_DIM = 512  # decorrelated kernel features at most
KERNEL_FLOOR = (
    3e-3  # smaller eigenvalues are dropped: they contain rounding errors, and 1 / sqrt(value) would amplify them
)


def fit_feature_map(
    data: Dataset,
    q: NDArray[np.float32],
    text_dim: int,
    anchors: Anchors,
    domains: Domains,
    seed: int,
    out: Path,
    progress: Callable[[int, str], None],
) -> FeatureMap:
    """The feature map of split `train`.

    Args:
        q: query encodings, (Q, d_q), float32.
        text_dim: number of text columns in `q`.
        anchors: the anchor queries, (A, d_q).
        domains: classes of the classifier.
        seed: of the classifier.
        out: folder in which the trained classifier is kept.
        progress: called with epoch and loss after each epoch.

    Raises:
        ArtifactError: `out` holds the state of a run with other data or another seed.
    """
    train = data.where("train")
    surface = q[train, text_dim:]  # (n, S)
    mean, scale = (
        surface.mean(axis=0),
        surface.std(axis=0) + np.float32(1e-3),
    )  # (S,); a constant column does not divide by 0
    points = anchors.q.astype(np.float16).astype(np.float32)  # (A, d_q), with the precision that the checkpoint keeps
    projection = nystrom_projection(kernel(standardised(points, text_dim, mean, scale), text_dim))
    labelled = train[domains.of_query[train] >= 0]
    classifier = _classifier(
        standardised(q[labelled], text_dim, mean, scale),
        domains.of_query[labelled],
        len(domains.names),
        f"{data.hash} {len(q)} {q.shape[1]} {seed}",
        seed,
        out,
        progress,
    )
    return FeatureMap(
        text_dim, mean, scale, points, projection, **vars(classifier), parent=domains.parent, source=_sources(domains)
    )


def _sources(domains: Domains) -> NDArray[np.int64]:
    """Index of each benchmark's source, (B,), sources in alphabetical order."""
    names = np.array([source_of(name) for name in domains.benchmarks])
    return np.unique(names, return_inverse=True)[1].astype(np.int64)


def nystrom_projection(gram: NDArray[np.float32]) -> NDArray[np.float32]:
    """Closeness to the anchors -> decorrelated kernel features (Nyström): V Λ^(-1/2) of the kernel matrix K = V Λ Vᵀ.

    The inner product of two queries' features is then the kernel between them, as far as the anchors can express it.

    Args:
        gram: kernel between all pairs of anchors, (A, A), float32.

    Returns:
        (A, E), float32, E ≤ `KERNEL_DIM`, directions with the largest eigenvalues first.
    """
    values, vectors = np.linalg.eigh(gram.astype(np.float64))  # ascending, (A,) and (A, A)
    keep = np.flatnonzero(values > KERNEL_FLOOR)[::-1][:KERNEL_DIM]
    return np.asarray((vectors[:, keep] / np.sqrt(values[keep])).astype(np.float32))


def _classifier(
    x: NDArray[np.float32],
    labels: NDArray[np.int64],
    classes: int,
    identity: str,
    seed: int,
    out: Path,
    progress: Callable[[int, str], None],
) -> Classifier:
    """Trains the classifier and keeps it in `out`, or reads it from there.

    Args:
        x: standardised encodings, (n, d_q), float32.
        labels: domain of each, (n,), int64.
        classes: number of domains.
        identity: of data and settings; the state of a run with another one is refused.

    Raises:
        ArtifactError: the state in `out` has another identity.
    """
    state = out / STATE
    if state.exists():
        with np.load(state) as kept:
            if str(kept["identity"]) != identity:
                raise ArtifactError(f"{state}: the state of a run with other data or settings; remove it to start anew")
            return Classifier(*(kept[name] for name in Classifier.__dataclass_fields__))
    classifier = train_classifier(x, labels, classes, seed, lambda epoch, loss: progress(epoch, f"loss {loss:.3f}"))
    out.mkdir(parents=True, exist_ok=True)
    unfinished = state.with_suffix(".tmp")  # renamed when it is complete, so that a stopped run leaves no partial state
    with unfinished.open("wb") as file:
        np.savez(file, identity=np.array(identity), **vars(classifier))
    unfinished.replace(state)
    return classifier
