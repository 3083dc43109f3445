import numpy as np

from router.model.policy import Policy
from router.model.stand_ins import LOSS_WEIGHT, apart_from_named, by_policy, like_named, nearest

ALL = np.ones(4, np.bool_)
ERROR = np.full(4, 0.1, np.float32)


def array(*values: float) -> np.ndarray:
    return np.array(values, np.float32)


def test_the_nearest_come_first_and_unknown_distances_last() -> None:
    assert nearest(array(0.3, np.nan, 0.1, np.nan), ALL) == [2, 0, 1, 3]
    assert nearest(array(0.3, np.nan, 0.1, 0.1), np.array([True, True, False, True])) == [3, 0, 1]


def test_the_next_choice_of_a_policy_is_its_choice_among_the_rest() -> None:
    p, usd = array(0.9, 0.8, 0.6, np.nan), np.array([1.0, 0.1, 0.01, 0.0])
    assert list(by_policy(p, ERROR, usd, ALL, Policy("best"))) == [0, 1, 2]
    assert list(by_policy(p, ERROR, usd, ALL, Policy("weighed", value=1.0), 1.0)) == [1, 2, 0]
    # 0.8 is within 0.1 of 0.9, and cheaper. Without it the best of the rest is 0.9, and 0.6 is not near it.
    assert list(by_policy(p, ERROR, usd, ALL, Policy("cheap", "max_loss", 0.1))) == [1, 0, 2]
    assert list(by_policy(p, ERROR, usd, ALL, Policy("enough", "min_p_correct", 0.7))) == [1, 0, 2]


def test_the_next_choices_are_computed_as_far_as_they_are_read() -> None:
    left = ALL.copy()
    order = by_policy(array(0.1, 0.2, 0.3, 0.4), ERROR, np.ones(4), left, Policy("best"))
    assert next(order) == 3
    assert left.all()  # the caller's own array stays


def test_a_stand_in_for_a_named_model_is_near_and_not_worse() -> None:
    distance, p = array(0.0, 0.1, 0.15, 0.2), array(0.5, 0.4, 0.5, 0.99)
    np.testing.assert_allclose(apart_from_named(distance, p, 0), [0.0, 0.1 + LOSS_WEIGHT * 0.1, 0.15, 0.2], rtol=1e-6)
    others = np.array([False, True, True, True])
    assert like_named(distance, p, 0, others) == [2, 3, 1]


def test_models_of_unknown_distance_or_p_are_not_like_the_named_one() -> None:
    others = np.array([False, True, True, True])
    assert like_named(array(0.0, np.nan, 0.1, 0.2), array(0.5, 0.5, np.nan, 0.5), 0, others) == [3]
    assert like_named(array(0.0, 0.1, 0.1, 0.2), array(np.nan, 0.5, 0.5, 0.5), 0, others) == []
