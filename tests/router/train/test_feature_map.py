"""The Nyström features against the kernel that they stand for."""

import numpy as np

from router.model.features import kernel
from router.train.feature_map import KERNEL_FLOOR, nystrom_projection


def test_inner_products_of_projected_anchors_are_the_kernel() -> None:
    x = np.random.default_rng(0).normal(size=(40, 5)).astype(np.float32)
    gram = kernel(x, 3)
    features = gram @ nystrom_projection(gram)
    np.testing.assert_allclose(features @ features.T, gram, atol=2 * KERNEL_FLOOR)


def test_directions_that_hold_rounding_errors_only_are_dropped() -> None:
    x = np.random.default_rng(1).normal(size=(10, 5)).astype(np.float32)
    twice = kernel(np.concatenate([x, x]), 3)  # every anchor twice: half of the eigenvalues are 0
    projection = nystrom_projection(twice)
    assert projection.shape == (20, 10)
    assert projection.dtype == np.float32
    assert np.abs(projection).max() < 1 / np.sqrt(KERNEL_FLOOR)
