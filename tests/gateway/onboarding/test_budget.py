"""What probes may cost: never more than the limit, whatever the prices are and the providers bill within their limits."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.config.portfolio import Deployment, Model
from gateway.config.price import Price
from gateway.core.usage import Usage
from gateway.onboarding.budget import Budget, PriceUnknown, Reserved, check_prices, highest_known_nusd, highest_nusd
from gateway.onboarding.probe_calls import Question

QUESTION = Question("What is 6 times 7?", max_tokens=100)


def deployment(price: Price | None) -> Deployment:
    return Deployment("new/0", "new", "direct", "up", price=price)


def test_the_highest_cost_is_that_of_the_dearest_deployment() -> None:
    cheap, dear = Price.of({"input": 1.0, "output": 1.0}), Price.of({"input": 1.0, "output": 20.0, "reasoning": 30.0})
    one = highest_nusd([deployment(dear)], QUESTION)
    assert highest_nusd([deployment(cheap), deployment(dear)], QUESTION) == one
    assert one >= 100 * 30_000 + 5 * 1_000
    assert highest_nusd([deployment(None)], QUESTION) == 0


def test_a_model_of_unknown_price_has_no_highest_cost_unless_it_is_free() -> None:
    priced = deployment(Price.of({"input": 1.0, "output": 1.0}))
    model = Model("new", (priced, deployment(None)), None, None, 8192)
    assert highest_known_nusd(model, QUESTION) is None
    assert highest_known_nusd(replace(model, unpriced="free"), QUESTION) == highest_nusd([priced], QUESTION) > 0


@given(
    limit=st.floats(0.001, 5.0),
    rates=st.lists(st.tuples(st.floats(0, 100), st.floats(0, 500)), min_size=1, max_size=3),
    calls=st.lists(st.tuples(st.integers(1, 4_000), st.floats(0, 1), st.integers(0, 2)), max_size=60),
)
def test_calls_within_their_limits_never_cost_more_than_the_budget(
    limit: float, rates: list[tuple[float, float]], calls: list[tuple[int, float, int]]
) -> None:
    deployments = [deployment(Price.of({"input": one, "output": other})) for one, other in rates]
    budget, running = Budget(limit), list[tuple[Reserved, int]]()
    for max_tokens, used, answers in calls:
        reserved = budget.reserve(highest_nusd(deployments, Question("word " * 40, max_tokens)))
        if reserved is not None:
            price = deployments[max_tokens % len(deployments)].price
            assert price is not None
            running.append((reserved, price.cost_nusd(Usage(60, int(used * max_tokens)))))
        for _ in range(min(answers, len(running))):  # several calls run at once
            budget.settle(*running.pop(0))
    for each in running:
        budget.settle(*each)
    assert budget.reserved_nusd == 0
    assert budget.spent_nusd <= limit * 1e9


def test_a_provider_that_bills_more_than_was_possible_is_expected_to_do_so_again() -> None:
    budget = Budget(1e-6)  # 1,000 nano-USD
    first = budget.reserve(100)
    assert first == Reserved(100, 100)
    budget.settle(first, 400)
    assert budget.spent_nusd == 400
    assert budget.reserve(151) is None
    assert budget.reserve(150) == Reserved(150, 600)


def test_what_an_interrupted_process_spent_and_may_have_spent_counts() -> None:
    budget = Budget(1e-6, spent_nusd=300, reserved_nusd=500)
    assert budget.reserve(201) is None
    assert budget.reserve(200) == Reserved(200, 200)


@pytest.mark.parametrize(
    ("of_model", "of_job", "refused"),
    [("refuse", None, True), ("free", None, False), ("refuse", "free", False), ("free", "refuse", True)],
)
def test_a_price_that_is_not_known_is_refused_with_the_field_to_set(
    of_model: str, of_job: str | None, refused: bool
) -> None:
    known = deployment(Price.of({"input": 1.0}))
    model = Model(
        "new", (known, deployment(None)), None, None, 8_192, unpriced="free" if of_model == "free" else "refuse"
    )
    if not refused:
        check_prices(model, of_job)
        return
    with pytest.raises(PriceUnknown, match=r"price of new/0 is not known.*`price: .*--unpriced free"):
        check_prices(model, of_job)
