"""Parts of a request's record: the columns about its decision, its prompt and its key. Pure functions."""

from collections.abc import Mapping, Sequence

import orjson

from gateway.cache.entry import Origin
from gateway.core.vocabulary import CHECKPOINT_CHARS
from gateway.ensemble.outcome import Outcome
from gateway.record.needs import needs_of
from gateway.record.predictions import Predictions
from gateway.record.request_record import Record
from gateway.request.chat_request import ChatRequest
from gateway.request.request import Request
from gateway.routing.decision import Decision
from gateway.routing.standing import Standing
from router.model.serving import Router

CLIENT_CLOSED = 499  # nginx's status for a client that disconnected; it appears in records only
CANDIDATES = 20  # the best of the scored models are recorded, at most this many


def from_cache(record: Record, origin: Origin) -> Record:
    """The record of a request that got a stored answer: which model had written it, with its tokens, at no cost."""
    prompt_tokens, completion_tokens = origin.tokens or (None, None)
    return record._replace(
        policy=origin.policy,
        chosen=origin.model,
        served=origin.model,
        p_correct=origin.p_correct,
        prompt_tokens=prompt_tokens,
        completion_tokens=completion_tokens,
        cost_nusd=0,
        saved_nusd=origin.cost_nusd,
    )


def near_limit_column(decision: Decision | None) -> float | None:
    """The factor by which money counted more to the policy, since a budget was nearly spent; None if none was."""
    return decision.cost_factor if decision is not None and decision.cost_factor > 1.0 else None


def ensemble_column(request: Request | None, ensemble: Outcome | None) -> str | None:
    """How the members of an ensemble voted; None if one model was asked."""
    if ensemble is None or not isinstance(request, ChatRequest):
        return None
    return orjson.dumps(ensemble.fields(request)).decode()


def propensity_column(decision: Decision | None) -> float | None:
    """The probability of the choice; None if the client named the model."""
    return None if decision is None or decision.policy is None else decision.propensity


def checkpoint_column(decision: Decision | None, router: Router) -> str | None:
    """The beginning of the id of the checkpoint that scored the models."""
    return None if decision is None or decision.scores is None else router.checkpoint[:CHECKPOINT_CHARS]


def prompt_column(request: Request) -> str:
    """The messages, or the inputs of an embeddings request."""
    fields = request.fields
    return orjson.dumps(fields["messages"] if "messages" in fields else fields.get("input")).decode()


def candidates_column(decision: Decision | None, standings: Mapping[str, Standing]) -> str | None:
    """The best models by the policy, if the decision scored any, and their states unless they are live."""
    if decision is None or not (best := decision.best(CANDIDATES)):
        return None
    rows = [
        {"model": name, "p_correct": round(p, 4), "price_usd": price} | _state(standings[name])
        for name, p, price in best
    ]
    return orjson.dumps(rows).decode()


def _state(standing: Standing) -> dict[str, str]:
    return {} if standing.state == "live" else {"state": standing.state}


def predictions_of(decision: Decision | None, request: Request | None, text_dim: int) -> Predictions | None:
    """What the decision was based on, if it scored any model.

    Args:
        request: the decision is for it, or for the first prompt of it.
        text_dim: width of the text's encoding.
    """
    if decision is None or decision.scores is None:
        return None
    scores = decision.scores
    needs = needs_of(request, scores.requirements) if isinstance(request, ChatRequest) else None
    p_correct, usd, priced = scores.p_correct, scores.price_usd, scores.priced
    return Predictions(decision.models, p_correct, usd, priced, scores.capable, scores.q, text_dim, needs)


def conversation_column(decision: Decision | None) -> str | None:
    """Return "kept" or "switched" if the conversation had a model already."""
    if decision is None or decision.switch is None:
        return None
    return "kept" if decision.kept else "switched"


def tags_column(tags: Sequence[str]) -> str | None:
    """The tags of a key as a JSON list; None if it has none."""
    return orjson.dumps(tags).decode() if tags else None
