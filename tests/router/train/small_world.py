"""A small world with known skills, and its training set, without training a classifier."""

import numpy as np
from numpy.typing import NDArray

from router.data.dataset import Dataset, Queries
from router.model.anchors import choose_anchors
from router.model.features import FeatureMap, kernel, standardised
from router.train.feature_map import nystrom_projection
from router.train.name_prior import fit_name_prior
from router.train.training_set import TrainingSet

TEXT, SURFACE = 4, 2
BENCHMARKS = ("even", "odd")


def world(skills: NDArray[np.float64], count: int = 300, held_out: int = 1) -> tuple[Dataset, NDArray[np.float32]]:
    """Two benchmarks by turns, 60 % train, 20 % val, 20 % test, and encodings that tell them apart.

    Args:
        skills: chance of a right answer of each model on each benchmark, (M, 2).
        held_out: the number of models, the last ones, that are marked `onboarding`.
    """
    rng = np.random.default_rng(3)
    benchmark = np.arange(count) % 2
    text = np.eye(TEXT)[benchmark] + 0.1 * rng.normal(size=(count, TEXT))
    q = np.concatenate([text / np.linalg.norm(text, axis=1, keepdims=True), rng.normal(size=(count, SURFACE))], axis=1)
    splits = np.array(["train", "train", "train", "val", "test"])[np.arange(count) // 2 % 5]
    scores = (rng.random((len(skills), count)) < skills[:, benchmark]).astype(np.float32)
    queries = Queries(np.arange(count), np.array(BENCHMARKS)[benchmark], np.full(count, ""), splits, ("x",) * count)
    models = tuple(f"lab/{m}" for m in range(len(skills)))
    onboarding = np.arange(len(skills)) >= len(skills) - held_out
    return Dataset(**vars(queries), models=models, onboarding=onboarding, scores=scores, hash="h"), q.astype(np.float32)


def feature_map(data: Dataset, q: NDArray[np.float32]) -> FeatureMap:
    """ψ whose classifier reads the benchmark from the text; a domain and a source for each benchmark."""
    anchors = choose_anchors(data, q, number=32)
    mean, scale = q[:, TEXT:].mean(axis=0), q[:, TEXT:].std(axis=0)
    projection = nystrom_projection(kernel(standardised(anchors.q, TEXT, mean, scale), TEXT))
    output = 4 * np.eye(TEXT + SURFACE, 2)
    arrays = (mean, scale, anchors.q, projection, np.eye(TEXT + SURFACE), np.zeros(TEXT + SURFACE), output, np.zeros(2))
    one_each = np.array([0, 1])
    return FeatureMap(TEXT, *(np.asarray(a, np.float32) for a in arrays), parent=one_each, source=one_each)


def training_set(data: Dataset, q: NDArray[np.float32]) -> TrainingSet:
    return TrainingSet.of(data, feature_map(data, q), q, fit_name_prior(data))
