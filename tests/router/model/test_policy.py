import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from router.model.policy import (
    BEST_QUALITY,
    RULES,
    SAME_PRICE,
    TIE,
    Choice,
    Policy,
    Rule,
    best_model,
    choose,
    choose_each,
    cost_weight,
    lower_bounds,
    price_difference_usd,
    saving,
    utilities,
)

BEST = Policy("best")
CHEAP = Policy("cheap", "max_loss", 0.05)
ENOUGH = Policy("enough", "min_p_correct", 0.7)
# Models by p_correct and price; prices of real portfolios are zero, or far above the smallest floats.
PRICES = st.one_of(st.just(0.0), st.floats(1e-6, 10))
MODELS = st.lists(st.tuples(st.floats(0, 1, width=32), PRICES), min_size=1, max_size=20)
QUALITIES = st.floats(0, BEST_QUALITY)


def chosen(
    p: list[float],
    price: list[float],
    policy: Policy = BEST,
    eligible: list[bool] | None = None,
    error: float = 0.01,
) -> Choice | None:
    mask = np.ones(len(p), np.bool_) if eligible is None else np.array(eligible)
    p_correct, usd = np.array(p, np.float32), np.array(price, np.float64)
    errors = np.full(len(p), error, np.float32)
    return choose(p_correct, errors, usd, mask, policy, cost_weight(policy, usd))


def pick(p: list[float], price: list[float], policy: Policy = BEST, **more: float) -> int:
    choice = chosen(p, price, policy, **more)  # type: ignore[arg-type]
    assert choice is not None
    return choice.model


@pytest.mark.parametrize(
    ("p", "price", "policy", "model"),
    [
        ([0.5, 0.9, 0.7], [1, 9, 1], BEST, 1),
        ([0.9, 0.9, 0.9], [3, 1, 1], BEST, 1),
        ([0.9, 0.9 + 1e-8], [1, 2], BEST, 0),
        ([float("nan"), 0.1], [0, 5], BEST, 1),
        ([0.9, 0.8], [0.02, 0.001], Policy("balanced", "cost_weight", 10), 1),
        ([0.9, 0.8], [0.002, 0.001], Policy("balanced", "cost_weight", 10), 0),
        ([0.91, 0.88, 0.85], [0.012, 0.0003, 0.0001], CHEAP, 1),
        ([0.31, 0.28, 0.25], [0.012, 0.0003, 0.0001], CHEAP, 1),  # a hard query: the best model decides what is near
        ([0.91, 0.86, 0.85], [3, 2, 1], CHEAP, 1),  # exactly 0.05
        ([0.91, 0.88, 0.89], [3, 1, 1], CHEAP, 2),  # of two equally cheap ones, the better
        ([0.91, 0.1], [3, 1], Policy("any", "max_loss", 1.0), 1),
        ([0.91, 0.90], [3, 1], Policy("none", "max_loss", 0.0), 0),
        ([0.9, 0.7, 0.65], [5, 2, 1], ENOUGH, 1),
        ([0.9, 0.7, 0.8], [5, 2, 2], ENOUGH, 2),
        ([0.9, 0.8], [2, 1], Policy("q", "quality", 10), 0),
        ([0.9, 0.8], [2, 1], Policy("q", "quality", 5.1), 0),  # at 5 the typical differences outweigh each other
        ([0.9, 0.8], [2, 1], Policy("q", "quality", 4.9), 1),
        ([0.7, 0.8, 0.9], [1, 1, 1], Policy("q", "quality", 0), 2),  # equal prices: the best
    ],
)
def test_choices_by_hand(p: list[float], price: list[float], policy: Policy, model: int) -> None:
    assert pick(p, price, policy) == model


def test_a_choice_tells_the_limit_and_who_kept_it() -> None:
    choice = chosen([0.91, 0.88, 0.85], [3, 2, 1], CHEAP)
    assert choice is not None
    assert (choice.model, choice.reached) == (1, True)
    assert choice.lowest == pytest.approx(0.86)
    assert choice.considered.tolist() == [True, True, False]
    best = chosen([0.91, 0.88], [3, 2])
    assert best is not None
    assert (best.lowest, best.considered.all()) == (None, True)


