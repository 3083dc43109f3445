"""`POST /v1/feedback`: how good an answer was, by the client that got it."""

import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from hashlib import blake2b

import orjson
from starlette.requests import Request
from starlette.responses import Response

from gateway.config.access import Grant
from gateway.core.errors import Conflict, InvalidRequest, NotFound
from gateway.core.json_types import JsonObject
from gateway.core.validation import wrong_type
from gateway.feedback.outcome import Outcome, source_of_key
from gateway.feedback.outcomes import Outcomes
from gateway.http.body_fields import body_bytes, fields_of
from gateway.http.request_limits import RequestLimits
from gateway.http.service import Service

MAX_ID = 256  # characters of a request id or an idempotency key
MAX_COMMENT = 4_000  # characters
VERDICTS = {"good": 1.0, "bad": 0.0}
FIELDS = ("request_id", "score", "verdict", "comment", "expected")


@dataclass(frozen=True, slots=True)
class Feedback:
    """What a client says of an answer.

    Attributes:
        score: from 0, wrong, to 1, correct; None revokes earlier feedback.
        expected: what the answer should have been, as a text or JSON.
    """

    request_id: str
    score: float | None
    comment: str | None = None
    expected: str | None = None


def parse_feedback(fields: JsonObject) -> Feedback:
    """`{"request_id": "req_1", "verdict": "bad"}` gives the score 0.

    Raises:
        InvalidRequest: a field is missing or wrong.
    """
    request_id = fields.get("request_id")
    if not isinstance(request_id, str) or not 0 < len(request_id) <= MAX_ID or "\0" in request_id:
        raise wrong_type(fields, "request_id", f"a string of 1 to {MAX_ID} characters")
    comment = fields.get("comment")
    if comment is not None and (not isinstance(comment, str) or len(comment) > MAX_COMMENT):
        raise wrong_type(fields, "comment", f"a string of at most {MAX_COMMENT} characters")
    expected = fields.get("expected")
    if expected is not None and not isinstance(expected, str):
        expected = orjson.dumps(expected).decode()
    return Feedback(request_id, _score(fields), _storable(comment), _storable(expected))


def _storable(text: str | None) -> str | None:
    """PostgreSQL stores no NUL in a text."""
    return None if text is None else text.replace("\0", "\ufffd")


def _score(fields: JsonObject) -> float | None:
    if ("score" in fields) == ("verdict" in fields):
        raise InvalidRequest("Expected exactly one of `score` and `verdict`.", param="score")
    if "verdict" in fields:
        verdict = fields["verdict"]
        if verdict is None:
            return None
        if not isinstance(verdict, str) or verdict not in VERDICTS:
            raise wrong_type(fields, "verdict", "good, bad or null")
        return VERDICTS[verdict]
    score = fields["score"]
    if score is None:
        return None
    if isinstance(score, bool) or not isinstance(score, int | float):
        raise wrong_type(fields, "score", "a number from 0 to 1, or null")
    if not (math.isfinite(score) and 0 <= score <= 1):
        raise InvalidRequest(f"`score` must be a number from 0 to 1, or null, not {score:g}.", param="score")
    return float(score)


class FeedbackEndpoint:
    """Answers the requests of this route."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def receive(self, request: Request) -> Response:
        """Keeps the feedback. Its source is the key of the request.

        Raises:
            GatewayError: a limit of the key is reached, the body is wrong, or this key has sent no such request.
        """
        grant: Grant = request.scope["state"]["grant"]
        async with admitted(self._service, grant):
            recorded_outcomes(self._service)
            once = _idempotency_key(request)
            body = await body_bytes(request)
            feedback = parse_feedback(fields_of(body, FIELDS))
            key_id = grant.identity.id if grant.identity.name else None  # as in the record
            answer = await keep_feedback(self._service, feedback, key_id, source_of_key(key_id), once, body)
        return Response(answer, media_type="application/json")


@asynccontextmanager
async def admitted(service: Service, grant: Grant) -> AsyncIterator[None]:
    """Feedback counts as a request without cost.

    Raises:
        GatewayError: a limit of the key is reached.
    """
    limits = RequestLimits(service, grant)
    await limits.admit()
    try:
        yield
    finally:
        limits.settle([])


def recorded_outcomes(service: Service) -> Outcomes:
    """
    Raises:
        NotFound: the gateway has no record, so that it can take no feedback.
    """
    if service.outcomes is None:
        raise NotFound("The gateway keeps no record of requests: set `record` under `gateway` in its file.")
    return service.outcomes


async def keep_feedback(
    service: Service, feedback: Feedback, key_id: str | None, source: str, once: str | None = None, body: bytes = b""
) -> bytes:
    """Keeps feedback about a request.

    Args:
        key_id: of the key that sent the request; None: a client without a key.
        source: whose feedback it is; see `Outcome`.
        once: an idempotency key; `body`: what was sent with it.

    Returns:
        What is answered, as JSON.

    Raises:
        NotFound: the key has sent no such request.
        InvalidRequest: it has no answer that could be good or bad.
        Conflict: the idempotency key was sent with another body.
    """
    outcomes = recorded_outcomes(service)
    of = await outcomes.request(feedback.request_id, key_id)
    if of is None:
        service.metrics.feedback_received("unknown")
        raise NotFound(f"This key has sent no request `{feedback.request_id}`, or it is older than the record.")
    keeps_texts = service.in_force.portfolio.settings.store_prompts
    comment, expected = (feedback.comment, feedback.expected) if keeps_texts else (None, None)
    outcome = Outcome(of, source, "feedback", feedback.score, comment=comment, expected=expected)
    answer: JsonObject = {"object": "feedback", "request_id": of.request_id, "model": of.model}
    answer |= {"source": source, "score": feedback.score}
    answer |= {"comment_kept": comment is not None, "expected_kept": expected is not None}
    written, digest = orjson.dumps(answer), blake2b(body, digest_size=16).digest()
    earlier = await outcomes.put(outcome, once=None if once is None else (once, digest), answer=written)
    if earlier is not None:
        if earlier[0] != digest:
            raise Conflict("This `idempotency-key` was sent with another body before.", param="idempotency-key")
        return earlier[1]
    service.metrics.feedback_received(_result(feedback.score))
    return written


def _idempotency_key(request: Request) -> str | None:
    key = request.headers.get("idempotency-key")
    if key is not None and not 0 < len(key) <= MAX_ID:
        raise InvalidRequest(f"`idempotency-key` must have 1 to {MAX_ID} characters.", param="idempotency-key")
    return key


def _result(score: float | None) -> str:
    return "revoked" if score is None else "good" if score >= 0.5 else "bad"
