"""Small synthetic evaluation data with a known structure."""

import numpy as np
from numpy.typing import NDArray

from router.data.dataset import Dataset
from router.encode.encoder import normalise

Table = NDArray[np.float32]


def dataset(benchmarks: list[str], splits: list[str], scores: Table, onboarding: list[bool] | None = None) -> Dataset:
    n = len(benchmarks)
    return Dataset(
        np.arange(n),
        np.array(benchmarks),
        np.full(n, ""),
        np.array(splits),
        tuple(f"question {i}" for i in range(n)),
        tuple(f"lab/{m}" for m in range(len(scores))),
        np.zeros(len(scores), np.bool_) if onboarding is None else np.array(onboarding),
        np.asarray(scores, np.float32),
        "h",
    )


def two_skills(n: int = 600, seed: int = 0) -> tuple[Dataset, Table]:
    """One benchmark of two kinds of question, which the encoding shows; models 0 to 2 are good at one, the other, neither.

    The best single model is right 60% of the time, a router that sees the kind 90%.
    """
    rng = np.random.default_rng(seed)
    kind = rng.integers(0, 2, n)
    chance = np.array([[0.9, 0.3], [0.25, 0.9], [0.4, 0.4]])
    scores = (rng.random((3, n)) < chance[:, kind]).astype(np.float32)
    directions = np.eye(8)[:2]
    q = normalise((directions[kind] + 0.15 * rng.normal(size=(n, 8))).astype(np.float32))
    splits = rng.choice(["train", "val", "test"], n, p=[0.6, 0.15, 0.25]).tolist()
    return dataset(["mixed"] * n, splits, scores), q