def test_the_best_of_some_models_is_the_cheapest_of_equally_good_ones() -> None:
    p, price = np.array([0.9, 0.8, 0.8, 0.8]), np.array([1.0, 3.0, 2.0, 2.0])
    assert best_model(np.array([False, True, True, True]), p, price) == 2


@pytest.mark.parametrize(
    ("rule", "model"),
    [
        (ENOUGH, 1),  # the cheapest within one standard error of the best
        (Policy("best", min_p_correct=0.7), 0),  # a request's minimum leaves the rule as it is
        (Policy("thrifty", "cost_weight", 0.1, min_p_correct=0.7), 1),
        (Policy("near", "max_loss", 0.01, min_p_correct=0.7), 0),
        (Policy("far", "max_loss", 0.5, min_p_correct=0.7), 1),
    ],
)
def test_a_minimum_that_no_model_reaches_leaves_the_models_within_one_standard_error_of_the_best(
    rule: Policy, model: int
) -> None:
    choice = chosen([0.6, 0.55, 0.4], [5, 2, 1], rule, error=0.06)
    assert choice is not None
    assert (choice.model, choice.reached) == (model, False)


def test_the_standard_error_is_the_best_models_own() -> None:
    p, error = np.array([0.6, 0.55], np.float32), np.array([0.01, 0.3], np.float32)
    choice = choose(p, error, np.array([2.0, 1.0]), np.ones(2, np.bool_), ENOUGH)
    assert choice is not None
    assert (choice.model, choice.lowest) == (0, pytest.approx(0.59))


def test_a_requests_minimum_leaves_out_models_whatever_the_rule() -> None:
    thrifty = Policy("thrifty", "cost_weight", 1e6, min_p_correct=0.7)
    assert pick([0.9, 0.75, 0.5], [3, 2, 1], thrifty) == 1
    assert pick([0.9, 0.75, 0.5], [3, 2, 1], Policy("thrifty", "cost_weight", 1e6)) == 2
    assert pick([0.9, 0.75, 0.5], [3, 2, 1], Policy("any", "max_loss", 1.0, min_p_correct=0.7)) == 1


def test_without_an_eligible_model_none_is_chosen() -> None:
    assert chosen([0.9, 0.8], [1, 1], eligible=[False, False]) is None
    choice = chosen([0.9, 0.8], [1, 1], eligible=[False, True])
    assert choice is not None
    assert choice.model == 1


@given(
    st.lists(st.tuples(st.floats(0, 1, width=32), st.floats(0, 10), st.booleans()), min_size=1, max_size=20),
    st.floats(0, 100),
)
def test_no_eligible_model_has_a_higher_utility(models: list[tuple[float, float, bool]], weight: float) -> None:
    p, price, eligible = (np.array(part) for part in zip(*models, strict=True))
    policy, p_correct = Policy("x", "cost_weight", weight), p.astype(np.float32)
    choice = choose(p_correct, p_correct, price, eligible, policy, weight)
    if choice is None:
        assert not eligible.any()
        return
    value = utilities(p_correct, price, weight)
    assert eligible[choice.model]
    assert value[choice.model] >= value[eligible].max() - TIE
    ties = eligible & (value >= value[eligible].max() - TIE)
    assert price[choice.model] == price[ties].min()


@given(MODELS, st.floats(0, 1))
def test_cheap_loses_at_most_the_largest_loss_and_no_cheaper_model_does(
    models: list[tuple[float, float]], max_loss: float
) -> None:
    p, price = (list(part) for part in zip(*models, strict=True))
    model = pick(p, price, Policy("x", "max_loss", max_loss))
    assert p[model] >= max(p) - max_loss - 1e-5
    assert all(p[i] < max(p) - max_loss + 1e-5 for i in range(len(p)) if price[i] < price[model])


# Quality


@given(MODELS, QUALITIES, QUALITIES)
def test_a_higher_quality_never_chooses_a_worse_or_a_cheaper_model(
    models: list[tuple[float, float]], one: float, other: float
) -> None:
    p, price = (list(part) for part in zip(*models, strict=True))
    low, high = (pick(p, price, Policy("q", "quality", quality)) for quality in sorted((one, other)))
    assert price[low] <= price[high]
    assert p[low] <= p[high]


