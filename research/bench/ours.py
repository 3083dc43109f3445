"""Our router as a row of the benchmark. Its training selects on `val`, so its grid has one setting."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from research.bench.method import Setting
from router.data.dataset import Dataset
from router.encode.surface import DIM as SURFACE_DIM
from router.model.locus import Locus
from router.model.space import ModelSpace
from router.train.evaluate import predictor_of
from router.train.requests import Judged
from router.train.train import train


@dataclass(frozen=True)
class Routed:
    """A trained router with the models of the data embedded.

    Attributes:
        locus, space: the result of `router.train.train`.
    """

    locus: Locus
    space: ModelSpace
    data: Dataset
    q: NDArray[np.float32]

    def predict(self, queries: NDArray[np.int64]) -> NDArray[np.float32]:
        predictor, known = predictor_of(self.locus, self.data, self.space)
        out = np.full((len(self.data.models), len(queries)), np.nan, np.float32)
        out[known] = predictor.predict(self.q[queries], graded=True).p_correct.T
        return out


class Ours:
    """Implements `research.bench.method.Method`. Encodings are complete: the text part, then the surface statistics.

    Args:
        judged: everyday requests, by the encoder of the benchmark.
        folder: where domain classifiers are kept. They depend on the queries alone, so fits on other scores share them.
    """

    name = "ours"
    version = 4
    grid: tuple[Setting, ...] = ({},)
    seeds = 3

    def __init__(self, judged: Judged, folder: Path) -> None:
        self._judged = judged
        self._folder = folder

    def fit(self, data: Dataset, q: NDArray[np.float32], setting: Setting, seed: int) -> Routed:
        trained = train(data, q, q.shape[1] - SURFACE_DIM, self._judged, seed, self._folder / _digest(data, q, seed))
        return Routed(trained.locus, trained.space, data, q)


def _digest(data: Dataset, q: NDArray[np.float32], seed: int) -> str:
    """A hash of everything that the domain classifier depends on: queries and seed, no score."""
    digest = hashlib.sha256(f"{seed} {data.hash}".encode())
    for array in (q, data.benchmarks, data.categories, data.splits):
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()[:16]
