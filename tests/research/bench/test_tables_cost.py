"""Cost: hull, area and prices worked out by hand, and the sweep on the small world."""

import numpy as np
import pytest

from research.bench.rows import OURS
from research.bench.tables import cost as table
from research.bench.tables.context import Context
from research.bench.tables.cost_curves import Priced, area, cost_of, cost_on_hull, hull, query_prices, swept

_ = np.nan


def test_the_hull_is_concave_and_never_falls() -> None:
    usd, accuracy = np.array([1.0, 2, 3, 4, 5, 2]), np.array([0.2, 0.3, 0.6, 0.55, 0.5, 0.1])
    xs, ys = hull(usd, accuracy)
    assert xs.tolist() == [1, 3]  # (2, 0.3) lies below the line from (1, 0.2) to (3, 0.6)
    assert ys.tolist() == [0.2, 0.6]
    xs, ys = hull(np.array([1.0, 2, 3]), np.array([0.2, 0.5, 0.6]))
    assert xs.tolist() == [1, 2, 3]
    xs, ys = hull(np.array([2.0, 1, 1]), np.array([0.5, 0.6, 0.7]))
    assert (xs.tolist(), ys.tolist()) == ([1], [0.7])


def test_the_area_is_the_mean_height_over_the_pools_range() -> None:
    usd, accuracy = np.array([1.0, 3]), np.array([0.2, 0.6])
    assert area(usd, accuracy, (1.0, 3.0)) == pytest.approx(0.4)
    assert area(usd, accuracy, (1.0, 5.0)) == pytest.approx((0.4 * 2 + 0.6 * 2) / 4)
    assert area(usd, accuracy, (0.0, 3.0)) < 0.4  # nothing can be had for less than 1
    assert area(np.array([2.0]), np.array([0.7]), (2.0, 2.0)) == pytest.approx(0.7)


def test_the_cost_of_a_level_is_that_of_a_routing_that_reaches_it() -> None:
    usd, accuracy = np.array([4.0, 3, 2, 1]), np.array([0.7, 0.8, 0.6, 0.1])
    assert cost_of(usd, accuracy, 0.7) == 3
    assert cost_of(usd, accuracy, 0.6) == 2
    assert cost_of(usd, accuracy, 0.9) is None


def test_by_lot_a_level_may_cost_less_than_at_any_cost_weight() -> None:
    usd, accuracy = np.array([1.0, 2, 3]), np.array([0.2, 0.3, 0.6])
    assert cost_of(usd, accuracy, 0.5) == 3
    assert cost_on_hull(usd, accuracy, 0.5) == pytest.approx(2.5)
    assert cost_on_hull(usd, accuracy, 0.1) == 1
    assert cost_on_hull(usd, accuracy, 0.61) is None


def test_where_the_best_single_model_did_not_answer_the_next_best_does(pool: Priced) -> None:
    assert table._single(pool) == {"accuracy": 1.0, "usd": pytest.approx((10 + 10 + 2) / 3)}


@pytest.fixture
def pool() -> Priced:
    """A cheap model and an expensive one, which did not answer the last query."""
    scores = np.array([[1, 0, 1], [1, 1, _]], np.float64)
    return Priced(
        "p",
        np.array([0, 1, 2]),
        np.array([0, 1]),
        scores,
        np.array([[1.0, 1, 2], [10, 10, 20]]),
        np.array([0.5, 0.9], np.float32),
    )


def test_a_sweep_goes_from_the_best_to_the_cheapest(pool: Priced) -> None:
    p = np.array([[0.5, 0.1, 0.5], [0.6, 0.9, 0.9]], np.float32)
    sweep = swept(pool, p)
    usd, accuracy = sweep.curve()
    assert (usd[0], accuracy[0]) == (pytest.approx((10 + 10 + 2) / 3), 1)
    assert (usd[-1], accuracy[-1]) == (pytest.approx((1 + 1 + 2) / 3), pytest.approx(2 / 3))
    assert (np.diff(usd) <= 1e-12).all()
    # by predictions alone the expensive model is worth its price for query 1 only
    assert cost_of(usd, accuracy, 1.0) == pytest.approx((1 + 10 + 2) / 3)
    assert pool.span() == (pytest.approx(4 / 3), pytest.approx((10 + 10 + 2) / 3))
    weighted_usd, _accuracy = sweep.curve(np.array([0.0, 0.0, 3.0]))
    assert weighted_usd[0] == 2


def test_equal_predictions_go_to_the_cheaper_model_and_unknown_ones_last(pool: Priced) -> None:
    usd, _accuracy = swept(pool, np.full((2, 3), 0.5, np.float32)).curve()
    assert usd[0] == pytest.approx(4 / 3)
    usd, _accuracy = swept(pool, np.array([[_, _, _], [0.1, 0.1, 0.1]], np.float32)).curve()
    assert usd[0] == pytest.approx(22 / 3)


def test_a_query_costs_its_prompt_and_a_fixed_answer(small: Context) -> None:
    usd = query_prices(small, np.array([2]), np.array([7]))
    tokens = len(small.data.prompts[7]) / 4 + 400
    assert usd[0, 0] == pytest.approx(3.0 * tokens / 1e6)


def test_the_small_world_is_routed_for_less_than_its_best_model_costs(small: Context) -> None:
    result = table.measure(small)
    assert result["unpriced"] == []
    sums = result["pools"]["sums"]
    assert set(sums["rows"]) == {"kNN", "EmbedLLM", OURS, table.SINGLE_MODELS}
    low, high = sums["span"]
    assert low < sums["single"]["usd"] < high
    for row in ("kNN", "EmbedLLM", OURS):
        assert 0.5 < sums["rows"][row]["aiq"] <= 1
    gap = sums["rows"]["kNN"]["difference"]
    assert gap["low"] <= gap["mean"] <= gap["high"]
    assert gap["mean"] == pytest.approx(sums["rows"]["kNN"]["aiq"] - sums["rows"][OURS]["aiq"])
    text = table.section(result)
    assert "| single models |" in text
    assert "| sums, 97% |" in text


def test_data_without_prices_are_said_to_have_none(small: Context) -> None:
    from dataclasses import replace

    result = table.measure(replace(small, prices={}))
    assert result["pools"] == {}
    assert "no `prices.csv`" in table.section(result)