@given(MODELS, QUALITIES, st.floats(1e-3, 1e3))
def test_quality_does_not_depend_on_the_unit_of_money(
    models: list[tuple[float, float]], quality: float, factor: float
) -> None:
    p, price = (list(part) for part in zip(*models, strict=True))
    usd, policy = np.array(price), Policy("q", "quality", quality)
    # A model may be just as cheap as the cheapest one in one unit and, by rounding, just not in another.
    more, same = usd - usd.min(), SAME_PRICE * usd.min()
    assume(same == 0 or not np.isclose(more, same, rtol=1e-6, atol=0).any())
    weight, scaled = cost_weight(policy, usd), cost_weight(policy, usd * factor)
    assert scaled * factor == pytest.approx(weight)
    value = utilities(np.array(p, np.float32), usd, weight)
    model = pick(p, (usd * factor).tolist(), policy)
    assert value[model] == pytest.approx(value[pick(p, price, policy)], abs=2 * TIE)


def test_the_best_quality_ignores_prices_and_the_lowest_one_is_cheap_but_sensible() -> None:
    p, price = [0.4, 0.55, 0.7, 0.99], [0.001, 0.002, 0.002, 0.1]
    assert pick(p, price, Policy("q", "quality", 10)) == 3
    assert pick(p[:2], price[:2], Policy("q", "quality", 0)) == 0
    assert pick(p, price, Policy("q", "quality", 0)) == 2  # at the smallest price difference, better by more than 0.2


def test_a_step_of_quality_is_worth_two_points_at_a_price_difference_that_grows_with_the_quality() -> None:
    price, gains = np.array([0.5, 0.501, 1.5]), [0.2, 0.18, 0.1, 0.02, 0.0]
    for quality, gain in zip((0, 1, 5, 9, 10), gains, strict=True):
        assert cost_weight(Policy("q", "quality", quality), price) == pytest.approx(gain)
    wide = np.array([0.0, 0.001, 0.01, 0.1])
    weights = [cost_weight(Policy("q", "quality", quality), wide) for quality in (0, 5, 10)]
    assert weights == pytest.approx([0.2 / 0.001, 0.1 / 0.01, 0.0])


@pytest.mark.parametrize(
    ("price", "smallest", "largest"),
    [
        ([], 0.0, 0.0),
        ([2.0], 0.0, 0.0),
        ([2.0, 2.1], 0.0, 0.0),  # about the same
        ([0.0, 0.0, 0.0, 3.0], 3.0, 3.0),
        ([1.0, 1.05, 1.0, 3.0, 6.0], 2.0, 5.0),
        ([0.0, 1e-9, 1.0], 1e-3, 1.0),  # a price of nearly nothing does not stretch the scale
    ],
)
def test_price_differences_of_a_portfolio(price: list[float], smallest: float, largest: float) -> None:
    usd = np.array(price, np.float64)
    assert price_difference_usd(usd, 0) == pytest.approx(smallest)
    assert price_difference_usd(usd, 10) == pytest.approx(largest)
    assert price_difference_usd(usd, 5) == pytest.approx((smallest * largest) ** 0.5)


def test_only_weighing_rules_have_a_cost_weight() -> None:
    price = np.array([1.0, 2.0])
    assert cost_weight(Policy("w", "cost_weight", 7.0), price) == 7.0
    assert cost_weight(CHEAP, price) == cost_weight(ENOUGH, price) == 0.0


def test_caution_takes_standard_errors_off_and_prefers_the_well_known_model() -> None:
    p, error = np.array([0.72, 0.70, 0.05], np.float32), np.array([0.10, 0.01, 0.10], np.float32)
    bold, careful = Policy("bold"), Policy("careful", caution=1.0)
    np.testing.assert_array_equal(lower_bounds(p, error, bold), p)
    np.testing.assert_allclose(lower_bounds(p, error, careful), [0.62, 0.69, 0.0], atol=1e-6)
    more = np.array([0.0, 1.0, 0.0], np.float32)  # of one model, besides the policy's
    np.testing.assert_allclose(lower_bounds(p, error, careful, more), [0.62, 0.69 - error[1], 0.0], atol=1e-6)
    for policy, model in ((bold, 0), (careful, 1)):
        choice = choose(lower_bounds(p, error, policy), error, np.zeros(3), np.ones(3, np.bool_), policy)
        assert choice is not None
        assert choice.model == model


