"""The Bayesian read-out against a case done by hand and the textbook formula."""

import numpy as np

from router.model.readout import NOISE, Prior, Statistics, posterior


def prior(width: int = 4, seed: int = 0) -> Prior:
    rng = np.random.default_rng(seed)
    return Prior(rng.normal(size=width), rng.uniform(0.1, 1, width), rng.normal(size=(width, 2)))


def evaluations(n: int, width: int = 4, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, width)).astype(np.float32), rng.integers(0, 2, n).astype(np.float32)


def test_one_feature_by_hand() -> None:
    # Prior N(0.5, 0.05); three right answers of four: precision 1/0.05 + 4/0.15, weighted mean of 0.5 and the scores.
    known = Statistics.of(np.ones((4, 1), np.float32), np.array([1, 1, 0, 1], np.float32))
    after = posterior(Prior(np.array([0.5]), np.array([0.05]), np.zeros((1, 0))).root(), np.array([0.5]), known)
    precision = 20 + 4 / 0.15
    np.testing.assert_allclose(after.mean, [(20 * 0.5 + 3 / 0.15) / precision])
    np.testing.assert_allclose(after.variance(np.array([[1.0], [2.0]])), [1 / precision, 4 / precision])


def test_it_is_the_textbook_posterior() -> None:
    p, (psi, y) = prior(), evaluations(50)
    after = posterior(p.root(), p.mean, Statistics.of(psi, y))
    covariance = np.diag(p.variance) + p.directions @ p.directions.T
    precision = np.linalg.inv(covariance) + psi.T.astype(float) @ psi / NOISE
    expected = np.linalg.solve(precision, np.linalg.solve(covariance, p.mean) + psi.T.astype(float) @ y / NOISE)
    np.testing.assert_allclose(after.mean, expected, rtol=1e-4)
    np.testing.assert_allclose(after.root.T @ after.root, np.linalg.inv(precision), rtol=1e-4, atol=1e-8)


def test_without_evidence_it_is_the_prior() -> None:
    p = prior()
    after = posterior(p.root(), p.mean, Statistics(np.zeros((4, 4)), np.zeros(4)))
    np.testing.assert_allclose(after.mean, p.mean)
    np.testing.assert_allclose(after.root.T @ after.root, p.root() @ p.root().T)


def test_several_models_on_the_same_queries_are_read_as_one_by_one() -> None:
    p, (psi, y) = prior(), evaluations(30)
    both = posterior(p.root(), p.mean, Statistics.of(psi, np.stack([y, 1 - y], axis=1))).mean
    for column, scores in enumerate((y, 1 - y)):
        alone = posterior(p.root(), p.mean, Statistics.of(psi, scores)).mean
        np.testing.assert_allclose(both[:, column], alone, rtol=1e-4)


def test_statistics_of_a_part_can_be_taken_out() -> None:
    psi, y = evaluations(40)
    rest = Statistics.of(psi, y).minus(Statistics.of(psi[:15], y[:15]))
    expected = Statistics.of(psi[15:], y[15:])
    np.testing.assert_allclose(rest.gram, expected.gram, atol=1e-4)
    np.testing.assert_allclose(rest.moment, expected.moment, atol=1e-4)


def test_more_evidence_leaves_less_doubt() -> None:
    p, (psi, y) = prior(), evaluations(400)
    at = psi[:5].astype(np.float64)
    doubt = [posterior(p.root(), p.mean, Statistics.of(psi[:n], y[:n])).variance(at).mean() for n in (5, 20, 100, 400)]
    assert doubt == sorted(doubt, reverse=True)
    assert doubt[-1] < 0.1 * doubt[0]


def test_statistics_of_disjoint_sets_add_up() -> None:
    psi, y = evaluations(40)
    total = Statistics.sum([Statistics.of(psi[:15], y[:15]), Statistics.of(psi[15:], y[15:])])
    expected = Statistics.of(psi, y)
    np.testing.assert_allclose(total.gram, expected.gram, atol=1e-4)
    np.testing.assert_allclose(total.moment, expected.moment, atol=1e-4)
