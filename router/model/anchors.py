"""Anchor queries: a small sample of the training queries, kept in a checkpoint as encodings and benchmark names.

They represent the training data after training. For example, the expected accuracy of a model on a benchmark is its mean P(correct)
over that benchmark's anchors. The texts of the queries are not kept.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from router.data.benchmarks import non_commercial
from router.data.dataset import Queries
from router.errors import ArtifactError, DataError
from router.model.checkpoint import Checkpoint
from router.model.features import ANCHORS_KEY

NUMBER = 1024
MIN_PER_BENCHMARK = 16  # or all queries of a smaller benchmark
CARD_KEY = "anchors"


@dataclass(frozen=True)
class Anchors:
    """A queries. Those of one benchmark are adjacent.

    Attributes:
        q: encodings, (A, d_q), float32.
        benchmarks: (A,), str.
    """

    q: NDArray[np.float32]
    benchmarks: NDArray[np.str_]

    def of(self, benchmarks: Collection[str]) -> "Anchors":
        """Only the anchors of these benchmarks.

        Raises:
            DataError: a benchmark has no anchors; names all of these, and the benchmarks that have.
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
        """Number of anchors of each benchmark, in the order of the rows, for the card."""
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
        """The weight of each anchor if the benchmarks have the weights in `traffic`, (A,), float64, summing to 1.

        Each benchmark's weight is divided evenly among its anchors. Benchmarks that `traffic` does not name have weight 0.

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
    """Draws anchors from split `train`, at random within each benchmark.

    The number from each benchmark is proportional to the square root of its size, so that large benchmarks do not dominate, but
    at least 16, or all queries that it has. If `number` is too small for that, all benchmarks give the same number. Benchmarks
    whose licence forbids commercial use give none: a checkpoint is handed on with its anchors.

    Args:
        data: the queries.
        q: encodings of all queries, (Q, d_q), float32, in the order of the data.
        number: of anchors; a smaller split `train` gives all that it may.
        seed: the same seed gives the same anchors.

    Raises:
        DataError: split `train` has no such query.
    """
    withheld = non_commercial(set(data.benchmarks.tolist()))
    train = np.flatnonzero((data.splits == "train") & ~np.isin(data.benchmarks, list(withheld)))
    if not len(train):
        raise DataError("split train has no query to take anchors from")
    names, sizes = np.unique(data.benchmarks[train], return_counts=True)
    rng = np.random.default_rng((seed, number))
    chosen = []
    for name, count in zip(names, shares(sizes, number), strict=True):
        chosen.append(np.sort(rng.permutation(train[data.benchmarks[train] == name])[:count]))
    rows = np.concatenate(chosen)
    return Anchors(np.ascontiguousarray(q[rows], np.float32), data.benchmarks[rows])


def load_anchors(checkpoint: Checkpoint) -> Anchors:
    """The anchors of a checkpoint.

    Raises:
        ArtifactError: the checkpoint has no anchors, or its card and its arrays do not fit each other.
    """
    q, counts = checkpoint.weights.get(ANCHORS_KEY), checkpoint.card.get(CARD_KEY)
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
    """The number of queries to take from each benchmark, by the square root of its size.

    Args:
        sizes: of the benchmarks, (B,), int64.
        number: of queries in total.

    Returns:
        (B,), int64, summing to `number`, or to all queries if there are fewer.
    """
    number = min(number, int(sizes.sum()))
    floor = np.minimum(sizes, MIN_PER_BENCHMARK)
    if floor.sum() >= number:
        return _allocate(np.zeros(len(sizes)), floor, np.ones(len(sizes)), number)
    return _allocate(floor.astype(np.float64), sizes, np.sqrt(sizes), number)


def _allocate(
    floor: NDArray[np.float64], cap: NDArray[np.int64], rate: NDArray[np.float64], number: int
) -> NDArray[np.int64]:
    """Integers near `level * rate`, each between its floor and its cap, with the level at which they sum to `number`.

    The level is found by bisection; the largest remainders are rounded up until the sum is exact.

    Args:
        floor, cap, rate: (B,) each.

    Returns:
        (B,), int64.
    """
    low, high = 0.0, float((cap / rate).max())
    for _ in range(60):  # halvings: the level is then exact to float64
        level = (low + high) / 2
        low, high = (level, high) if np.clip(level * rate, floor, cap).sum() < number else (low, level)
    exact = np.clip(high * rate, floor, cap)
    counts = np.floor(exact + 1e-9).astype(np.int64)
    missing = number - int(counts.sum())
    counts[np.argsort(counts - exact, kind="stable")[:missing]] += 1
    return counts
