"""Explains a decision for `POST /v1/route`: each model with P(correct), price, utility and a reason."""

from dataclasses import replace

import numpy as np

from gateway.core.json_types import JsonObject
from gateway.request.chat_request import ChatRequest
from gateway.request.conversation import Conversation
from gateway.routing.decision import Decision, Scores
from gateway.routing.nearby_queries import explain_evidence
from gateway.routing.routing import Routing
from router.model.policy import Policy


async def explain(routing: Routing, request: ChatRequest, conversation: Conversation) -> JsonObject:
    """The response body of `/v1/route`.

    Raises:
        GatewayError: as for `Routing.decide`.
    """
    decision = await routing.decide(request, conversation)
    scores = decision.scores or await routing.scores(request)
    candidates_in_order = list(routing.candidates(request, replace(decision, scores=scores)))
    barred = {candidate.model.name for candidate in candidates_in_order if candidate.barred}
    next_candidate = next(
        (
            candidate
            for candidate in candidates_in_order
            if not candidate.barred and candidate.model.unavailable() is None
        ),
        None,
    )
    serving = None if next_candidate is None else next_candidate.model.name
    candidates = [
        _explain_model(routing, i, request, decision, scores, serving, barred) for i in range(len(routing.names))
    ]
    candidates.sort(key=lambda c: (not c["eligible"], -(c["utility"] if c["utility"] is not None else -np.inf)))
    return {
        "policy": None if decision.policy is None else decision.policy.name,
        "chosen": decision.model,
        "serving": serving,
        "stand_in": None
        if next_candidate is None or not next_candidate.stand_in
        else {
            "model": serving,
            "for": decision.model,
            "distance": next_candidate.distance,
            "predicted_loss": next_candidate.predicted_loss,
        },
        "guarded": scores.guarded,
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


def _explain_model(
    routing: Routing,
    i: int,
    request: ChatRequest,
    decision: Decision,
    scores: Scores,
    serving: str | None,
    barred: set[str],
) -> JsonObject:
    name = routing.names[i]
    p, standard_error = float(scores.p_correct[i]), float(scores.standard_error[i])
    known = not np.isnan(p)
    unavailable = routing.live[i].unavailable()
    utility = scores.utility(decision.policy or Policy("pinned"))[i]
    lacks = routing.lacks(i, request, scores.requirements)
    why = []
    if i == decision.chosen:
        why += _chosen_because(decision, scores)
    if name == serving and i != decision.chosen:
        why.append(f"nearest available stand-in for {decision.model}")
    if name in barred:
        why.append("no stand-in: its predicted loss is more than the policy's max_predicted_loss")
    why += lacks
    if not known:
        why.append("no embedding: only served when named")
    if unavailable is not None:
        why.append(unavailable)
    if not why:
        why.append(_passed_over_because(decision, p, standard_error, float(utility), scores))
    return {
        "model": name,
        "embedding": routing.embeddings(request)[i],
        "p_correct": p if known else None,
        "standard_error": standard_error if known else None,
        "price_usd": float(scores.price_usd[i]),
        "utility": float(utility) if known else None,
        "capable": not lacks,
        "lacks": lacks,
        "eligible": bool(scores.capable[i]) and known,
        "available": unavailable is None,
        "why": "; ".join(why),
    }


def _chosen_because(decision: Decision, scores: Scores) -> list[str]:
    policy = decision.policy
    if policy is None:
        return ["named by the request"]
    if decision.kept and decision.switch is not None and decision.switch.forbidden:
        return ["its tool calls are under way"]
    if policy.rule == "cheapest":
        why = [f"cheapest with {_quantity(policy)} of at least {policy.min_p_correct}"]
    elif policy.cost_weight == 0:
        why = [f"highest {_quantity(policy)}"]
    else:
        why = [f"highest utility at cost weight {policy.cost_weight}"]
    if decision.kept:
        why = ["the conversation keeps its model: no other one is better by more than the switch costs"]
    if scores.guarded:
        why.append(
            "based on the models' means on this kind of question: no finer prediction was better than the best single model there"
        )
    return why


def _passed_over_because(decision: Decision, p: float, standard_error: float, utility: float, scores: Scores) -> str:
    policy = decision.policy
    if policy is None:
        return "another model is named by the request"
    if policy.rule == "utility":
        better = utility > float(scores.utility(policy)[decision.chosen])
        return "better, but by less than the switch costs" if decision.kept and better else "lower utility"
    bound = p - policy.caution * standard_error
    if bound >= policy.min_p_correct:
        return "more expensive"
    return f"{_quantity(policy)} below {policy.min_p_correct}"


def _quantity(policy: Policy) -> str:
    return f"p_correct - {policy.caution:g} standard errors" if policy.caution else "p_correct"
