"""The record of one request, from everything that is known of it at its end."""

from typing import Any, Protocol

from gateway.answering.attempts import Attempts
from gateway.answering.call_columns import failover_column, parts_column, usage_columns
from gateway.answering.open_call import OpenCall
from gateway.config.access import Grant
from gateway.core.vocabulary import Api
from gateway.ensemble.outcome import Outcome
from gateway.http.client_labels import ClientLabels, client_labels
from gateway.http.in_force import InForce
from gateway.http.record_columns import (
    candidates_column,
    checkpoint_column,
    conversation_column,
    ensemble_column,
    near_limit_column,
    prompt_column,
    propensity_column,
    tags_column,
)
from gateway.http.request_trace import RequestTrace
from gateway.record.request_record import Part, Record
from gateway.request.request import Request
from gateway.routing.decision import Decision


class Finished(Protocol):
    """What is read of a request's log."""

    id: str
    time: float
    started: float
    api: Api
    grant: Grant
    in_force: InForce
    request: Request | None
    decision: Decision | None
    attempts: Attempts
    open_call: OpenCall | None
    ensemble: Outcome | None
    trace: RequestTrace | None
    status: int
    error: str | None
    cache: str | None
    first_token_s: float | None
    overhead_s: float | None


def record_of(log: Finished, parts: list[Part], latency_s: float) -> Record:
    """The record of a request that is over.

    Args:
        parts: the calls that it is billed for.
        latency_s: from its arrival to its end, seconds.
    """
    request, decision, open_call = log.request, log.decision, log.open_call
    candidate, ensemble = open_call.candidate if open_call is not None else None, log.ensemble
    chosen, p_correct = (None, None) if decision is None else (decision.model, decision.p_chosen)
    if ensemble is not None:
        chosen, p_correct = ensemble.model, ensemble.p_correct
    portfolio = log.in_force.portfolio
    return Record(
        request_id=log.id,
        time=log.time,
        requested=request.model if request is not None else None,
        policy=decision.policy.name if decision is not None and decision.policy is not None else None,
        chosen=chosen,
        served=candidate.model.name if candidate is not None else None,
        deployment=open_call.deployment if open_call is not None else None,
        p_correct=p_correct,
        stand_in_rule=candidate.rule if candidate is not None else None,
        stand_in_distance=candidate.distance if candidate is not None else None,
        predicted_loss=candidate.predicted_loss if candidate is not None else None,
        candidates=candidates_column(decision, log.in_force.standings),
        failover=failover_column(
            log.attempts, answered=candidate is not None and not candidate.stand_in, started=log.started
        ),
        call_began_ms=None if open_call is None else (open_call.start.at - log.started) * 1000,
        parts=parts_column(parts),
        stream=request.stream if request is not None else False,
        status=log.status,
        error=log.error,
        latency_ms=latency_s * 1000,
        first_token_ms=None if log.first_token_s is None else log.first_token_s * 1000,
        overhead_ms=None if log.overhead_s is None else log.overhead_s * 1000,
        prompt=prompt_column(request) if request is not None and portfolio.settings.store_prompts else None,
        api=log.api,
        conversation=conversation_column(decision),
        simulated=portfolio.simulated,
        trace_id=log.trace.id if log.trace is not None else None,
        propensity=propensity_column(decision) if ensemble is None else None,
        checkpoint=checkpoint_column(decision, log.in_force.router),
        cache=log.cache,
        near_limit=near_limit_column(decision),
        ensemble=ensemble_column(request, ensemble),
        **usage_columns(parts),
        **_client_columns(log),
    )


def _client_columns(log: Finished) -> dict[str, Any]:
    """The columns about who asked."""
    identity = log.grant.identity
    labels = ClientLabels() if log.request is None else client_labels(log.request)
    return {
        "key_id": identity.id if identity.name else None,
        "key_name": identity.name or None,
        "team": identity.team,
        "tags": tags_column(identity.tags),
        "end_user": labels.end_user,
        "safety_identifier": labels.safety_identifier,
        "metadata": labels.metadata,
    }
