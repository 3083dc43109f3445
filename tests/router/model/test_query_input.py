"""What attention sees of a query: its columns, their scales, and the way into a checkpoint and out again."""

import numpy as np
import pytest
from numpy.typing import NDArray

from router.model.features import SURFACE_CLIP, Features
from router.model.query_input import DIRECTIONS, MEAN_GAIN, SURFACE_GAIN, QueryInput

TEXT, SURFACE, BENCHMARKS, DOMAINS = 48, 5, 3, 7


@pytest.fixture(scope="module")
def q() -> NDArray[np.float32]:
    """Encodings whose text varies along a few directions more than along others."""
    rng = np.random.default_rng(0)
    text = rng.normal(size=(400, TEXT)) * np.linspace(3, 0.1, TEXT) + 0.5
    return np.concatenate([text, 10 + 4 * rng.normal(size=(400, SURFACE))], axis=1).astype(np.float32)


@pytest.fixture(scope="module")
def inputs(q: NDArray[np.float32]) -> QueryInput:
    return QueryInput.fit(q, TEXT, q[:, TEXT:].mean(axis=0), q[:, TEXT:].std(axis=0))


def features(n: int) -> Features:
    rng = np.random.default_rng(1)
    benchmarks, domains = (rng.dirichlet(np.ones(width), n).astype(np.float32) for width in (BENCHMARKS, DOMAINS))
    return Features(benchmarks, domains, np.ones((n, 4), np.float32))


def test_the_columns_are_kind_text_surface_and_difficulty(inputs: QueryInput, q: NDArray[np.float32]) -> None:
    of, mean = features(len(q)), np.linspace(0, 1, len(q), dtype=np.float32)
    x = inputs(q, of, mean)
    assert x.shape == (400, BENCHMARKS + DOMAINS + DIRECTIONS + SURFACE + 1)
    assert x.dtype == np.float32
    np.testing.assert_array_equal(x[:, :BENCHMARKS], of.benchmarks)
    np.testing.assert_array_equal(x[:, BENCHMARKS : BENCHMARKS + DOMAINS], of.domains)
    standard = ((q[:, TEXT:] - q[:, TEXT:].mean(axis=0)) / q[:, TEXT:].std(axis=0)).clip(-SURFACE_CLIP, SURFACE_CLIP)
    np.testing.assert_allclose(x[:, -SURFACE - 1 : -1], SURFACE_GAIN * standard, atol=1e-4)
    np.testing.assert_allclose(x[:, -1], MEAN_GAIN * (mean - 0.5), atol=1e-6)


def test_text_is_its_principal_components_with_unit_variance_together(
    inputs: QueryInput, q: NDArray[np.float32]
) -> None:
    text = inputs(q, features(len(q)), np.zeros(len(q), np.float32))[:, BENCHMARKS + DOMAINS :][:, :DIRECTIONS]
    covariance = np.cov(text.T)
    np.testing.assert_allclose(covariance - np.diag(np.diag(covariance)), 0, atol=1e-3)
    assert (np.diff(np.diag(covariance)) <= 1e-5).all()  # the largest first
    assert text.std() == pytest.approx(1, abs=1e-3)
    np.testing.assert_allclose(text.mean(axis=0), 0, atol=1e-4)


def test_the_sign_of_a_direction_is_not_left_to_the_solver(inputs: QueryInput) -> None:
    assert (inputs.directions.sum(axis=0) >= 0).all()


def test_a_text_of_unusual_form_stays_in_range(inputs: QueryInput, q: NDArray[np.float32]) -> None:
    odd = q[:2].copy()
    odd[:, TEXT:] = 1e6, -1e6, 0, 1e9, -1e9
    surface = inputs(odd, features(2), np.zeros(2, np.float32))[:, -SURFACE - 1 : -1]
    assert np.abs(surface).max() == SURFACE_GAIN * SURFACE_CLIP


def test_training_adds_noise_to_text_and_surface_only(inputs: QueryInput) -> None:
    noisy = inputs.noisy(features(1))
    kinds = BENCHMARKS + DOMAINS
    assert noisy.tolist() == [0] * kinds + [1] * (DIRECTIONS + SURFACE) + [0]


def test_it_is_restored_from_a_checkpoint(inputs: QueryInput, q: NDArray[np.float32]) -> None:
    restored = QueryInput.restore(inputs.weights(), TEXT, inputs.mean, inputs.scale)
    mean = np.full(len(q), 0.3, np.float32)
    np.testing.assert_array_equal(restored(q, features(len(q)), mean), inputs(q, features(len(q)), mean))
    with pytest.raises(KeyError, match=r"input\.center"):
        QueryInput.restore({}, TEXT, inputs.mean, inputs.scale)


def test_texts_that_are_all_the_same_give_finite_inputs(q: NDArray[np.float32]) -> None:
    same = np.repeat(q[:1], 20, axis=0)
    inputs = QueryInput.fit(same, TEXT, same[0, TEXT:], np.ones(SURFACE, np.float32))
    assert np.isfinite(inputs(same, features(20), np.zeros(20, np.float32))).all()
