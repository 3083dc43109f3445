"""The reasons for a choice, word by word: what a developer reads in `/v1/route`."""

import numpy as np
import pytest

from gateway.request.requirements import Requirements
from gateway.routing.decision import Decision, Scores, Switch
from gateway.routing.reasons import Reasons, prices, probabilities
from router.model.policy import Policy, choose, cost_weight

NAMES = ("large", "medium", "small")
P = (0.91, 0.88, 0.4)
USD = (0.012, 0.0003, 0.00001)
CHEAP = Policy("cheap", "max_loss", 0.05)
NEVER = Policy("never", "min_p_correct", 0.95)


def decided(
    policy: Policy | None, *, usd: tuple[float, ...] = USD, switch: Switch | None = None, familiarity: float = 1.0
) -> Reasons:
    requirements = Requirements(frozenset(), 1, None)
    p_correct, error = np.array(P, np.float32), np.full(3, 0.04, np.float32)
    scores = Scores(
        p_correct, error, np.array(usd), np.ones(3, np.bool_), np.ones(3, np.bool_), familiarity, requirements
    )
    if policy is None:
        return Reasons(Decision(NAMES, None, 1, scores))
    weight = cost_weight(policy, scores.price_usd)
    choice = choose(scores.compared(policy, switch), error, scores.price_usd, scores.capable, policy, weight)
    assert choice is not None
    chosen = switch.model if switch is not None and switch.forbidden else choice.model
    return Reasons(Decision(NAMES, policy, chosen, scores, switch, weight, choice))


@pytest.mark.parametrize(
    ("reasons", "why"),
    [
        (decided(None), ["the request names this model"]),
        (decided(Policy("best")), ["highest P(correct): large has 0.91; the next is medium with 0.88"]),
        (
            decided(Policy("p", "cost_weight", 10.0)),
            [
                "highest P(correct) - 10 * price in USD: medium has 0.880 - 10 * 0.0003 = 0.877; the next is large with "
                "0.910 - 10 * 0.012 = 0.790"
            ],
        ),
        (
            decided(CHEAP),
            [
                "cheapest model within 0.05 of the best: the best is large with 0.91; medium has 0.88 and costs 0.0003 USD "
                "instead of 0.012 USD"
            ],
        ),
        (
            decided(Policy("c", "max_loss", 0.01)),
            [
                "cheapest model within 0.01 of the best: large is itself the best with 0.91, and no cheaper model is good "
                "enough; it costs 0.012 USD"
            ],
        ),
        (
            decided(Policy("c", "min_p_correct", 0.3)),
            [
                "cheapest model with a P(correct) of at least 0.3: the best is large with 0.91; small has 0.40 and costs "
                "0.00001 USD instead of 0.012 USD"
            ],
        ),
        (
            decided(NEVER),
            [
                "no model reaches the minimum P(correct) of 0.95: the best is large with 0.91, so only the models within one "
                "standard error of it are considered, which is 0.04",
                "cheapest of these models: the best is large with 0.91; medium has 0.88 and costs 0.0003 USD instead of "
                "0.012 USD",
            ],
        ),
        (
            decided(Policy("q", "quality", 10)),
            ["quality 10 of 10: the price does not count", "highest P(correct): large has 0.91; the next is medium with 0.88"],
        ),
        (
            decided(Policy("q", "quality", 3), usd=(0.1, 0.1, 0.1)),
            [
                "quality 3 of 10: the models of this portfolio cost about the same",
                "highest P(correct): large has 0.91; the next is medium with 0.88",
            ],
        ),
        (
            decided(Policy("q", "quality", 5), usd=(0.011, 0.002, 0.001)),
            [
                "quality 5 of 10: at the prices of this portfolio a model may cost 0.0032 USD more if its P(correct) is higher "
                "by 0.1, which is a cost weight of 31.6",
                "highest P(correct) - 31.6 * price in USD: medium has 0.880 - 31.6 * 0.002 = 0.817; the next is large with "
                "0.910 - 31.6 * 0.011 = 0.562",
            ],
        ),
    ],
)  # fmt: skip
def test_the_reasons_for_the_choice(reasons: Reasons, why: list[str]) -> None:
    assert reasons.of_choice() == why


