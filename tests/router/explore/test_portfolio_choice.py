"""Choosing k models: cases by hand, the guarantees against brute force, and plain references for the fast versions."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from research.bench.portfolio_search import expected_accuracy
from router.explore.portfolio_choice import (
    Coverage,
    coverage_greedy,
    coverage_under_budget,
    smallest_enough,
)


def plain_greedy(p: NDArray[np.float64], weights: NDArray[np.float64], k: int) -> tuple[int, ...]:
    picked: list[int] = []
    for _ in range(k):
        rest = [m for m in range(p.shape[1]) if m not in picked]
        picked.append(max(rest, key=lambda m: (round(expected_accuracy(p, weights, [*picked, m]), 12), -m)))
    return tuple(picked)


@given(st.integers(0, 10_000), st.integers(1, 8), st.booleans())
@settings(max_examples=60, deadline=None)
def test_lazy_greedy_picks_what_plain_greedy_does(seed: int, k: int, coarse: bool) -> None:
    rng = np.random.default_rng(seed)
    p, weights = rng.random((25, 8)), rng.random(25)
    if coarse:  # many equal gains, which go to the lower column
        p, weights = np.round(p), np.ones(25)
    coverage = coverage_greedy(p, weights, k)
    assert coverage.models == plain_greedy(p, weights, k)
    assert coverage.accuracy[-1] == pytest.approx(expected_accuracy(p, weights, coverage.models), abs=1e-12)
    assert list(coverage.accuracy) == sorted(coverage.accuracy)
    best = max(expected_accuracy(p, weights, kept) for kept in combinations(range(8), k))
    assert coverage.accuracy[-1] >= (1 - 1 / np.e) * best
    assert np.isnan(coverage.usd_per_query).all()


def test_specialists_beat_the_all_rounder_that_greedy_starts_with() -> None:
    # By hand: column 0 answers 2/3 of every query; columns 1 and 2 answer one half of the queries each, for certain.
    p = np.array([[0.7, 1.0, 0.0]] * 3 + [[0.7, 0.0, 1.0]] * 3)
    coverage = coverage_greedy(p, None, 2)
    assert coverage.models == (0, 1)
    assert coverage.accuracy == pytest.approx((0.7, 0.85))
    assert expected_accuracy(p, None, [1, 2]) == pytest.approx(1.0)
    assert coverage_greedy(p, np.array([1, 1, 1, 0, 0, 0.0]), 1).models == (1,)


def value_under(p: NDArray[np.float64], prices: NDArray[np.float64], budget: float, models: tuple[int, ...]) -> float:
    """The best accuracy within the budget over a fine grid of cost weights: an independent reference."""
    best = 0.0
    columns, price = p[:, list(models)], prices[list(models)]
    for weight in [0.0, *np.geomspace(1e-3, 1e6, 4000)]:
        choice = (columns - weight * price).argmax(axis=1)
        if price[choice].mean() <= budget:
            best = max(best, float(columns[np.arange(len(p)), choice].mean()))
    return best


@pytest.mark.parametrize("seed", range(6))
def test_under_a_budget_the_portfolio_is_nearly_the_best_there_is(seed: int) -> None:
    rng = np.random.default_rng(seed)
    prices = np.geomspace(0.001, 0.02, 6)
    p = np.clip(rng.normal(0.3, 0.2, (60, 6)) + np.linspace(0, 0.4, 6), 0, 1)
    coverage = coverage_under_budget(p, None, prices, 0.004, k=2)
    assert len(coverage.models) == 2
    assert coverage.usd_per_query[-1] <= 0.004 + 1e-9
    best = max(value_under(p, prices, 0.004, kept) for kept in combinations(range(6), 2))
    assert 0.98 * best <= coverage.accuracy[-1] <= best + 0.005
    chosen = (p[:, list(coverage.models)] - coverage.cost_weight * prices[list(coverage.models)]).argmax(axis=1)
    assert prices[list(coverage.models)][chosen].mean() == pytest.approx(coverage.usd_per_query[-1])


def test_a_budget_alone_takes_as_few_models_as_are_enough() -> None:
    rng = np.random.default_rng(1)
    p, prices = rng.random((80, 7)), np.array([1.0, 2, 3, 4, 5, 6, 7])
    coverage = coverage_under_budget(p, None, prices, 3.0)
    everything = coverage_under_budget(p, None, prices, 3.0, k=7)
    smaller = coverage_under_budget(p, None, prices, 3.0, k=len(coverage.models) - 1)
    assert coverage.usd_per_query[-1] <= 3.0 + 1e-6
    assert coverage.accuracy[-1] >= 0.99 * everything.accuracy[-1] > smaller.accuracy[-1]


def test_an_ample_budget_is_no_constraint_and_a_tight_one_leaves_the_cheapest() -> None:
    p, prices = np.random.default_rng(2).random((40, 5)), np.array([0.5, 0.4, 0.3, 0.2, 0.1])
    ample = coverage_under_budget(p, None, prices, 1.0, k=3)
    assert (ample.models, ample.cost_weight) == (coverage_greedy(p, None, 3).models, 0.0)
    tight = coverage_under_budget(p, None, prices, 0.1, k=3)
    assert tight.usd_per_query[-1] == pytest.approx(0.1)
    assert tight.accuracy[-1] == pytest.approx(p[:, 4].mean())
    with pytest.raises(ValueError, match=r"a budget of 0\.09 USD per query is below the cheapest model's 0\.1"):
        coverage_under_budget(p, None, prices, 0.09)
    free = coverage_under_budget(p, None, np.zeros(5), 0.0, k=2)
    assert (free.models, free.cost_weight) == (coverage_greedy(p, None, 2).models, 0.0)


def test_the_smallest_portfolio_that_is_enough() -> None:
    coverage = Coverage((3, 1, 2), (0.5, 0.7, 0.72), (np.nan,) * 3)
    assert smallest_enough(coverage, 0.72) == 3
    assert smallest_enough(coverage, 0.70) == 2
    assert smallest_enough(coverage, 0.72, share=0.9) == 2
    assert smallest_enough(coverage, 0.9) is None


@pytest.mark.parametrize("k", [0, 6])
def test_more_models_than_there_are_is_an_error(k: int) -> None:
    p = np.full((3, 5), 0.5)
    with pytest.raises(ValueError, match=rf"k must be from 1 to 5, got {k}"):
        coverage_greedy(p, None, k)


def test_weights_and_shapes_that_do_not_fit_are_errors() -> None:
    p = np.full((3, 5), 0.5)
    for weights in (np.ones(2), np.zeros(3), np.array([1, 1, -1.0]), np.array([1, 1, np.nan])):
        with pytest.raises(ValueError, match="expected 3 non-negative weights"):
            coverage_greedy(p, weights, 1)
    with pytest.raises(ValueError, match="5 non-negative prices"):
        coverage_under_budget(p, None, np.ones(4), 1.0)
