import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import beta

from gateway.feedback.rates import LEAST_KNOWN, Rates, beta_quantile, measured_rates


@given(st.floats(0.01, 0.99), st.integers(1, 400), st.integers(1, 400))
def test_quantiles_are_those_of_scipy(share: float, a: int, b: int) -> None:
    assert beta_quantile(share, a, b) == pytest.approx(beta.ppf(share, a, b), abs=1e-9)


def test_rates_are_declared_until_enough_is_known() -> None:
    few = [(1.0, 1.0)] * (LEAST_KNOWN - 1) + [(0.0, 0.0)] * LEAST_KNOWN
    rates = measured_rates(few, 0.7, 0.6)
    assert rates == Rates(0.7, pytest.approx(beta.ppf(0.25, 11, 1)), LEAST_KNOWN - 1, LEAST_KNOWN)
    assert measured_rates([], 0.9, 0.8) == Rates(0.9, 0.8)


def test_measured_rates_are_careful() -> None:
    pairs = [(1.0, 1.0)] * 80 + [(0.2, 1.0)] * 20 + [(0.0, 0.0)] * 45 + [(0.5, 0.1)] * 5
    rates = measured_rates(pairs, 0.5, 0.5)
    assert 0.75 < rates.sensitivity < 0.8
    assert 0.83 < rates.specificity < 0.9
    assert (rates.right, rates.wrong) == (100, 50)
