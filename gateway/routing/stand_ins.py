"""The order of the stand-ins of one decision, with the rule that puts each where it is. Computed only as far as it is read."""

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from gateway.core.vocabulary import StandInRule
from gateway.routing.decision import Decision, Scores
from gateway.routing.permission import Permission
from router.model.stand_ins import by_policy, like_named, nearest


def in_order(
    decision: Decision,
    scores: Scores,
    distance: NDArray[np.float32],
    among: NDArray[np.bool_],
    on_trial: NDArray[np.bool_],
    permission: Permission,
    index: Mapping[str, int],
) -> Iterator[tuple[int, StandInRule]]:
    """Index and rule of each stand-in, the best first.

    `best` needs P(correct): for models where it is not known, and for all if the query is not encoded, `nearest` counts.

    Args:
        scores: of the request; their p_correct is NaN if the query is not encoded.
        distance: to the chosen model, (M,), float32; NaN if it is not known.
        among: the models that can serve the request, (M,), bool.
        on_trial: models that may have a share of the requests only, (M,), bool; they come after the others, unless they are
            fallbacks, because an outage would send them more.
        index: name -> index of the portfolio's models.
    """
    left = among.copy()
    left[decision.chosen] = False
    for name in permission.fallbacks:
        i = index[name]
        if left[i]:
            left[i] = False
            yield i, "fallbacks"
    if permission.order is None:
        return
    for group in (left & ~on_trial, left & on_trial):
        if permission.order == "best":
            for i in _best(decision, scores, distance, group.copy()):
                group[i] = False
                yield i, "best"
        for i in nearest(distance, group):
            yield i, "nearest"


def _best(decision: Decision, scores: Scores, distance: NDArray[np.float32], among: NDArray[np.bool_]) -> Iterator[int]:
    """The models of known P(correct): what the policy would choose next, or what is most like the model that the client named."""
    policy, chosen = decision.policy, decision.chosen
    if policy is None:
        yield from like_named(distance, scores.p_correct, chosen, among)
        return
    # A conversation pays the price of its switch at whichever other model it goes to.
    switch = None if decision.kept else decision.switch
    p = scores.compared(policy, switch)
    yield from by_policy(p, scores.standard_error, scores.price_usd, among, policy, decision.cost_weight)
