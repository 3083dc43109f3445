"""Explains a decision for `POST /v1/route`: its rule and reasons, and each model with P(correct), price, utility and a reason."""

from collections.abc import Collection
from dataclasses import replace

import numpy as np

from gateway.core.json_types import JsonObject
from gateway.request.chat_request import ChatRequest
from gateway.request.conversation import Conversation
from gateway.routing.candidate import Candidate
from gateway.routing.decision import Decision, Scores
from gateway.routing.nearby_queries import explain_evidence
from gateway.routing.reasons import Reasons, prices
from gateway.routing.routing import Routing
from gateway.routing.stand_in_reason import stand_in_reason

BARRED = "no stand-in: its predicted loss is more than the policy's max_predicted_loss"


async def explain(routing: Routing, request: ChatRequest, conversation: Conversation, decision: Decision) -> JsonObject:
    """The response body of `/v1/route`, without its part `ensemble`.

    Args:
        decision: for the request in this conversation.
    """
    scores = decision.scores or await routing.scores(request)
    decision = replace(decision, scores=scores)
    chosen, *stand_ins = routing.candidates(request, decision)
    barred = {candidate.model.name for candidate in stand_ins if candidate.barred}
    first = next((one for one in (chosen, *stand_ins) if not one.barred and one.model.unavailable() is None), None)
    serving = None if first is None else first.model.name
    reasons = Reasons(decision)
    utility = decision.utilities(scores)
    candidates = [
        _explain_model(routing, i, request, scores, float(utility[i]))
        | {"why": "; ".join(_why(routing, i, request, reasons, serving, barred))}
        for i, name in enumerate(routing.names)
        if request.overrides.allowed.model(name)
    ]
    candidates.sort(key=lambda c: (not c["eligible"], -(c["utility"] if c["utility"] is not None else -np.inf)))
    return {
        "policy": None if decision.policy is None else decision.policy.name,
        "rule": _rule(decision, reasons),
        "why": reasons.of_choice(),
        "chosen": decision.model,
        "serving": serving,
        "stand_in": None if first is None or not first.stand_in else _stand_in(routing, decision, first),
        "stand_ins": {
            "allowed": None if chosen.permission is None else chosen.permission.explanation(),
            "in_order": [_explain_stand_in(routing, one, decision) for one in stand_ins],
        },
        "familiarity": None if scores.familiarity is None else round(scores.familiarity, 3),
        "conversation": _conversation(routing, decision, conversation),
        "query": request.query,
        "need": {
            "capabilities": sorted(scores.requirements.capabilities),
            "prompt_tokens": scores.requirements.prompt_tokens,
            "output_tokens": scores.requirements.output_tokens,
        },
        "evidence": _evidence(routing, request, decision, candidates),
        "candidates": candidates,
    }


def _stand_in(routing: Routing, decision: Decision, candidate: Candidate) -> JsonObject:
    """The model that would answer for the chosen one, and why no deployment of the chosen one can be called."""
    cause, reason = routing.live[decision.chosen].deployments[0].not_called_because()
    return {
        "model": candidate.model.name,
        "for": decision.model,
        "rule": candidate.rule,
        "distance": candidate.distance,
        "predicted_loss": candidate.predicted_loss,
        "cause": cause,
        "reason": reason,
    }


def _explain_stand_in(routing: Routing, candidate: Candidate, decision: Decision) -> JsonObject:
    name, unavailable = candidate.model.name, candidate.model.unavailable()
    why = [stand_in_reason(decision, decision.models.index(name), candidate)]
    if candidate.barred:
        why.append(BARRED)
    if unavailable is not None:
        why.append(unavailable)
    return {
        "model": name,
        "rule": candidate.rule,
        "distance": candidate.distance,
        "predicted_loss": candidate.predicted_loss,
        "allowed": not candidate.barred,
        "available": unavailable is None,
        "why": "; ".join(why),
    }


