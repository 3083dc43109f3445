"""Anchor queries: a small sample of the training queries that travels with a checkpoint, as encodings and benchmark names.

They stand for the data where there is none: what a model is expected to reach on a benchmark is its mean P(correct) over that
benchmark's anchors. No text of a query is kept.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from router.data.dataset import Queries
from router.errors import ArtifactError, DataError
from router.model.checkpoint import Checkpoint

NUMBER = 1024
AT_LEAST = 16  # of each benchmark that has so many
WEIGHTS_KEY = "anchors.q"
CARD_KEY = "anchors"


@dataclass(frozen=True)
class Anchors:
    """A queries, those of one benchmark next to each other.

    Attributes:
        q: encodings, (A, d_q), float32.
        benchmarks: (A,), str.
    """

    q: NDArray[np.float32]
    benchmarks: NDArray[np.str_]

    def of(self, benchmarks: Collection[str]) -> "Anchors":
        """Only the anchors of these benchmarks.

        Raises:
            DataError: names every benchmark that no anchor is of, and those that there are.
        """
        known = dict.fromkeys(self.benchmarks.tolist())
        unknown = [name for name in benchmarks if name not in known]
        if unknown:
            raise DataError(
                f"no anchor queries of benchmark {', '.join(unknown)}; there are {', '.join(sorted(known))}"
            )
        keep = np.isin(self.benchmarks, list(benchmarks))
        return Anchors(self.q[keep], self.benchmarks[keep])

    def counts(self) -> dict[str, int]:
        """Number of anchors of each benchmark, in the order of the rows: what a card says under `anchors`."""
        names, counts = np.unique(self.benchmarks, return_counts=True)
        return dict(zip(names.tolist(), counts.tolist(), strict=True))

    def means(self, p: NDArray[np.floating]) -> dict[str, NDArray[np.float64]]:
        """Expected accuracy on each benchmark: the mean over its anchors.

        Args:
            p: P(correct) of M models on the anchors, (A, M).

        Returns:
            benchmark -> (M,), float64, in [0, 1].
        """
        names = dict.fromkeys(self.benchmarks.tolist())
        return {name: p[self.benchmarks == name].mean(axis=0, dtype=np.float64) for name in names}

    def weights(self, traffic: Mapping[str, float]) -> NDArray[np.float64]:
        """What each anchor counts when benchmarks count as `traffic` says: (A,), summing to 1.

        Each benchmark's weight is divided evenly among its anchors; benchmarks that `traffic` does not name count nothing.

        Raises:
            DataError: a benchmark has no anchors, or no weight is above 0.
        """
        names, inverse, counts = np.unique(self.benchmarks, return_inverse=True, return_counts=True)
        self.of(traffic)
        weights = np.array([traffic.get(name, 0.0) for name in names.tolist()])[inverse] / counts[inverse]
        if not weights.sum() > 0:
            raise DataError("no benchmark has a weight above 0")
        return np.asarray(weights / weights.sum())


def choose_anchors(data: Queries, q: NDArray[np.float32], number: int = NUMBER, seed: int = 0) -> Anchors:
    """Draws anchors from split `train`: of each benchmark a share by the square root of its size, at random within it.

    Large benchmarks are shortened and small ones not lost: each gives at least 16, or all that it has. Where `number` is
    too small for that, all give equally many.

    Args:
        q: encodings of all queries, (Q, d_q), in the order of the data.
        number: how many; a smaller split `train` gives all of its queries.
        seed: same seed, same anchors.

    Raises:
        DataError: split `train` is empty.
    """
    train = data.where("train")
    if not len(train):
        raise DataError("split train has no query to take anchors from")
    names, sizes = np.unique(data.benchmarks[train], return_counts=True)
    rng = np.random.default_rng((seed, number))
    chosen = []
    for name, count in zip(names, shares(sizes, number), strict=True):
        chosen.append(np.sort(rng.permutation(train[data.benchmarks[train] == name])[:count]))
    rows = np.concatenate(chosen)
    return Anchors(np.ascontiguousarray(q[rows], np.float32), data.benchmarks[rows])


def unpack(checkpoint: Checkpoint) -> Anchors:
    """The anchors of a checkpoint.

    Raises:
        ArtifactError: it has none, or its card and its arrays do not fit.
    """
    q, counts = checkpoint.weights.get(WEIGHTS_KEY), checkpoint.card.get(CARD_KEY)
    if q is None or counts is None:
        raise ArtifactError(
            f"{checkpoint.folder}: this checkpoint has no anchor queries, which this command needs; `locus train` adds them"
        )
    if not isinstance(counts, Mapping) or not all(isinstance(n, int) and n > 0 for n in counts.values()):
        raise ArtifactError(f"{checkpoint.folder}: {CARD_KEY} in the card is {counts!r}, expected benchmark: number")
    if q.ndim != 2 or len(q) != sum(counts.values()) or not len(q):
        raise ArtifactError(
            f"{checkpoint.folder}: the card counts {sum(counts.values())} anchors, the weights {q.shape}"
        )
    return Anchors(q.astype(np.float32), np.repeat(list(counts), list(counts.values())).astype(np.str_))


def shares(sizes: NDArray[np.int64], number: int) -> NDArray[np.int64]:
    """How many of each benchmark: (B,), summing to `number` or to all there are."""
    number = min(number, int(sizes.sum()))
    floor = np.minimum(sizes, AT_LEAST)
    if floor.sum() >= number:
        return _filled(np.zeros(len(sizes)), np.minimum(sizes, AT_LEAST), np.ones(len(sizes)), number)
    return _filled(floor.astype(np.float64), sizes, np.sqrt(sizes), number)


def _filled(
    floor: NDArray[np.float64], cap: NDArray[np.int64], rate: NDArray[np.float64], number: int
) -> NDArray[np.int64]:
    """Whole numbers near `level * rate`, each between its floor and its cap, at the level where they sum to `number`."""
    low, high = 0.0, float((cap / rate).max())
    for _ in range(60):
        level = (low + high) / 2
        low, high = (level, high) if np.clip(level * rate, floor, cap).sum() < number else (low, level)
    exact = np.clip(high * rate, floor, cap)
    whole = np.floor(exact + 1e-9).astype(np.int64)
    left = number - int(whole.sum())
    whole[np.argsort(whole - exact, kind="stable")[:left]] += 1
    return whole
