"""The prior variances of the plain read-out: the order of its terms, and what is chosen where the truth is known."""

import numpy as np
import pytest

from router.train.prior import ABILITY_VARIANCE, GRID, choose_variances, prior_variance
from router.train.training_set import TrainingSet
from tests.router.train.small_world import training_set, world

ABILITY = np.linspace(0.1, 0.9, 9)


@pytest.fixture(scope="module")
def alike() -> TrainingSet:
    """Models that differ in ability only, whatever the query."""
    return training_set(*world(np.column_stack([ABILITY, ABILITY])))


@pytest.fixture(scope="module")
def specialists() -> TrainingSet:
    """Models that are as good at one benchmark as they are bad at the other."""
    return training_set(*world(np.column_stack([ABILITY, ABILITY[::-1]])))


def test_variances_are_in_the_order_of_the_features(alike: TrainingSet) -> None:
    v = prior_variance(alike.feature_map, 0.02, 0.001)
    assert v.shape == (alike.feature_map.width,)
    assert v[0] == ABILITY_VARIANCE
    assert set(v[1:7]) == {0.02}  # two sources, two benchmarks, two domains
    assert set(v[7:]) == {0.001}
    assert len(v) > 7


def test_kinds_count_where_models_differ_by_kind_and_not_where_they_do_not(
    alike: TrainingSet, specialists: TrainingSet
) -> None:
    of_alike, of_specialists = choose_variances(alike), choose_variances(specialists)
    assert {of_alike, of_specialists} <= set(GRID)
    assert of_alike[0] < of_specialists[0]
    assert of_alike[1] < max(local for _, local in GRID)  # sampling noise decides between the smaller ones


def test_with_the_chosen_variances_read_outs_give_the_skills(specialists: TrainingSet) -> None:
    variance = prior_variance(specialists.feature_map, *choose_variances(specialists))
    deviation = specialists.readouts(variance) @ specialists.psi.T  # (M, N)
    p = specialists.named + deviation
    even = specialists.data.benchmarks[specialists.queries] == "even"
    np.testing.assert_allclose(p[:8, even].mean(axis=1), ABILITY[:8], atol=0.12)
    np.testing.assert_allclose(p[:8, ~even].mean(axis=1), ABILITY[::-1][:8], atol=0.12)
    assert np.isnan(p[8]).all()  # held out