@pytest.mark.parametrize(
    ("reasons", "why"),
    [
        (
            decided(Policy("best"), switch=Switch(1, 0.05, 0.0, forbidden=False)),
            ["the conversation keeps its model: no other one is worth it, since a switch costs 0.05 of the others' P(correct)"],
        ),
        (
            decided(Policy("best"), switch=Switch(2, 0.05, 0.001, forbidden=False)),
            [
                "highest P(correct): large has 0.86; the next is medium with 0.83",
                "the conversation leaves small: the gain is worth it, although a switch costs 0.05 of the others' P(correct) and "
                "0.001 USD for the lost prompt cache",
            ],
        ),
        (
            decided(Policy("best", min_p_correct=0.6), switch=Switch(2, 0.05, 0.0, forbidden=True)),
            [
                "its tool calls are under way, so no other model may answer",
                "this model does not reach the minimum P(correct) of 0.6",
            ],
        ),
    ],
)  # fmt: skip
def test_the_reasons_in_a_conversation(reasons: Reasons, why: list[str]) -> None:
    assert reasons.of_choice() == why


def test_caution_and_an_unfamiliar_prompt_are_further_reasons() -> None:
    first, caution, unfamiliar = decided(Policy("best", caution=1.0), familiarity=0.1).of_choice()
    assert first == "highest P(correct): large has 0.87; the next is medium with 0.84"
    assert caution == "from each P(correct), 1 times its standard error is taken off"
    assert unfamiliar.startswith("the prompt is unlike the evaluated ones")


@pytest.mark.parametrize(
    ("reasons", "model", "why"),
    [
        (decided(None), 0, "the request names another model"),
        (decided(Policy("best")), 1, "its P(correct) is 0.88, lower than the 0.91 of large"),
        (decided(Policy("safe", caution=1.0)), 1, "its P(correct) counts as 0.84, lower than the 0.87 of large"),
        (decided(Policy("p", "cost_weight", 10.0)), 0, "0.910 - 10 * 0.012 = 0.790, less than the 0.877 of medium"),
        (decided(CHEAP), 0, "good enough with 0.91, but it costs 0.012 USD instead of 0.0003 USD"),
        (decided(CHEAP), 2, "its P(correct) is 0.40, more than 0.05 below the 0.91 of the best, large"),
        (
            decided(CHEAP, usd=(0.1, 0.1, 0.1)),
            1,
            "good enough and as cheap, but its P(correct) is 0.88 and that of large 0.91",
        ),
        (decided(Policy("c", "min_p_correct", 0.6)), 2, "its P(correct) is 0.40, below the minimum of 0.60"),
        (decided(Policy("best", min_p_correct=0.6)), 2, "its P(correct) is 0.40, below the minimum of 0.60"),
        (
            decided(NEVER),
            2,
            "its P(correct) is 0.40, more than one standard error (0.04) below the 0.91 of the best, large",
        ),
        (
            decided(Policy("best"), switch=Switch(1, 0.05, 0.0, forbidden=False)),
            0,
            "better than medium by 0.03, but a switch costs 0.05 of the others' P(correct)",
        ),
        (
            decided(Policy("best"), switch=Switch(1, 0.05, 0.0, forbidden=False)),
            2,
            "its P(correct) counts as 0.35, lower than the 0.88 of medium",
        ),
        (
            decided(Policy("best"), switch=Switch(1, 0.05, 0.0, forbidden=True)),
            2,
            "its P(correct) counts as 0.35, lower than the 0.88 of medium",
        ),
        (
            decided(Policy("best"), switch=Switch(2, 0.05, 0.0, forbidden=True)),
            0,
            "the tool calls of small are under way",
        ),
    ],
)
def test_the_reason_against_another_model(reasons: Reasons, model: int, why: str) -> None:
    assert reasons.against(model) == why


def test_a_decision_without_scores_has_no_reasons() -> None:
    with pytest.raises(ValueError, match="scores"):
        Reasons(Decision(NAMES, None, 1))


def test_numbers_that_differ_look_different() -> None:
    assert probabilities(0.91, 0.88) == ["0.91", "0.88"]
    assert probabilities(0.9041, 0.9) == ["0.904", "0.900"]
    assert probabilities(0.5, 0.5) == ["0.50", "0.50"]
    assert prices(0.00003, 0.0121) == ["0.00003", "0.012"]
    assert prices(0.0121, 0.0122) == ["0.0121", "0.0122"]
    assert prices(0.0, 12.0) == ["0", "12"]
