"""The measures of a checkpoint: errors of predictions, factors of evaluations, coverage of standard errors."""

import numpy as np
import pytest

from research.encoder_errors import DomainErrors, coverage
from research.encoder_predictions import of_split
from research.measure_encoder import errors_of, factors
from tests.research.bench.worlds import dataset

_ = np.nan


def test_a_split_keeps_its_queries_alone() -> None:
    scores = np.array([[1, 0, 1], [_, 1, 0]], np.float32)
    held = of_split(dataset(["a", "a", "b"], ["train", "test", "test"], scores), "test")
    assert held.query_ids.tolist() == [1, 2]
    assert held.prompts == ("question 1", "question 2")
    np.testing.assert_array_equal(held.scores, [[0, 1], [1, 0]])


def test_errors_by_hand() -> None:
    found = errors_of(np.array([0.8, 0.8, 0.2], np.float32), np.array([1, 0, 0.5], np.float32))
    assert found["accuracy"] == pytest.approx((1 + 0 + 0.5) / 3)
    assert found["brier"] == pytest.approx((0.04 + 0.64 + 0.09) / 3, abs=1e-6)
    entropies = [-np.log(0.8), -np.log(0.2), -0.5 * np.log(0.2) - 0.5 * np.log(0.8)]
    assert found["cross-entropy"] == pytest.approx(np.mean(entropies), abs=1e-6)
    assert found["ece"] == pytest.approx((2 * 0.3 + 0.3) / 3, abs=1e-6)


def test_a_prediction_of_0_has_a_finite_cross_entropy() -> None:
    assert errors_of(np.zeros(1, np.float32), np.ones(1, np.float32))["cross-entropy"] == pytest.approx(-np.log(0.01))


def test_factor_where_the_other_needs_four_times_as_many() -> None:
    at = np.array([8.0, 32.0, 128.0])
    plain = [np.array([value, value]) for value in (0.1, 0.2, 0.3)]
    ours = [np.array([value, value]) for value in (0.2, 0.3, 0.4)]
    assert list(factors(at, plain, ours)) == ["4.0 [4.0, 4.0]", "4.0 [4.0, 4.0]"]


def test_a_curve_that_never_reaches_ours_has_no_factor() -> None:
    assert list(factors(np.array([8.0, 32.0]), [np.zeros(2), np.zeros(2)], [np.ones(2), np.ones(2)])) == [
        "> 4.0 [> 4.0, > 4.0]"
    ]


def test_coverage_by_hand() -> None:
    errors = DomainErrors(
        error=np.array([0.1, -0.15, 0.25]), kind=np.full(3, 0.01), general=np.zeros(3), noise=np.full(3, 0.03)
    )
    assert coverage(errors, 1, noise=False) == pytest.approx((1 / 3, 2 / 3))
    assert coverage(errors, 1, noise=True) == pytest.approx((2 / 3, 1))
    assert coverage(errors, 4, noise=False) == pytest.approx((2 / 3, 1))
