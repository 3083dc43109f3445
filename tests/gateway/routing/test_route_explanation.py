import numpy as np
import pytest

from gateway.request.requirements import Requirements
from gateway.routing.decision import Decision, Scores, Switch
from gateway.routing.route_explanation import _chosen_because, _passed_over_because
from router.model.policy import Policy

NAMES = ("a", "b")
CHEAP = Policy("cheap", rule="cheapest", min_p_correct=0.6)
SWITCH = Switch(0, 0.1, 0.0, forbidden=False)


def scores(guarded: bool = False) -> Scores:
    p, error = np.array([0.5, 0.75], np.float32), np.array([0.125, 0.25], np.float32)
    requirements = Requirements(frozenset(), 1, None)
    return Scores(p, error, np.array([0.01, 0.02]), np.ones(2, np.bool_), guarded, requirements)


@pytest.mark.parametrize(
    ("decision", "why"),
    [
        (Decision(NAMES, None, 1), "named by the request"),
        (Decision(NAMES, Policy("best"), 1), "highest p_correct"),
        (Decision(NAMES, Policy("safe", caution=1.0), 0), "highest p_correct - 1 standard errors"),
        (Decision(NAMES, Policy("p", cost_weight=3.0), 1), "highest utility at cost weight 3.0"),
        (Decision(NAMES, CHEAP, 1), "cheapest with p_correct of at least 0.6"),
        (Decision(NAMES, CHEAP, 0, switch=Switch(0, 0.1, 0.0, forbidden=True)), "its tool calls are under way"),
        (
            Decision(NAMES, Policy("best"), 0, switch=SWITCH),
            "the conversation keeps its model: no other one is better by more than the switch costs",
        ),
    ],
)
def test_the_reason_for_the_choice(decision: Decision, why: str) -> None:
    assert _chosen_because(decision, scores()) == [why]


def test_guarded_predictions_are_a_second_reason() -> None:
    _, guarded = _chosen_because(Decision(NAMES, Policy("best"), 1), scores(guarded=True))
    assert guarded.startswith("based on the models' means")


@pytest.mark.parametrize(
    ("decision", "p", "utility", "why"),
    [
        (Decision(NAMES, None, 1), 0.5, 0.5, "another model is named by the request"),
        (Decision(NAMES, Policy("best"), 1), 0.5, 0.5, "lower utility"),
        (Decision(NAMES, Policy("best"), 0, switch=SWITCH), 0.75, 0.75, "better, but by less than the switch costs"),
        (Decision(NAMES, CHEAP, 0), 0.75, 0.0, "more expensive"),
        (Decision(NAMES, CHEAP, 0), 0.5, 0.0, "p_correct below 0.6"),
        (
            Decision(NAMES, Policy("c", rule="cheapest", min_p_correct=0.6, caution=1.0), 0),
            0.75,
            0.0,
            "p_correct - 1 standard errors below 0.6",
        ),
    ],
)
def test_the_reason_against_another_model(decision: Decision, p: float, utility: float, why: str) -> None:
    assert _passed_over_because(decision, p, 0.25, utility, scores()) == why