def _evidence(routing: Routing, request: ChatRequest, decision: Decision, candidates: list[JsonObject]) -> JsonObject:
    """Evaluated queries near this one that the chosen model passed and the best other model failed."""
    others = [c for c in candidates if c["eligible"] and c["model"] != decision.model]
    runner_up = others[0] if others else None
    found = explain_evidence(
        routing.router,
        routing.encoding(request),
        routing.embeddings(request)[decision.chosen],
        runner_up["embedding"] if runner_up is not None else None,
    )
    return {"passed_by": decision.model, "failed_by": runner_up and runner_up["model"]} | found


def _conversation(routing: Routing, decision: Decision, conversation: Conversation) -> JsonObject | None:
    """The model of the conversation, and the price of a switch to another model; None if it has no model yet."""
    switch = decision.switch
    if switch is None:
        return None
    return {
        "model": routing.names[switch.model],
        "kept": decision.kept,
        "cached_tokens": conversation.cached_tokens,
        "switch_price": {
            "p_correct": switch.p_correct,
            "lost_cache_usd": switch.lost_cache_usd,
            "tool_calls_under_way": switch.forbidden,
        },
    }


def _rule(decision: Decision, reasons: Reasons) -> JsonObject | None:
    """The rule of the policy with the numbers that it gave for this request; None if the client named the model."""
    policy, choice = decision.policy, decision.choice
    if policy is None:
        return None
    return {
        "name": policy.rule,
        "value": policy.value,
        "caution": policy.caution,
        "cost_weight": decision.cost_weight,
        "best": None if choice is None else decision.models[reasons.best],
        "lowest_p_correct": None if choice is None else choice.lowest,
        "min_p_correct": policy.minimum,
        "min_p_correct_reached": None if policy.minimum is None else decision.missed_minimum is None,
    }


def _explain_model(routing: Routing, i: int, request: ChatRequest, scores: Scores, utility: float) -> JsonObject:
    p, standard_error = float(scores.p_correct[i]), float(scores.standard_error[i])
    known = not np.isnan(p)
    standing = routing.standings[routing.names[i]]
    lacks = routing.lacks(i, request, scores.requirements)
    return {
        "model": routing.names[i],
        "embedding": standing.shown(routing.embeddings(request)[i]),
        "state": standing.state,
        "p_correct": p if known else None,
        "standard_error": standard_error if known else None,
        "price_usd": float(scores.price_usd[i]) if scores.priced[i] else None,
        "utility": utility if known else None,
        "capable": not lacks,
        "lacks": lacks,
        "eligible": bool(scores.capable[i]) and known and not standing.never_chosen,
        "available": routing.live[i].unavailable() is None,
    }


def _why(
    routing: Routing, i: int, request: ChatRequest, reasons: Reasons, serving: str | None, barred: Collection[str]
) -> list[str]:
    """Why a model was chosen, or why it was not."""
    decision, name = reasons.decision, routing.names[i]
    standing = routing.standings[name]
    why = reasons.of_choice() if i == decision.chosen else []
    if name == serving and i != decision.chosen:
        why.append(f"first available stand-in for {decision.model}")
    if name in barred:
        why.append(BARRED)
    why += routing.lacks(i, request, reasons.scores.requirements)
    if np.isnan(reasons.scores.p_correct[i]):
        why.append("no embedding: only served when named")
    if (unavailable := routing.live[i].unavailable()) is not None:
        why.append(unavailable)
    by_state = standing.why if decision.policy is not None or standing.never_chosen else ""
    if by_state and (standing.never_chosen or (routing.held_back(i) and i != decision.chosen)):
        why.append(by_state)
    why = why or [reasons.against(i)]
    if by_state and by_state not in why:
        why.append(by_state)
    if standing.relative is not None:
        why.append(f"it was not evaluated: it borrows the embedding of {standing.relative}")
    if not reasons.scores.priced[i]:
        highest = prices(reasons.scores.price_usd[i])[0]
        why.append(f"its price is not known, so it counts as the highest of the portfolio, {highest} USD")
    return why
