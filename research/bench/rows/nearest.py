"""k nearest neighbours: a model's mean score on the train queries nearest to this one that it answered."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from research.bench.method import Setting
from router.data.baselines import Neighbours
from router.data.dataset import Dataset

EVEN = "even"


@dataclass(frozen=True)
class _Fitted:
    neighbours: Neighbours
    k: int
    temperature: float | None

    def predict(self, queries: NDArray[np.int64]) -> NDArray[np.float32]:
        return self.neighbours.predict(queries, self.k, self.temperature)


class Nearest:
    """Tuned by the number of neighbours and the temperature of their weights."""

    name = "kNN"
    version = 1
    grid: tuple[Setting, ...] = (
        *({"k": k, "temperature": EVEN} for k in (10, 20, 50, 100, 200, 400, 800)),
        *({"k": k, "temperature": 0.1} for k in (50, 100, 200, 400, 800)),
    )
    seeds = 1

    def fit(self, data: Dataset, q: NDArray[np.float32], setting: Setting, seed: int) -> _Fitted:
        temperature = None if setting["temperature"] == EVEN else float(setting["temperature"])
        return _Fitted(Neighbours(data, q), int(setting["k"]), temperature)
