"""The posterior of read-outs against a case done by hand and the textbook formula in float64, in both of its dimensions."""

import itertools

import numpy as np
import pytest
from numpy.typing import NDArray

from router.model.readout import DIRECT, posterior

WIDTH = 40
Floats = NDArray[np.float32]


def evaluations(n: int, width: int = WIDTH, seed: int = 1) -> tuple[Floats, Floats, Floats]:
    """Design, scores less a prior mean, and the variance of each score."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, width)).astype(np.float32)
    y = (rng.random((n, 1)).round() - rng.uniform(0.2, 0.8, (n, 1))).astype(np.float32)
    return x, y, rng.uniform(0.05, 0.3, n).astype(np.float32)


def variance(width: int = WIDTH) -> NDArray[np.float64]:
    return np.random.default_rng(0).uniform(0.001, 0.2, width)


def dense(
    x: Floats, y: Floats, noise: Floats, v: NDArray[np.float64], at: Floats
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean of w and variance of x·w, by inverting the precision in float64."""
    design = x.astype(np.float64)
    covariance = np.linalg.inv(np.diag(1 / v) + design.T @ (design / noise[:, None]))
    asked = at.astype(np.float64)
    return covariance @ design.T @ (y / noise[:, None]), np.einsum("md,de,me->m", asked, covariance, asked)


def test_one_term_by_hand() -> None:
    # Prior N(0, 0.05), three residuals of 0.5 and one of -0.5 with noise 0.15: precision 1/0.05 + 4/0.15.
    y = np.array([[0.5], [0.5], [-0.5], [0.5]], np.float32)
    at = np.array([[1.0], [2.0]], np.float32)
    after = posterior(np.ones((4, 1), np.float32), y, 0.15, np.array([0.05]), at)
    precision = 20 + 4 / 0.15
    np.testing.assert_allclose(after.mean, [[1 / 0.15 / precision]], rtol=1e-5)
    np.testing.assert_allclose(after.variance, [1 / precision, 4 / precision], rtol=1e-5)


@pytest.mark.parametrize("n", [1, 2, WIDTH - 1, WIDTH, WIDTH + 1, 500])
def test_it_is_the_textbook_posterior(n: int) -> None:
    """Fewer evaluations than terms are solved in the one dimension, more in the other."""
    x, y, noise = evaluations(n)
    at = evaluations(9, seed=2)[0]
    after = posterior(x, y, noise, variance(), at)
    mean, expected = dense(x, y, noise, variance(), at)
    np.testing.assert_allclose(after.mean, mean, rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(after.variance, expected, rtol=1e-3, atol=1e-6)
    assert after.mean.dtype == after.variance.dtype == np.float32


@pytest.mark.parametrize("n", [2 * DIRECT, 4 * DIRECT])
def test_large_matrices_are_factored_by_halves(n: int) -> None:
    width = 3 * DIRECT
    x, y, noise = evaluations(n, width)
    at = x[:20]
    after = posterior(x, y, noise, variance(width), at)
    mean, expected = dense(x, y, noise, variance(width), at)
    np.testing.assert_allclose(after.mean, mean, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(after.variance, expected, rtol=1e-3, atol=1e-5 * ((at**2) @ variance(width)).max())


def test_a_gram_matrix_whose_rounding_errors_exceed_its_smallest_eigenvalues_is_solved() -> None:
    """Many evaluations in few directions with a large prior variance: the largest eigenvalue is some 10⁷."""
    rng = np.random.default_rng(4)
    x = (rng.normal(size=(20_000, 3)) @ rng.normal(size=(3, WIDTH)) * 5).astype(np.float32)
    y = (x[:, :1] * 0.01).astype(np.float32)
    at = x[:50]
    after = posterior(x, y, 0.15, variance(), at)
    np.testing.assert_allclose(at @ after.mean, y[:50], atol=5e-3)
    assert (after.variance >= 0).all()
    assert after.variance.max() < 0.001


def test_without_evaluations_it_is_the_prior() -> None:
    at = evaluations(5)[0]
    nothing = np.zeros((0, WIDTH), np.float32)
    after = posterior(nothing, np.zeros((0, 2), np.float32), 0.15, variance(), at)
    np.testing.assert_array_equal(after.mean, np.zeros((WIDTH, 2)))
    np.testing.assert_allclose(after.variance, (at**2) @ variance(), rtol=1e-5)


def test_several_models_on_the_same_queries_are_read_as_one_by_one() -> None:
    for n in (10, 90):
        x, y, noise = evaluations(n)
        both = posterior(x, np.concatenate([y, -2 * y], axis=1), noise, variance()).mean
        alone = posterior(x, y, noise, variance()).mean
        np.testing.assert_allclose(both, np.concatenate([alone, -2 * alone], axis=1), rtol=1e-3, atol=1e-6)


def test_one_noise_for_all_is_that_noise_for_each() -> None:
    x, y, _ = evaluations(30)
    one, each = (posterior(x, y, noise, variance()).mean for noise in (0.2, np.full(30, 0.2, np.float32)))
    np.testing.assert_array_equal(one, each)


def test_a_term_without_prior_variance_stays_at_0() -> None:
    x, y, noise = evaluations(60)
    v = variance()
    v[3] = 0.0
    mean = posterior(x, y, noise, v).mean
    assert mean[3] == 0
    assert (np.delete(mean, 3) != 0).all()


def test_more_evaluations_leave_less_doubt_and_nowhere_more() -> None:
    x, y, noise = evaluations(400)
    at = evaluations(30, seed=5)[0]
    doubt = [posterior(x[:n], y[:n], noise[:n], variance(), at).variance for n in (0, 5, 20, 100, 400)]
    for before, after in itertools.pairwise(doubt):
        assert (after <= before + 1e-6).all()
    assert doubt[-1].mean() < 0.1 * doubt[0].mean()


def test_where_no_variance_is_asked_there_is_none() -> None:
    x, y, noise = evaluations(12)
    assert posterior(x, y, noise, variance()).variance.shape == (0,)
