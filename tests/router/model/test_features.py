"""ψ against its definition, written out."""

import numpy as np
import pytest
from numpy.typing import NDArray

from router.model.features import SURFACE_LENGTH, TEXT_GAIN, TEXT_LENGTH, FeatureMap, kernel, standardised

TEXT, SURFACE, ANCHORS, HIDDEN = 6, 3, 5, 4
PARENT = np.array([0, 0, 1, 2])  # benchmark of each domain
SOURCE = np.array([1, 0, 1])  # of each benchmark


def encodings(n: int, seed: int) -> NDArray[np.float32]:
    rng = np.random.default_rng(seed)
    text = rng.normal(size=(n, TEXT))
    text /= np.linalg.norm(text, axis=1, keepdims=True)
    return np.concatenate([text, rng.uniform(size=(n, SURFACE))], axis=1).astype(np.float32)


@pytest.fixture
def features() -> FeatureMap:
    rng = np.random.default_rng(0)

    def random(*shape: int) -> NDArray[np.float32]:
        return rng.normal(size=shape).astype(np.float32)

    return FeatureMap(
        TEXT,
        mean=np.full(SURFACE, 0.5, np.float32),
        scale=np.full(SURFACE, 0.3, np.float32),
        anchors=encodings(ANCHORS, 9),
        projection=random(ANCHORS, 2),
        hidden=random(TEXT + SURFACE, HIDDEN),
        hidden_bias=random(HIDDEN),
        output=random(HIDDEN, len(PARENT)),
        output_bias=random(len(PARENT)),
        parent=PARENT,
        source=SOURCE,
    )


def test_closeness_is_a_gaussian_of_text_and_surface(features: FeatureMap) -> None:
    q = encodings(3, 1)
    surface = lambda rows: (rows[:, TEXT:] - 0.5) / 0.3  # noqa: E731
    expected = np.empty((3, ANCHORS))
    for i in range(3):
        for j in range(ANCHORS):
            text = ((q[i, :TEXT] - features.anchors[j, :TEXT]) ** 2).sum() / (2 * TEXT_LENGTH**2)
            shape = ((surface(q)[i] - surface(features.anchors)[j]) ** 2).sum() / (2 * SURFACE_LENGTH**2 * SURFACE)
            expected[i, j] = np.exp(-text - shape)
    np.testing.assert_allclose(features(q).closeness, expected, rtol=1e-4)
    x = standardised(q, TEXT, features.mean, features.scale)
    np.testing.assert_allclose(np.diag(kernel(x, TEXT)), 1, rtol=1e-5)
    np.testing.assert_allclose(x[:, :TEXT], TEXT_GAIN * q[:, :TEXT])


def test_posteriors_sum_to_one_and_a_benchmark_holds_its_domains(features: FeatureMap) -> None:
    out = features(encodings(7, 2))
    np.testing.assert_allclose(out.domains.sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(out.benchmarks[:, 0], out.domains[:, :2].sum(axis=1), rtol=1e-5)
    np.testing.assert_allclose(out.benchmarks[:, 1], out.domains[:, 2], rtol=1e-5)


def test_joined_coefficients_give_the_value_of_the_design(features: FeatureMap) -> None:
    out = features(encodings(7, 3))
    design = features.design(out)
    assert design.shape == (7, features.width) == (7, 1 + 2 + 3 + 4 + 2)
    np.testing.assert_allclose(design[:, 1], out.benchmarks[:, 1], rtol=1e-5)
    np.testing.assert_allclose(design[:, 2], out.benchmarks[:, 0] + out.benchmarks[:, 2], rtol=1e-5)
    w = np.random.default_rng(4).normal(size=features.width)
    flat = np.concatenate([np.ones((7, 1)), out.benchmarks, out.domains, out.closeness], axis=1)
    np.testing.assert_array_equal(out.joined(), flat.astype(np.float32))
    np.testing.assert_allclose(out.joined() @ features.joined_coefficients(w), design @ w, rtol=1e-4, atol=1e-5)


def test_it_is_the_same_from_a_checkpoint(features: FeatureMap) -> None:
    again = FeatureMap.restore({**features.weights(), "anchors.q": features.anchors}, TEXT)
    np.testing.assert_array_equal(again(encodings(4, 5)).domains, features(encodings(4, 5)).domains)
    np.testing.assert_array_equal(again.parent, PARENT)
    np.testing.assert_array_equal(again.source, SOURCE)
    assert (again.sources, again.benchmarks, again.kinds) == (2, 3, 2 + 3 + 4)