@given(st.integers(0, 2**32 - 1), st.sampled_from(RULES), st.booleans())
def test_many_queries_are_decided_as_each_of_them_alone(seed: int, rule: Rule, minimum: bool) -> None:
    rng = np.random.default_rng(seed)
    n, models = 12, int(rng.integers(1, 6))
    p = (rng.integers(0, 8, (n, models)) / 8).astype(np.float32)  # with ties
    p[rng.random((n, models)) < 0.1] = np.nan
    error = rng.random((n, models)).astype(np.float32) / 10
    usd = rng.integers(0, 4, (n, models)) / 100
    eligible = rng.random((n, models)) < 0.7
    value = {"cost_weight": 20.0, "quality": 5.0, "max_loss": 0.2, "min_p_correct": 0.6}[rule]
    policy = Policy("one", rule, value, min_p_correct=0.5 if minimum else None)
    weights = np.array([cost_weight(policy, prices) for prices in usd])
    found = choose_each(p, error, usd, eligible, policy, weights)
    for i in range(n):
        alone = choose(p[i], error[i], usd[i], eligible[i], policy, weights[i])
        assert found[i] == (-1 if alone is None else alone.model)


@pytest.mark.parametrize(
    ("policy", "factor", "model"),
    [
        (Policy("w", "cost_weight", 1.0), 1.0, 0),
        (Policy("w", "cost_weight", 1.0), 4.0, 1),
        (Policy("w", "cost_weight", 1.0), 20.0, 2),
        (BEST, 1.0, 0),  # the price counts nothing: then as at quality 9
        (BEST, 4.0, 1),
        (BEST, 400.0, 3),
        (Policy("q", "quality", 10.0), 4.0, 1),
        (Policy("l", "max_loss", 0.05), 1.0, 1),
        (Policy("l", "max_loss", 0.05), 4.0, 2),
        (Policy("l", "max_loss", 0.0), 4.0, 1),
        (Policy("l", "max_loss", 0.5), 4.0, 3),
        (ENOUGH, 4.0, 2),  # a minimum is kept
        (Policy("both", "max_loss", 0.05, min_p_correct=0.83), 40.0, 1),
    ],
)
def test_a_policy_that_saves_money_chooses_cheaper_models(policy: Policy, factor: float, model: int) -> None:
    p, usd = np.array([0.9, 0.86, 0.72, 0.2], np.float32), np.array([0.04, 0.02, 0.01, 0.0001])
    errors, saves = np.full(4, 0.01, np.float32), saving(policy, factor)
    choice = choose(p, errors, usd, np.ones(4, np.bool_), saves, cost_weight(saves, usd, factor))
    assert choice is not None
    assert choice.model == model


@given(MODELS, st.sampled_from(RULES), st.floats(0, 1), st.floats(1, 100))
def test_a_policy_that_saves_money_never_chooses_a_dearer_model(
    models: list[tuple[float, float]], rule: Rule, value: float, factor: float
) -> None:
    p, price = (list(part) for part in zip(*models, strict=True))
    policy = Policy("one", rule, value * {"quality": 10, "cost_weight": 100}.get(rule, 1))
    usual = chosen(p, price, policy)
    saves, usd = saving(policy, factor), np.array(price)
    before, after = cost_weight(policy, usd), cost_weight(saves, usd, factor)
    errors = np.full(len(p), 0.01, np.float32)
    choice = choose(np.array(p, np.float32), errors, usd, np.ones(len(p), np.bool_), saves, after)
    assert usual is not None
    assert choice is not None
    dearer = price[choice.model] - price[usual.model]
    assert dearer <= 0 or 0 < (after - before) * dearer <= 2 * TIE  # equal but for rounding
