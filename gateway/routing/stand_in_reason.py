"""Why a stand-in comes where it does in the order, in plain English with its numbers. Knows no HTTP."""

from gateway.routing.candidate import Candidate
from gateway.routing.decision import Decision
from gateway.routing.reasons import prices, probabilities
from router.model.stand_ins import LOSS_WEIGHT


def stand_in_reason(decision: Decision, model: int, candidate: Candidate) -> str:
    """The reason for the place of a stand-in.

    Args:
        decision: with its scores.
        model: index of the stand-in.
    """
    if candidate.rule == "fallbacks":
        return f"listed in the `fallbacks` of {decision.model}"
    if candidate.rule == "best" and decision.policy is not None and decision.scores is not None:
        [p], [usd] = probabilities(decision.scores.p_correct[model]), prices(decision.scores.price_usd[model])
        return f"the policy {decision.policy.name} would choose it next: its P(correct) is {p}, its price {usd} USD"
    if candidate.distance is None:
        return f"its distance to {decision.model} is not known, so it comes after the others, as in the portfolio file"
    distance = candidate.distance
    if candidate.rule == "best" and candidate.predicted_loss is not None:
        loss = max(0.0, candidate.predicted_loss)
        total = distance + LOSS_WEIGHT * loss
        return f"nearest for this query: distance {distance:.3f} + {LOSS_WEIGHT:g} * predicted loss {loss:.3f} = {total:.3f}"
    return f"nearest in the model space: distance {distance:.3f}"
