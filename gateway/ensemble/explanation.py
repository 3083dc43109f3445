"""For `POST /v1/route`: whether several models would be asked, which ones, and what that is expected to cost and to gain."""

from gateway.bodies.offload import LARGE, offloaded
from gateway.config.ensemble import Ensemble
from gateway.core.json_types import JsonObject
from gateway.ensemble.expected import expected
from gateway.ensemble.plan import Member, Plan, plan
from gateway.request.chat_request import ChatRequest
from gateway.routing.decision import Decision

_MANY = 6  # members, for which the expectation takes 10 ms or more


async def explain_ensemble(ensemble: Ensemble, request: ChatRequest, decision: Decision) -> JsonObject:
    """The part `ensemble` of the response.

    Args:
        ensemble: the settings that the request asks for.
        decision: for the request.
    """
    planned = plan(ensemble, decision, request)
    found = None
    if planned.members:
        size = LARGE if len(planned.members) >= _MANY else 0
        found = await offloaded(size, _expected, planned, decision)
    return {
        "asked": bool(planned.members),
        "why": planned.reason,
        "members": [_member(member) for member in planned.members],
        "spare": [member.name for member in planned.spare],
        "judge": planned.ensemble.judge,
        "max_calls": ensemble.max_calls,
        "max_usd": ensemble.max_usd,
        "expected": found,
    }


def _member(member: Member) -> JsonObject:
    return {"model": member.name, "p_correct": member.p_correct, "weight": member.weight, "price_usd": member.usd}


def _expected(plan: Plan, decision: Decision) -> JsonObject:
    """What the members are expected to give and to cost, beside one call of the chosen model.

    What a fused answer gains is not known. A judge that only compares answers is not counted: whether it is called depends on them.
    """
    one_call, p_correct = decision.price_of(decision.model), None
    if plan.ensemble.aggregate == "fuse":
        prices = [*(member.usd for member in plan.members), decision.price_of(plan.ensemble.judge or "")]
        known = [price for price in prices if price is not None]
        calls, usd = float(len(prices)), sum(known) if len(known) == len(prices) else None
    else:
        found = expected(plan)
        p_correct, calls, usd = found.p_correct, found.calls, found.usd
    p_of_one = decision.p_chosen
    return {
        "calls": calls,
        "usd": usd,
        "more_usd": None if usd is None or one_call is None else usd - one_call,
        "p_correct": p_correct,
        "gain": None if p_correct is None or p_of_one is None else p_correct - p_of_one,
    }
