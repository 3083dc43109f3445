"""Hands finished answers to the graders: which facts decide, and the texts of those that are graded."""

from functools import partial

from gateway.answering.continued_stream import ContinuedStream
from gateway.answering.open_call import OpenCall
from gateway.answering.written_answer import written_answer
from gateway.feedback.graded import AnsweredText, Facts
from gateway.feedback.graders import Graders
from gateway.record.predictions import Predictions, pack_query
from gateway.record.request_record import Record
from gateway.request.chat_request import ChatRequest
from gateway.request.request import Request
from gateway.request.response_schema import response_schema

FIRST_CHOICE = 0


def grade_answer(
    graders: Graders,
    request: Request | None,
    open_call: OpenCall | None,
    stream: ContinuedStream | None,
    record: Record,
    predictions: Predictions | None,
    tags: tuple[str, ...],
) -> None:
    """Hands an answer over if a grader wants it: complete, by one model, and without calls of tools.

    Args:
        tags: of the key.
    """
    if not isinstance(request, ChatRequest) or open_call is None or not _gradable(request, record):
        return
    if record.served is None or record.deployment is None or (stream is not None and len(stream.calls) > 1):
        return
    facts = _facts(request, record.served, record, tags)
    wanting = graders.wanting(facts)
    if not wanting or (written := _written(open_call, stream)) is None:
        return
    packed = None
    if predictions is not None and predictions.q is not None:
        packed = pack_query(predictions.q, predictions.text_dim)
    named = record.request_id, facts, record.deployment, record.time
    graders.add(AnsweredText(*named, request.query, *written, packed, record.ensemble is not None), wanting)


def _gradable(request: ChatRequest, record: Record) -> bool:
    """True for a complete answer of a model to a user."""
    return record.error is None and record.cache != "hit" and not request.is_utility_call


def _facts(request: ChatRequest, model: str, record: Record, tags: tuple[str, ...]) -> Facts:
    labels = (request.fields if request.native is None else request.native.fields).get("metadata")
    metadata = labels if isinstance(labels, dict) else {}
    may_see = partial(_may_see, request)
    return Facts(model, record.policy, record.key_name, tags, response_schema(request), metadata, may_see)


def _may_see(request: ChatRequest, model: str) -> bool:
    """True if neither the key nor the request forbids the model to answer."""
    own = request.overrides
    return own.allowed.model(model) and model not in own.exclude and (own.allow is None or model in own.allow)


def _written(open_call: OpenCall, stream: ContinuedStream | None) -> tuple[str, str | None] | None:
    """The text of the first choice and its finish reason; None if it calls tools or has no text."""
    if stream is not None:
        transcript = stream.transcript
        reasons = transcript.finish_reasons
        text = "" if transcript.tool_call_ids else transcript.text
        return (text, reasons[FIRST_CHOICE] if reasons else None) if text else None
    if open_call.complete is None:
        return None
    answer = written_answer(open_call.complete)
    return (answer.text, answer.finish_reason) if answer.text and not answer.tool_calls else None
