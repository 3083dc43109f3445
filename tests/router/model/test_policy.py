import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.model.policy import TIE, Policy, choose, lower_bounds, utilities

BEST = Policy("best")


def pick(p: list[float], price: list[float], policy: Policy = BEST, eligible: list[bool] | None = None) -> int | None:
    mask = np.ones(len(p), np.bool_) if eligible is None else np.array(eligible)
    return choose(np.array(p, np.float32), np.array(price), mask, policy)


@pytest.mark.parametrize(
    ("p", "price", "policy", "chosen"),
    [
        ([0.5, 0.9, 0.7], [1, 9, 1], BEST, 1),
        ([0.9, 0.9, 0.9], [3, 1, 1], BEST, 1),
        ([0.9, 0.9 + 1e-8], [1, 2], BEST, 0),
        ([0.9, 0.8], [0.02, 0.001], Policy("balanced", cost_weight=10), 1),
        ([0.9, 0.8], [0.002, 0.001], Policy("balanced", cost_weight=10), 0),
        ([0.9, 0.7, 0.65], [5, 2, 1], Policy("cheap", "cheapest", min_p_correct=0.7), 1),
        ([0.9, 0.7, 0.8], [5, 2, 2], Policy("cheap", "cheapest", min_p_correct=0.7), 2),
        ([0.5, 0.4], [5, 1], Policy("cheap", "cheapest", min_p_correct=0.7), 0),
        ([float("nan"), 0.1], [0, 5], BEST, 1),
    ],
)
def test_choices_by_hand(p: list[float], price: list[float], policy: Policy, chosen: int) -> None:
    assert pick(p, price, policy, [not np.isnan(x) for x in p]) == chosen


def test_without_an_eligible_model_none_is_chosen() -> None:
    assert pick([0.9, 0.8], [1, 1], eligible=[False, False]) is None
    assert pick([0.9, 0.8], [1, 1], eligible=[False, True]) == 1


@given(
    st.lists(st.tuples(st.floats(0, 1, width=32), st.floats(0, 10), st.booleans()), min_size=1, max_size=20),
    st.floats(0, 100),
)
def test_no_eligible_model_has_a_higher_utility(models: list[tuple[float, float, bool]], weight: float) -> None:
    p, price, eligible = (np.array(part) for part in zip(*models, strict=True))
    policy = Policy("x", cost_weight=weight)
    chosen = choose(p.astype(np.float32), price, eligible, policy)
    if chosen is None:
        assert not eligible.any()
        return
    value = utilities(p.astype(np.float32), price, policy)
    assert eligible[chosen]
    assert value[chosen] >= value[eligible].max() - TIE
    ties = eligible & (value >= value[eligible].max() - TIE)
    assert price[chosen] == price[ties].min()


def test_caution_takes_standard_errors_off_and_prefers_the_well_known_model() -> None:
    p, error = np.array([0.72, 0.70, 0.05], np.float32), np.array([0.10, 0.01, 0.10], np.float32)
    price = np.zeros(3)
    eligible = np.ones(3, np.bool_)
    bold, careful = Policy("bold"), Policy("careful", caution=1.0)
    np.testing.assert_array_equal(lower_bounds(p, error, bold), p)
    np.testing.assert_allclose(lower_bounds(p, error, careful), [0.62, 0.69, 0.0], atol=1e-6)
    assert choose(lower_bounds(p, error, bold), price, eligible, bold) == 0
    assert choose(lower_bounds(p, error, careful), price, eligible, careful) == 1
