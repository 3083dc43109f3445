"""Interprets a failed call: updates the deployment's circuit breaker, and decides if the request is at fault."""

import re
from collections.abc import Mapping
from dataclasses import replace
from hashlib import blake2b

from gateway.deployments.breaker import Refusal
from gateway.deployments.live import LiveDeployment
from gateway.provider_errors.failures import NEEDS_OPERATOR, Cause, UpstreamFailure, classify_without_request_text
from gateway.request.query_text import message_text
from gateway.request.request import Request
from gateway.routing.candidate import Candidate
from gateway.upstream.redact import redact

DIGEST_CHARS = 20_000  # of each turn
PATH_UNKNOWN = (404, 405, 410, 501)  # statuses of a server that may lack the path of an API
CHANGEABLE = frozenset({Cause.FIELD_REFUSED, Cause.VALUE_REFUSED, Cause.UNSUPPORTED, Cause.REJECTED})
DEPLOYMENT_FAULTS = frozenset(
    {
        Cause.RATE_LIMITED,
        Cause.OVERLOADED,
        Cause.SERVER_ERROR,
        Cause.CONNECTION,
        Cause.TIMEOUT,
        Cause.UNREADABLE,
    }
)
_REFUSING = NEEDS_OPERATOR | {Cause.REFUSED}
_STATE_CAUSES = _REFUSING | DEPLOYMENT_FAULTS  # for these a deployment may go out of service
_SHARED_STATE = NEEDS_OPERATOR | {Cause.FIELD_REFUSED}  # causes that change what the requests of all clients meet
# Things that a request may name, and that a provider may no longer have.
_NAMED_THING = re.compile(
    r"\b(?:files?|images?|documents?|items?|responses?|containers?|skills?|threads?|conversations?|uploads?|vector|prompt)\b",
    re.IGNORECASE,
)


def request_digest(request: Request) -> bytes:
    """Tells requests apart by the beginning of their conversation, so that a later turn counts as the same request."""
    texts = []
    for turn in request.fields.get("messages") or ():
        texts.append(message_text(turn)[:DIGEST_CHARS])
        if turn.get("role") == "user":
            break
    if not texts:  # a request for embeddings
        given = request.fields.get("input")
        first = given[0] if isinstance(given, list) and given else given
        texts.append((first if isinstance(first, str) else repr(first))[:DIGEST_CHARS])
    return blake2b("\0".join(texts).encode("utf-8", "surrogatepass"), digest_size=16).digest()


def redact_and_digest(failure: UpstreamFailure, live: LiveDeployment, request: Request) -> bytes:
    """Removes the words of the request and the secrets of the deployment from a failure.

    Returns:
        the request's digest if the failure may take the deployment out of service, otherwise `b""`.
    """
    if failure.cause in _SHARED_STATE:  # a client must not be able to produce this cause by words in its request
        own = classify_without_request_text(failure, _client_fields(request))
        failure.cause, failure.field, failure.error = own.cause, own.field, own.error
    redact(failure, live.spec, request.fields)
    return request_digest(request) if failure.cause in _REFUSING else b""


def lacks_path(failure: UpstreamFailure, request: Request) -> bool:
    """Return True if the server lacks the path or the model, rather than a thing that the request names."""
    if failure.cause is not Cause.NOT_FOUND and _NAMED_THING.search(failure.reason):
        return False
    return classify_without_request_text(failure, _client_fields(request)) is failure


def _client_fields(request: Request) -> Mapping[str, object]:
    """The fields as the client wrote them."""
    return request.fields if request.native is None else request.native.fields


def refusal_of_model(failure: UpstreamFailure, candidate: Candidate) -> UpstreamFailure:
    """A refusal for which no change of the request is known: `UNSUPPORTED` if another model may accept it, else `REJECTED`.

    The client has not chosen a stand-in. So a stand-in's 400 or 422 may be about a rule of that model alone.
    """
    of_model = failure.status in (400, 422) if candidate.stand_in else failure.cause is not Cause.REJECTED
    unsupported = failure.cause is Cause.UNSUPPORTED or (of_model and not candidate.named)
    cause = Cause.UNSUPPORTED if unsupported else Cause.REJECTED
    return failure if cause is failure.cause else replace(failure, cause=cause)


def update_breaker(
    live: LiveDeployment, failure: UpstreamFailure, now: float, digest: bytes = b"", *, own_request: bool = False
) -> None:
    """Reports a failed call to the deployment's circuit breaker, and logs each change of its state.

    The log has the provider's words: `redact` must have been called before.

    Args:
        digest: `request_digest` of the request.
        own_request: the gateway made the request, so that a refusal cannot be about the content of a client.
    """
    cause, open_before = failure.cause, live.breaker.open_until
    if cause in _STATE_CAUSES:
        live.last_failure = failure
    if cause in NEEDS_OPERATOR:
        live.refused(Refusal(cause.value, digest, in_words=True))
    elif cause is Cause.REFUSED:
        live.refused(Refusal(f"{cause.value} with status {failure.status}", digest, in_words=own_request))
    elif cause in DEPLOYMENT_FAULTS:
        live.breaker.failure(now, cause.value, failure.retry_after_s)
    elif cause in (Cause.LOCAL, Cause.DIVERGED):
        live.breaker.abandon()
    else:  # the request was at fault
        live.breaker.answered()
    live.changes.failed(live.breaker, str(failure), failure.reason)
    if cause in _STATE_CAUSES:
        open_now = live.breaker.open_until
        live.tell(failure, opened=open_now is not None and open_now != open_before, checked=own_request)
